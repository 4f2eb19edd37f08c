"""A trained network of pen points: handwriting without a text."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch

from graves_lm.data.line_batches import collate
from graves_lm.data.strokes import Floats, Normalisation, StrokeLine
from graves_lm.models.stroke import StrokeNetwork
from graves_lm.sampling.protocols import DrawsStrokes
from graves_lm.trained.lines import nats_of, to_line


class TrainedStrokes:
    """A network of pen points with the units of its data.

    Args:
        network: in evaluation mode.
        normalisation: between data units and the network's.
        config: the settings of its training: model, data, optimizer, sampler.
    """

    task_name: ClassVar = "stroke"
    takes: ClassVar = ("normalisation",)
    sampler_kind: ClassVar[type] = DrawsStrokes

    def __init__(self, network: StrokeNetwork, normalisation: Normalisation, config: Mapping[str, Any]):
        self.network, self.normalisation, self.config = network, normalisation, config

    def write(self, sampler: DrawsStrokes, seed: int = 0) -> list[Floats]:
        """Lines (T, 3) in data units; the same for the same seed."""
        x_TL3 = torch.stack(list(sampler.points(self.network, seed))).cpu().numpy()
        return [to_line(x_TL3[:, line], self.normalisation) for line in range(sampler.lines)]

    @torch.no_grad()
    def nats(self, lines: Sequence[StrokeLine], units: Normalisation) -> float:
        """Of lines in data units, read in these units: their sum, see `nats_of`."""
        batch = collate(lines, units)
        found, _ = self.network(batch.point_TB3[:-1], self.network.initial_state(len(lines)))
        return nats_of(found.log_prob(batch.point_TB3[1:]), batch, units)
