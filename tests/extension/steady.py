"""A sampler from outside of graves_lm: a pen without chance.

Each point is the mode of the network's density. The seed means nothing then, and lines of one text are alike.
"""

from collections.abc import Iterator

import torch

from graves_lm.models.synthesis import SynthesisNetwork, Text, past_the_end
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.events import Event, LineDone, PenPoints, Report
from graves_lm.sampling.passage import SymbolPassage
from graves_lm.settings import declared
from graves_lm.settings.kinds import Count


@declared("sampler")
class SteadyPen:
    batch_size = 1

    def __init__(self, most: Count = 400):
        self.most = most  # points of a line

    def events(self, network: SynthesisNetwork, passage: SymbolPassage) -> Iterator[Event]:
        if any(len(text) == 0 for text in passage.texts):
            raise UserError("the text is empty: give at least one character")
        return self._events(network, passage)

    @torch.inference_mode()
    def _events(self, network: SynthesisNetwork, passage: SymbolPassage) -> Iterator[Event]:
        prime = passage.prime
        before = list(prime.symbol_U) if prime else []
        for line, symbols in enumerate(passage.texts):
            text, state = Text.of([[*before, *symbols]]), network.initial_state(1)
            for point_3 in prime.point_T3 if prime else torch.zeros(1, 3):
                density, state, phi_1V = network.step(point_3[None], text, state)
            coverage_U, nats, stopped, points = torch.zeros(len(symbols)), 0.0, False, 0
            while points < self.most and not stopped:
                point_13 = density.mode
                points, nats = points + 1, nats - float(density.log_prob(point_13))
                yield PenPoints(line, point_13.numpy())
                density, state, phi_1V = network.step(point_13, text, state)
                coverage_U += (phi_1V / phi_1V.sum())[0, len(before) : -1]
                stopped = bool(past_the_end(phi_1V, text))
            yield LineDone(line, Report(points, coverage_U, stopped, nats))
