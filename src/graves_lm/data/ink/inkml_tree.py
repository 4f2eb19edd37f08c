"""An InkML file as a tree of its elements; those of other vocabularies are left out."""

from graves_lm.data.ink.line import within
from graves_lm.data.safe_xml import Malformed, parse_xml

ELEMENTS = 500_000
DEPTH = 100  # of elements in each other
_NAMESPACES = 50  # declared at one place
_WITH_TEXT = ("trace", "annotation")


class Element:
    """An element, its attributes and what is in it; `text` is read where the vocabulary has any."""

    __slots__ = ("attributes", "children", "tag", "texts")

    def __init__(self, tag: str, attributes: dict[str, str]):
        self.tag, self.attributes = tag, attributes
        self.children: list[Element] = []
        self.texts: list[
            str
        ] = []  # of annotationXML: with a NUL, which no XML has, where an element begins or ends

    @property
    def text(self) -> str:
        return "".join(self.texts).strip()

    @property
    def id(self) -> str:
        return self.attributes.get("xml:id") or self.attributes.get("id", "")

    def all(self, *tags: str) -> list["Element"]:
        """The children with one of these names."""
        return [child for child in self.children if child.tag in tags]

    def first(self, tag: str) -> "Element | None":
        return next(iter(self.all(tag)), None)


def read_tree(data: bytes) -> Element:
    """The root, <ink>. Raises Malformed for what is no InkML."""
    reader = _Reader()
    parse_xml(data, reader.start, reader.end, reader.text)
    assert reader.root is not None  # or it were not well-formed
    return reader.root


class _Reader:
    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._foreign = 0  # how deep in an element that is left out
        self._scopes: list[dict[str, str]] = [{}]  # name spaces by prefix
        self._namespace = ""
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        within(self._count, ELEMENTS, "elements")
        within(len(self._open) + self._foreign + 1, DEPTH, "elements in each other")
        own = {k[6:]: v for k, v in attributes.items() if k == "xmlns" or k.startswith("xmlns:")}
        scope = {**self._scopes[-1], **own} if own else self._scopes[-1]
        within(len(scope), _NAMESPACES, "name spaces")
        self._scopes.append(scope)
        prefix, _, tag = name.rpartition(":")
        namespace = scope.get(prefix, prefix)
        if self.root is None:
            if tag != "ink":
                raise Malformed(f"its root is <{tag}>, not <ink>")
            self._namespace = namespace
        parent = self._open[-1] if self._open else None
        if self._foreign or namespace != self._namespace or (parent and parent.tag == "annotationXML"):
            self._foreign += 1
            if parent and parent.tag == "annotationXML":
                parent.texts.append("\0")
            return
        element = Element(tag, attributes)
        if parent:
            parent.children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def end(self, name: str) -> None:
        self._scopes.pop()
        if self._foreign:
            self._foreign -= 1
            if self._open[-1].tag == "annotationXML":
                self._open[-1].texts.append("\0")
        else:
            self._open.pop()

    def text(self, characters: str) -> None:
        element = self._open[-1]
        if element.tag == "annotationXML" or (element.tag in _WITH_TEXT and not self._foreign):
            element.texts.append(characters)
