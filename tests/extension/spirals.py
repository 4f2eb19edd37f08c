"""A data set from outside of graves_lm: spirals of a pen, each with a text that says how it turns."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from graves_lm.data.pen import PenCorpus, PenLines
from graves_lm.data.strokes import StrokeLine
from graves_lm.settings import declared
from graves_lm.settings.kinds import Lines, Seed


@declared("data")
class Spirals(PenCorpus):
    """Args:
    lines: of the training split; the validation split has a quarter as many.
    seed: of the spirals.
    """

    def __init__(self, lines: Lines = 24, seed: Seed = 0, **settings: Any):
        super().__init__("spirals", **settings)
        self.lines, self.seed = lines, seed

    def cache_key(self) -> Mapping[str, Any]:
        return {"data": self.name, "version": 1, "lines": self.lines, "seed": self.seed}

    def read(self) -> PenLines:
        splits = {
            split: [self.spiral(split, i) for i in range(count)]
            for split, count in {"train": self.lines, "val": max(2, self.lines // 4)}.items()
        }
        return PenLines(splits, "spirals, left and right about")

    def spiral(self, split: str, number: int) -> StrokeLine:
        """Three turns outwards, the pen down until the end."""
        name = f"{split}-{number}"
        random = np.random.default_rng([self.seed, *name.encode()])
        side, points = random.choice([-1, 1]), int(random.integers(30, 60))
        angle = side * np.linspace(0, 6 * np.pi, points)
        radius = np.linspace(0, random.uniform(20, 40), points)
        place_N2 = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
        strokes = np.zeros((points, 3), np.float32)
        strokes[1:, :2] = np.diff(place_N2, axis=0)
        strokes[-1, 2] = 1
        return StrokeLine(name, strokes, "to the left" if side > 0 else "to the right")
