"""Lines that a sampler draws, collected from its events."""

from typing import NamedTuple

import torch
from torch import Tensor

from graves_lm.sampling.events import in_order, whole_lines
from graves_lm.sampling.passage import Passage


class Drawn(NamedTuple):
    """A line in normalised units, and its report's fields."""

    point_T3: Tensor
    coverage_U: Tensor
    stopped: bool
    stuck: int | None
    nats: float
    skipped: list[int]
    faults: tuple[bool, int]


def drawn(sampler, network, texts, **passage) -> list[Drawn]:
    """Each text as a line; `passage` is more of the `Passage`."""
    found = []
    for whole in in_order(whole_lines(sampler.events(network, Passage(texts, **passage)))):
        r = whole.report
        assert r.points == len(whole.points)
        point_T3 = torch.from_numpy(whole.points)
        found.append(Drawn(point_T3, r.coverage_U, r.stopped, r.stuck, r.nats, r.skipped, r.faults))
    return found
