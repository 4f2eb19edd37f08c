"""Lines of handwriting from W3C InkML (recommendation of 2011).

A line is a traceGroup or traceView with a text, the outermost where several are in each other; or what an
annotation of type "type" calls a text line; or else the whole file. Traces have the format of their context.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graves_lm.data.ink.inkml_context import Contexts
from graves_lm.data.ink.inkml_trace import TraceFormat, trace_points
from graves_lm.data.ink.inkml_tree import Element, read_tree
from graves_lm.data.ink.line import LINES, POINTS, InkFile, PenLine, within
from graves_lm.data.safe_xml import Malformed

_LABELS = ("truth", "label", "transcription", "text", "truthlabel", "normalizedlabel")
_LINES = ("textline", "text line", "line")
_INK = ("trace", "traceGroup", "traceView")
_MILLIMETRES = {"m": 1000.0, "cm": 10.0, "mm": 1.0, "in": 25.4, "pt": 25.4 / 72, "pc": 25.4 / 6}
_VISITS = 10  # of an element on average: views may name one many times, and double with each other
_NESTED = 50  # views of views


def read_inkml(data: bytes) -> InkFile:
    """Raises Malformed, with the reason, for what is no InkML and for what of it cannot be read."""
    return _Ink(read_tree(data)).read()


class _Piece(NamedTuple):
    """A trace, or some of its points."""

    trace: Element
    first: int = 0  # from 0
    last: int | None = None  # the place after the last

    @property
    def whole(self) -> bool:
        return self.first == 0 and self.last is None


class _Ink:
    def __init__(self, root: Element):
        self.root = root
        self.contexts = Contexts(root)
        self.formats: dict[Element, TraceFormat] = {}  # of each trace
        self.points: dict[Element, NDArray[np.float64]] = {}
        self.unit: str | None = None  # that of the first trace, which the others' are turned into
        self.visited = 0
        self.total = 0
        self.stored: set[Element] = set()
        self.shown: dict[Element, list[_Piece]] = {}
        current = TraceFormat()
        for child in root.children:
            current = self.contexts.after(child, current)
            if child.tag == "definitions":
                for item in child.all(*_INK):
                    self.stored.add(item)
                    self._give_formats(item, TraceFormat())
            elif child.tag in _INK:
                self._give_formats(child, current)
        self.written = [t for item in root.all("trace", "traceGroup") for t in _traces(item)]

    def _give_formats(self, item: Element, outer: TraceFormat) -> None:
        if item.tag == "traceView":
            return  # its context is how it is looked at, not how it was recorded
        form = self.contexts.referred(item, outer)
        if item.tag == "trace":
            self.formats[item] = form
        for child in item.all("trace", "traceGroup"):
            self._give_formats(child, form)

    def read(self) -> InkFile:
        parts = self._lines() or [self.root]
        within(len(parts), LINES, "lines")
        writer = _annotation(self.root, "writer")
        lines: list[PenLine | Malformed] = []
        left_out: list[str] = []
        seen: set[Element] = set()
        for part in parts:
            pieces = self._all_pieces() if part is self.root else self._pieces_of(part)
            seen.update(piece.trace for piece in pieces)
            strokes = self._strokes(pieces)
            text = self._text(part)
            if not text and any(map(_is_label, part.all("annotationXML"))):
                left_out.append("a text in annotationXML is more than a text: give it in an <annotation>")
            if strokes:
                lines.append(PenLine(strokes, text, _annotation(part, "writer") or writer))
            elif part is not self.root:
                lines.append(Malformed(f"the text {text[:40]!r} has no strokes"))
        if not lines:
            raise Malformed(
                "no <trace> with points in it, outside of <definitions>"
                if self.formats
                else "no <trace> in it"
            )
        lost = [n for n, trace in enumerate(self.written, start=1) if trace not in seen and _is_down(trace)]
        if lost:
            left_out.append(
                f"{len(lost)} of {len(self.written)} traces are in no group with a text: number "
                + ", ".join(map(str, lost[:10]))
                + (", …" if len(lost) > 10 else "")
            )
        return InkFile(lines, left_out)

    # ----------------------------------------------------------------------------------- which lines

    def _lines(self) -> list[Element]:
        """The parts of the file that are lines; none: the whole of it is one."""
        named = list(_outermost(self.root, lambda part: _annotation(part, "type").lower() in _LINES))
        if any(map(self._text, named)):
            return named
        labelled = list(_outermost(self.root, self._has_label))
        own = _label(self.root)
        if own and (len(labelled) < 2 or _rows(own) != [_label(part) for part in labelled]):
            return []
        if not labelled:
            return named
        lines: list[Element] = []
        for part in labelled:
            # A text of several lines over parts that have one each stands for these.
            inner = list(_outermost(part, self._has_label))
            split = len(inner) > 1 and _rows(_label(part)) == [_label(p) for p in inner]
            lines += inner if split else [part]
        return self._largest(lines)

    def _text(self, part: Element) -> str:
        return _label(self._stored(part) or part) or " ".join(map(_label, _outermost(part, _label)))

    def _has_label(self, part: Element) -> bool:
        return bool(_label(part) or self._stored(part))

    def _stored(self, part: Element) -> Element | None:
        """The group in <definitions> that a view shows, whose text is the view's, too."""
        reference = part.attributes.get("traceDataRef") if part.tag == "traceView" else None
        if reference is None or _label(part):
            return None
        target = self.contexts.named(reference, *_INK)
        return target if target in self.stored and _label(target) else None

    def _largest(self, parts: list[Element]) -> list[Element]:
        """The parts that do not lie within another, as words do that are groups beside a view of a line."""
        within_parts: dict[_Piece, set[Element]] = {}
        kept = set()
        for part in sorted(parts, key=lambda part: -len(self._pieces_of(part))):
            pieces = self._pieces_of(part)
            if not pieces or not set.intersection(*(within_parts.get(p, set()) for p in pieces)):
                kept.add(part)
                for piece in pieces:
                    within_parts.setdefault(piece, set()).add(part)
        return [part for part in parts if part in kept]

    # ---------------------------------------------------------------------------------- their traces

    def _all_pieces(self) -> list[_Piece]:
        """All traces of the file, then those that its views alone show."""
        shown = set(self.written)
        views = (piece for view in _outermost(self.root, _is_view) for piece in self._pieces_of(view))
        return [*map(_Piece, self.written), *(piece for piece in views if piece.trace not in shown)]

    def _pieces_of(self, part: Element) -> list[_Piece]:
        """The traces in a part and those that its views show, each once."""
        if part not in self.shown:
            self.shown[part] = list(dict.fromkeys(self._select(part, [], [], 0)))
        return self.shown[part]

    def _select(self, part: Element, first: list[int], last: list[int], depth: int) -> Iterator[_Piece]:
        """From the place `first` to the place `last`, each a number from 1 at every level, empty: the end."""
        within(depth, _NESTED, "views of each other")
        self.visited += 1 + len(part.children)
        within(self.visited, _VISITS * (self.contexts.elements + 100), "traces in views")
        if part.tag == "trace":
            if len(first) > 1 or len(last) > 1:
                raise Malformed("a traceView has a range of more levels than there are")
            yield _Piece(part, first[0] - 1 if first else 0, last[0] if last else None)
            return
        reference = part.attributes.get("traceDataRef") if part.tag == "traceView" else None
        if reference is not None:
            target = self.contexts.named(reference, *_INK)
            span = [_places(part, key) for key in ("from", "to")]
            if (first or last) and any(span):
                raise Malformed("a traceView shows a range of a range")
            yield from self._select(target, span[0] or first, span[1] or last, depth + 1)
            return
        children = part.all(*_INK)
        low, high = (first[0] if first else 1), (last[0] if last else len(children))
        if (first or last) and not 1 <= low <= high <= len(children):
            raise Malformed(f"a traceView shows {low} to {high} of {len(children)} parts, counted from 1")
        for number in range(low, high + 1):
            yield from self._select(
                children[number - 1],
                first[1:] if number == low else [],
                last[1:] if number == high else [],
                depth + 1,
            )

    # ---------------------------------------------------------------------------------- their points

    def _strokes(self, pieces: list[_Piece]) -> list[NDArray[np.float64]]:
        """The strokes of a line: traces of a pen on the paper, joined where one goes on with another."""
        strokes: list[list[NDArray[np.float64]]] = []
        here = {piece.trace for piece in pieces}
        ends: dict[Element, int] = {}  # the stroke that ends with a trace
        for piece in pieces:
            if not _is_down(piece.trace):
                continue
            before = self._before(piece.trace)
            if before in here and before not in ends:
                raise Malformed(f"{_name(piece.trace)} goes on with a trace that did not end before it")
            if before in ends:
                number = ends.pop(before)
            else:
                number = len(strokes)
                strokes.append([])
            strokes[number].append(self._points(piece))
            ends[piece.trace] = number
        return [np.concatenate(stroke) for stroke in strokes if any(map(len, stroke))]

    def _before(self, trace: Element) -> Element | None:
        """The trace that this one continues."""
        kind = trace.attributes.get("continuation")
        if kind not in (None, "begin", "middle", "end"):
            raise Malformed(f"{_name(trace)} has the continuation {kind!r}: begin, middle or end")
        reference = trace.attributes.get("priorRef")
        if kind in ("middle", "end"):
            if reference is None:
                raise Malformed(f"{_name(trace)} continues another without saying which (priorRef)")
            return self.contexts.named(reference, "trace")
        if reference is not None:
            raise Malformed(f"{_name(trace)} has a priorRef and no continuation that needs one")
        return None

    def _points(self, piece: _Piece) -> NDArray[np.float64]:
        if piece.trace not in self.points:
            form = self.formats[piece.trace]
            points = trace_points(piece.trace.text, form)
            units = [form.channels[form.column(name)].unit for name in ("X", "Y")]
            self.unit = units[0] if self.unit is None else self.unit
            self.points[piece.trace] = points * [_factor(unit, self.unit) for unit in units]
        points = self.points[piece.trace]
        last = len(points) if piece.last is None else piece.last
        if not piece.whole and not 0 <= piece.first < last <= len(points):
            raise Malformed(
                f"a traceView shows points {piece.first + 1} to {last} of the {len(points)} of a trace"
            )
        self.total += last - piece.first
        within(self.total, POINTS, "points")
        return points[piece.first : last]


