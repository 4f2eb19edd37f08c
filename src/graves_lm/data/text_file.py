"""A file of texts, for people's own."""

import codecs
import os
import stat
from pathlib import Path

from graves_lm.data.characters import place_in
from graves_lm.runtime.errors import UserError

LIMIT = 1_000_000
"""Bytes: some 500 pages, which are days of writing."""

_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # before that of UTF-16, which it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_text_file(name: str, setting: str = "text_file") -> str:
    """The text of a file, which `setting` names, without the byte order mark that it may begin with.

    It is in UTF-8, or in UTF-16 or UTF-32 with that mark.

    Raises UserError for what is no regular file, is larger than `LIMIT`, cannot be read or is not in one of
    these encodings.
    """
    where, path = f"{setting}={name}", Path(os.path.expanduser(name))
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for, a device has no end
            kind = "a folder" if path.is_dir() else "a pipe, a device or the like"
            raise UserError(f"{where}: {kind}; give a file of text")
        with open(path, "rb") as file:
            content = file.read(LIMIT + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{where}: cannot be read ({reason}); give a file of text") from error
    if len(content) > LIMIT:
        raise UserError(f"{where}: more than {LIMIT:,} bytes; write it in parts")
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8-sig")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode(encoding, errors="replace")
        raise UserError(
            f"{where}: not {encoding.removesuffix('-sig').upper()}: byte 0x{content[error.start]:02X} at "
            f"{place_in(before + '?' + chr(10), len(before))}; save it as UTF-8, with an editor or "
            "iconv -f windows-1252 -t utf-8"
        ) from error
    if "\0" in text:
        raise UserError(
            f"{where}: holds zero bytes, so it is UTF-16 without a mark or no text; save it as UTF-8"
        )
    return text
