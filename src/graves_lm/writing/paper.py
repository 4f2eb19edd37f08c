"""Sizes of paper by name."""

from typing import Literal

PaperName = Literal[
    "a3",
    "a4",
    "a5",
    "a6",
    "letter",
    "legal",
    "card",
    "business_card",
    "envelope_dl",
    "envelope_c6",
    "envelope_c5",
    "envelope_10",
]

SIZES: dict[str, tuple[float, float]] = {
    "a3": (297.0, 420.0),
    "a4": (210.0, 297.0),
    "a5": (148.0, 210.0),
    "a6": (105.0, 148.0),
    "letter": (215.9, 279.4),
    "legal": (215.9, 355.6),
    "card": (148.0, 105.0),  # a postcard
    "business_card": (85.0, 55.0),
    "envelope_dl": (220.0, 110.0),
    "envelope_c6": (162.0, 114.0),
    "envelope_c5": (229.0, 162.0),
    "envelope_10": (241.3, 104.8),
}
"""Width and height in mm, as one writes on it: ISO 216 and 269, and North America's."""
