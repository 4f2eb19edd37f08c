"""A trained network of pen points: handwriting without a text."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from graves_lm.data.strokes import Floats, Normalisation
from graves_lm.models.stroke import StrokeNetwork
from graves_lm.sampling.protocols import DrawsStrokes
from graves_lm.trained.lines import to_line


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
