"""XML from anywhere: no document type (the way to entity bombs and to other files), one kind of error."""

from collections.abc import Callable
from xml.parsers import expat


class Malformed(ValueError):
    """A file that is not what it should be; the message is the reason."""


def parse_xml(
    data: bytes,
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None],
    text: Callable[[str], None] | None = None,
) -> None:
    """Calls `start(tag, attributes)`, `end(tag)` and `text(characters)` in the order of the document."""

    def refuse(*_: object) -> None:
        raise Malformed("it declares a document type or entities, which no such file needs")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    if text is not None:
        parser.CharacterDataHandler = text
    try:
        parser.Parse(data, True)
    except expat.ExpatError as reason:
        raise Malformed(f"not well-formed XML ({reason})") from reason
    except LookupError as reason:  # an encoding that nobody knows
        raise Malformed(f"unreadable XML ({reason})") from reason
