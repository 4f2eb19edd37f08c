"""The values of an InkML trace (W3C recommendation of 2011, section 3.2): channels, and points.

A value is explicit (!), a first difference (') or a second one ("), which holds for its channel until
changed. It is a number, also in hexadecimal (#FF), a truth (T, F), the number before once more (*, of a
difference the difference), or unknown (?). No space is needed where none is missed: `3-5`, `'23'43`.
"""

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graves_lm.data.ink.line import POINTS, within
from graves_lm.data.safe_xml import Malformed

_PLAIN = re.compile(r"[-+.,eE0-9\s]*")
_VALUE = re.compile(
    r"\s*([!'\"]?)\s*([-+]?\s*(?:#[0-9A-Fa-f]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)|[TF?*])"
)
_LONGEST = 10_000  # characters of a point
_NUMBERS = ("integer", "decimal", "double")


class Channel(NamedTuple):
    """A column of the points."""

    name: str
    sign: float = 1.0  # −1: its axis is turned round
    unit: str = ""


class TraceFormat(NamedTuple):
    """What the values of a point are: the channels that each point has, and how many more it may have."""

    channels: tuple[Channel, ...] = (Channel("X"), Channel("Y"))
    intermittent: int = 0
    refused: str = ""  # why positions of these channels cannot be read
    transform: str = ""  # why those of the canvas cannot

    def column(self, name: str) -> int:
        names = [channel.name for channel in self.channels]
        if names.count(name) != 1:
            raise Malformed("its traceFormat has no channels X and Y, each once and in every point")
        return names.index(name)


def channel(attributes: dict[str, str]) -> tuple[Channel, str]:
    """A channel by its attributes, and why its positions cannot be read, if so."""
    name, orientation = attributes.get("name", "").upper(), attributes.get("orientation", "+ve")
    refused = ""
    if name in ("X", "Y"):
        kind = attributes.get("type", "decimal")
        if kind not in _NUMBERS:
            refused = f"its channel {name} is of type {kind!r}, no number"
        elif "respectTo" in attributes:
            refused = (
                f"its channel {name} counts from {attributes['respectTo']!r} (respectTo), not from an origin"
            )
        elif orientation not in ("+ve", "-ve"):
            refused = f"its channel {name} has the orientation {orientation!r}, not +ve or -ve"
    return Channel(name, -1.0 if orientation == "-ve" else 1.0, attributes.get("units", "")), refused


def trace_points(text: str, form: TraceFormat) -> NDArray[np.float64]:
    """The positions `(n, 2)` of a trace, x and y, turned round where its channels are.

    Raises Malformed for values that the format does not allow, and for points without a position.
    """
    if reason := form.refused or form.transform:
        raise Malformed(reason)
    columns = [form.column("X"), form.column("Y")]
    within(text.count(","), POINTS, "points")
    points = [point for point in text.split(",") if not point.isspace() and point]
    positions = _plain(points, form, columns) if _PLAIN.fullmatch(text) else None
    if positions is None:
        positions = _with_prefixes(points, form, columns)
    signs = [form.channels[c].sign for c in columns]
    return np.array(positions, dtype=np.float64).reshape(-1, 2) * signs


def _plain(points: list[str], form: TraceFormat, columns: list[int]) -> list[list[float]] | None:
    """The positions where all values are numbers between spaces; None where something is not so."""
    x, y = columns
    least, most = len(form.channels), len(form.channels) + form.intermittent
    positions = []
    try:
        for point in points:
            values = point.split()
            if not least <= len(values) <= most:
                return None
            positions.append([float(values[x]), float(values[y])])
    except ValueError:
        return None
    return positions


def _with_prefixes(points: list[str], form: TraceFormat, columns: list[int]) -> list[list[float]]:
    least, most = len(form.channels), len(form.channels) + form.intermittent
    axes = [_Axis(), _Axis()]
    positions = []
    for point in points:
        values = _values(point)
        if not least <= len(values) <= most:
            many = "few" if len(values) < least else "many"
            raise Malformed(
                f"the point {_short(point)} has {len(values)} values, too {many} for its traceFormat"
            )
        try:
            positions.append([axis.read(*values[c]) for axis, c in zip(axes, columns, strict=True)])
        except Malformed as reason:
            raise Malformed(f"the point {_short(point)} {reason}") from None
    return positions


def _values(point: str) -> list[tuple[str, str]]:
    """(prefix, number or sign) of each value."""
    within(len(point), _LONGEST, "characters in a point")
    at, values = 0, []
    while match := _VALUE.match(point, at):
        values.append((match[1], match[2]))
        at = match.end()
    if point[at:].strip():
        raise Malformed(f"the point {_short(point)} has {_short(point[at:])}, which is no value")
    return values


def _short(text: str) -> str:
    return repr(text.strip()[:40])


class _Axis:
    """A channel of positions, value after value."""

    def __init__(self) -> None:
        self._order = "!"
        self._token = ""  # the last number
        self._value: float | None = None
        self._difference: float | None = None

    def read(self, prefix: str, token: str) -> float:
        if token in ("T", "F", "?") or (token == "*" and (prefix or not self._token)):
            raise Malformed("has no position")
        self._order = prefix or self._order
        self._token = token = self._token if token == "*" else token
        number, before = _number(token), self._value
        if self._order == "!":
            self._difference = None if before is None else number - before
            self._value = number
            return number
        if before is None:
            raise Malformed("begins a trace with a difference")
        if self._order == "'":
            self._difference = number
        elif self._difference is None:
            raise Malformed("has a second difference before there is a first one")
        else:
            self._difference += number
        self._value = before + self._difference
        return self._value


def _number(token: str) -> float:
    token = "".join(token.split())
    if "#" not in token:
        return float(token)
    try:
        return float(int(token.replace("#", ""), 16))
    except OverflowError:
        raise Malformed("has a number that no device counts to") from None