def _traces(item: Element) -> Iterator[Element]:
    if item.tag == "trace":
        yield item
    for child in item.all("trace", "traceGroup"):
        yield from _traces(child)


def _outermost(part: Element, wanted: Callable[[Element], object]) -> Iterator[Element]:
    """The parts below that are wanted, and are in no other one that is."""
    for child in part.all("traceGroup", "traceView"):
        if wanted(child):
            yield child
        else:
            yield from _outermost(child, wanted)


def _is_view(part: Element) -> bool:
    return part.tag == "traceView"


def _is_down(trace: Element) -> bool:
    """Whether the pen wrote."""
    kind = trace.attributes.get("type", "penDown")
    if kind not in ("penDown", "penUp"):
        raise Malformed(f"{_name(trace)} is of type {kind!r}: whether the pen wrote is not known")
    return kind == "penDown"


def _name(trace: Element) -> str:
    return f"the trace {trace.id!r}" if trace.id else "a trace"


def _is_label(note: Element) -> bool:
    return note.attributes.get("type", "").lower() in _LABELS


def _label(part: Element) -> str:
    """The text of a part, "" for none."""
    for note in part.all("annotation"):
        if _is_label(note) and note.text:
            return note.text
    for note in part.all("annotationXML"):
        leaves = [leaf.strip() for leaf in note.text.split("\0") if leaf.strip()]
        # A formula has many, which in a row are not its text.
        if _is_label(note) and len(leaves) == 1:
            return leaves[0]
    return ""


def _annotation(part: Element, kind: str) -> str:
    notes = [note for note in part.all("annotation") if note.attributes.get("type", "").lower() == kind]
    return notes[0].text if notes else ""


def _rows(text: str) -> list[str]:
    return [row.strip() for row in text.splitlines() if row.strip()]


def _places(view: Element, key: str) -> list[int]:
    """A place in what a view shows: a number, from 1, for each level."""
    place = view.attributes.get(key, "").strip()
    if not place:
        return []
    if not re.fullmatch(r"[1-9][0-9]{0,8}(:[1-9][0-9]{0,8})*", place):
        raise Malformed(f"a traceView's {key}={place!r} is no place: numbers from 1, a colon between levels")
    return [int(number) for number in place.split(":")]


def _factor(unit: str, other: str) -> float:
    """How many of the other unit one is."""
    if unit == other:
        return 1.0
    if unit not in _MILLIMETRES or other not in _MILLIMETRES:
        raise Malformed(
            f"its positions are in {unit or 'no unit'!r} and {other or 'no unit'!r}: save them in one unit"
        )
    return _MILLIMETRES[unit] / _MILLIMETRES[other]
