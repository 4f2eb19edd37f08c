"""Curves of a training as an SVG picture: figures over optimiser steps, with marks where something changed.

Written out as text: a picture of a few lines needs no plotting library, and every browser shows it.
"""

import math
from collections.abc import Mapping, Sequence
from html import escape

Points = Sequence[tuple[float, float]]
COLOURS = ("#00607a", "#d1495b", "#66a182", "#edae49", "#5e548e", "#8d6a4f", "#3d9be9", "#222222")
_LEFT, _RIGHT, _TOP, _BOTTOM = 74, 16, 34, 46
_LEGEND = 18  # the height of a name
_STEEP = 4.0
"""Figures further from the best one than so many times the median's distance stand at the upper edge."""


def chart(
    curves: Mapping[str, Points],
    figure: str,
    marks: Sequence[tuple[float, str]] = (),
    width: int = 760,
    height: int = 380,
) -> str:
    """An SVG document of curves by name, lower being better.

    Args:
        curves: (step, figure) of each point; figures that are not finite are left out.
        figure: the name of the figure, at the upright axis.
        marks: steps with a name, as upright lines: where a stage begins.
    """
    kept = {name: [(x, y) for x, y in points if math.isfinite(y)] for name, points in curves.items()}
    xs = [x for points in kept.values() for x, _ in points] + [x for x, _ in marks] or [0.0]
    ys = sorted(y for points in kept.values() for _, y in points) or [0.0]
    low, high = ys[0], min(ys[-1], ys[0] + _STEEP * (ys[len(ys) // 2] - ys[0]))
    rows, columns = ticks(low, high if high > low else low + 1), ticks(0.0, max(xs) or 1.0)
    low, high, far = rows[0], max(rows[-1], high), max(columns[-1], max(xs))

    def across(x: float) -> float:
        return _LEFT + (width - _LEFT - _RIGHT) * x / far

    def up(y: float) -> float:
        share = (min(y, high) - low) / (high - low)
        return height - _BOTTOM - (height - _BOTTOM - _TOP) * share

    named = len(kept) > 1
    whole = height + (_LEGEND * len(kept) + 6 if named else 0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {whole}" font-family="sans-serif" '
        'font-size="12" fill="#333">',
        f'<rect width="{width}" height="{whole}" fill="#fff"/>',
    ]
    for y in rows:
        parts.append(f'<path d="M{_LEFT} {up(y):.1f}H{width - _RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{up(y) + 4:.1f}" text-anchor="end">{y:g}</text>')
    for x in columns:
        parts.append(
            f'<text x="{across(x):.1f}" y="{height - _BOTTOM + 18}" text-anchor="middle">{x:,g}</text>'
        )
    for x, name in marks:
        parts.append(
            f'<path d="M{across(x):.1f} {_TOP}V{height - _BOTTOM}" stroke="#999" stroke-dasharray="4 3"/>'
        )
        parts.append(f'<text x="{across(x) + 4:.1f}" y="{_TOP - 6}">{escape(name)}</text>')
    for i, (name, points) in enumerate(kept.items()):
        colour = COLOURS[i % len(COLOURS)]
        places = [f"{across(x):.1f} {up(y):.1f}" for x, y in points]
        if places:
            parts.append(
                f'<path d="M{"L".join(places)}" fill="none" stroke="{colour}" stroke-width="1.8"><title>'
                f"{escape(name)}</title></path>"
            )
        parts += [
            f'<circle cx="{p.split()[0]}" cy="{p.split()[1]}" r="2.4" fill="{colour}"/>' for p in places
        ]
        if named:  # below the picture, where no curve is
            y = height + _LEGEND * i + 8
            parts.append(f'<path d="M{_LEFT} {y}h24" stroke="{colour}" stroke-width="1.8"/>')
            parts.append(f'<text x="{_LEFT + 32}" y="{y + 4}">{escape(name)}</text>')
    middle = (height - _BOTTOM + _TOP) / 2
    upright = f'transform="translate(16 {middle:.0f}) rotate(-90)"'
    parts.append(f'<text {upright} text-anchor="middle">{escape(figure)}</text>')
    parts.append(
        f'<text x="{(width + _LEFT) / 2:.0f}" y="{height - 8}" text-anchor="middle">steps</text></svg>'
    )
    return "\n".join(parts) + "\n"


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers at even distances, from the last one at or below `low` up to `high`."""
    rough = (high - low) / about
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough * 0.999)
    first = math.floor(low / step + 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]
