"""The contexts of an InkML file: the formats of its traces (W3C recommendation of 2011, section 4)."""

from graves_lm.data.ink.inkml_trace import TraceFormat, channel
from graves_lm.data.ink.inkml_tree import Element
from graves_lm.data.safe_xml import Malformed

_SAME = 10  # elements of one name, of which a reference is refused
_LONGEST_CHAIN = 20  # of contexts that refer to each other


class Contexts:
    """What the elements of a file refer to. Nothing outside of the file is ever looked at."""

    def __init__(self, root: Element):
        self._named: dict[str, list[Element]] = {}
        self._current: dict[Element, TraceFormat] = {}  # of contexts among the traces, when they came
        self.elements = 0
        waiting = [root]
        while waiting:
            element = waiting.pop()
            waiting += element.children
            self.elements += 1
            if element.id and len(same := self._named.setdefault(element.id, [])) < _SAME:
                same.append(element)

    def named(self, reference: str, *tags: str) -> Element:
        """The one element that a reference names."""
        place, _, fragment = reference.strip().rpartition("#")
        if place:
            raise Malformed(f"it refers to another document, {place!r}, which is not followed")
        found = [e for e in self._named.get(fragment, []) if e.tag in tags]
        if len(found) != 1:
            raise Malformed(
                f"{len(found)} of its elements {' or '.join(tags)} have the name {reference!r}, not one"
            )
        return found[0]

    def referred(self, item: Element, outer: TraceFormat) -> TraceFormat:
        """The format of a trace or group: that of its context, without one that of what it is in."""
        reference = item.attributes.get("contextRef")
        return self._context_named(reference, 0) if reference else outer

    def after(self, element: Element, current: TraceFormat) -> TraceFormat:
        """The format of the traces that follow an element of <ink>."""
        if element.tag == "channel":
            raise Malformed("a <channel> outside of a traceFormat, which so has no channels X and Y")
        if element.tag == "context":
            self._current[element] = current = self._context(element, current, 0)
        elif element.tag == "canvasTransform":
            return current._replace(transform=_transform(element))
        elif element.tag in ("traceFormat", "inkSource"):
            form = _format(element) if element.tag == "traceFormat" else self._source(element)
            return form._replace(transform=current.transform)
        return current

    def _context_named(self, reference: str, depth: int) -> TraceFormat:
        if reference.strip() == "#DefaultContext":
            return TraceFormat()
        element = self.named(reference, "context")
        return self._current.get(element) or self._context(element, TraceFormat(), depth)

    def _context(self, element: Element, base: TraceFormat, depth: int) -> TraceFormat:
        """A context: its own format, else its ink source's, else that of the context that it refers to."""
        if depth > _LONGEST_CHAIN:
            raise Malformed("its contexts refer to each other in a circle")
        if reference := element.attributes.get("contextRef"):
            base = self._context_named(reference, depth + 1)
        form, transform = self._part(element, "traceFormat"), self._part(element, "canvasTransform")
        source = self._part(element, "inkSource")
        made = _format(form) if form else self._source(source) if source else base
        return made._replace(transform=_transform(transform) if transform else base.transform)

    def _source(self, source: Element) -> TraceFormat:
        form = self._part(source, "traceFormat")
        made = _format(form) if form else TraceFormat()
        return made._replace(refused=made.refused or _uneven(source))

    def _part(self, element: Element, tag: str) -> Element | None:
        """A constituent, which is in an element or referred to by it."""
        inside, reference = element.first(tag), element.attributes.get(f"{tag}Ref")
        if inside or not reference:
            return inside
        default = f"#Default{tag[0].upper()}{tag[1:]}"
        return Element(tag, {}) if reference.strip() == default else self.named(reference, tag)


def _format(element: Element) -> TraceFormat:
    channels = [(channel(c.attributes), c) for c in element.all("channel")]
    if not element.children and not element.id:
        return TraceFormat()  # the default one
    few = element.first("intermittentChannels")
    refused = next((reason for (_, reason), _ in channels if reason), "")
    if not refused and any(made.name in ("X", "Y") and _transform(c) for (made, _), c in channels):
        refused = "its channels X and Y have mappings"
    return TraceFormat(
        tuple(made for (made, _), _ in channels), len(few.all("channel")) if few else 0, refused
    )


def _uneven(source: Element) -> str:
    """Why the numbers of an ink source are no positions: a unit of X is not one of Y; "" where they are."""
    properties = source.first("channelProperties")
    resolutions = {
        given.attributes.get("channel"): (given.attributes.get("value"), given.attributes.get("units"))
        for given in (properties.all("channelProperty") if properties else [])
        if given.attributes.get("name") == "resolution"
    }
    if len({resolutions[axis] for axis in ("X", "Y") if axis in resolutions}) < 2:
        return ""
    return "its channels X and Y have different resolutions: save the ink in one"


def _transform(element: Element) -> str:
    """Why positions cannot be read that an element maps to others; "" where it leaves them."""
    mappings = element.all("mapping")
    if all(m.attributes.get("type") == "identity" and not m.children for m in mappings):
        return ""
    return "its canvasTransform is not the identity: save the ink without one"
