"""XML from anywhere: no document type (the way to entity bombs and to other files), one kind of error.

It is decoded here: expat itself knows four encodings, and leaves others to a table of 256 characters.
"""

import codecs
import re
from collections.abc import Callable
from xml.parsers import expat

ATTRIBUTES = 1_000_000  # of a document; each takes some 200 bytes when read

# The byte order mark says more than the declaration, which tools forget to change. UTF-32 before UTF-16:
# its mark begins like the other's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\0\0\0", "utf-32-le"),
    (b"\0\0\0<", "utf-32-be"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
_DECLARED = re.compile(rb"<\?xml\s[^>]{0,200}?\bencoding\s*=\s*[\"']([A-Za-z][A-Za-z0-9._-]{0,40})[\"']")
# Character sets. Python has other codecs (punycode, unicode_escape, …), which no document is written in.
_KNOWN = re.compile(
    r"ascii|utf-(8|16|32)(-[bl]e)?|iso8859-\d+|cp\d+|koi8-[rtu]|kz1048|ptcp154|tis-620|mac-[a-z]+|gb2312|gbk"
    r"|gb18030|hz|big5(hkscs)?|shift_jis\w*|euc_\w+|iso2022_\w+|johab"
)


class Malformed(ValueError):
    """A file that is not what it should be; the message is the reason."""


def parse_xml(
    data: bytes,
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None],
    text: Callable[[str], None] | None = None,
) -> None:
    """Calls `start(tag, attributes)`, `end(tag)` and `text(characters)` in the order of the document.

    Raises Malformed for what is no XML, has a document type, or is written in an unknown encoding.
    """

    def refuse(*_: object) -> None:
        raise Malformed("it declares a document type or entities, which no such file needs")

    content = _utf8(data)
    if content.count(b"=") > ATTRIBUTES:
        raise Malformed(f"more than {ATTRIBUTES:,} attributes")
    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    if text is not None:
        parser.buffer_text = True
        parser.CharacterDataHandler = text
    try:
        parser.Parse(content, True)
    except expat.ExpatError as reason:
        raise Malformed(f"not well-formed XML ({reason})") from reason


def _utf8(data: bytes) -> bytes:
    """The document in UTF-8, whatever it was written in."""
    declared = _DECLARED.match(data)
    marked = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), None)
    name = marked or (declared[1].decode("ascii") if declared else "utf-8")
    try:
        name = codecs.lookup(name).name
    except LookupError:
        raise Malformed(f"unreadable XML (unknown encoding {name!r}): save it as UTF-8") from None
    if name == "utf-8":
        return data
    if not _KNOWN.fullmatch(name):
        raise Malformed(f"unreadable XML ({name!r} is no encoding of a document): save it as UTF-8")
    try:
        return data.decode(name).encode()
    except UnicodeError as reason:
        raise Malformed(f"unreadable XML (it is not in {name}: {reason}): save it as UTF-8") from None
