"""The types that settings are declared with.

Upper bounds are far above what anybody trains with: they are there for slips of the finger and for files from
strangers, which must not make a machine run out of memory.
"""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

Count = Annotated[int, Meta(ge=1, le=10**9)]
CountOrNone = Annotated[int, Meta(ge=0, le=10**9)]
Few = Annotated[int, Meta(ge=1, le=1000)]
Layers = Annotated[int, Meta(ge=1, le=100)]
Size = Annotated[int, Meta(ge=1, le=16384)]
Rows = Annotated[int, Meta(ge=1, le=65536)]
Steps = Annotated[int, Meta(ge=1, le=10**6)]
Lines = Annotated[int, Meta(ge=1, le=10**7)]
Characters = Annotated[int, Meta(ge=1, le=1000)]
Seed = Annotated[int, Meta(ge=0, le=2**63 - 1)]

Number = Annotated[float, Meta(ge=-1e9, le=1e9)]
NonNegative = Annotated[float, Meta(ge=0, le=1e9)]
Positive = Annotated[float, Meta(gt=0, le=1e9)]
Rate = Annotated[float, Meta(gt=0, le=1e3)]
Share = Annotated[float, Meta(ge=0, le=1)]
ShareBelowOne = Annotated[float, Meta(ge=0, lt=1)]
ProperShare = Annotated[float, Meta(gt=0, lt=1)]
Millimetres = Annotated[float, Meta(ge=1e-3, le=1e5)]
Slant = Annotated[float, Meta(ge=-60, le=60)]
Speed = Annotated[float, Meta(ge=1, le=1e6)]
Margin = Annotated[float, Meta(ge=0, le=1e5)]

Name = Annotated[str, Meta(min_length=1, max_length=4096, pattern=r"^[^\0]*\Z")]
Command = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[ -~]*\Z")]
Place = Name | Path
Places = (
    Annotated[str, Meta(min_length=1, max_length=4096)]
    | Annotated[list[Name], Meta(min_length=1, max_length=20)]
)
"""One or several. The one has no pattern, since msgspec ends the process where a union has it and a list."""
Fields = Annotated[
    dict[str, str | int | float], Meta(max_length=1000, description='texts by their names, fields.NAME="…",')
]
Hand = Annotated[int, Meta(ge=1, le=2**31)] | Place
Width = Annotated[int, Meta(ge=1, le=10_000)]
OnUnknown = Literal["error", "skip", "replace"]
Device = Literal["cpu", "cuda"]
Weights = Literal["float32", "bf16", "int8"]
RecurrentInit = Literal["orthogonal", "uniform"]
Bias = Annotated[float, Meta(ge=0, le=1e6)]
