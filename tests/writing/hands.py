"""Tiny weights of model=synthesis, as a checkpoint has them, without a training."""

from functools import cache
from typing import Any

import torch

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.strokes import Normalisation
from graves_lm.models.synthesis import SynthesisNetwork
from graves_lm.settings.stored import OPTIMIZATION, SAMPLERS, TASKS

UNITS = Normalisation((8.0, 0.0), (42.0, 36.0))
NETWORK = {"layers": 1, "hidden_size": 10, "mixtures": 2, "points_per_character": 6.0}


def synthesis_checkpoint(
    seed: int = 0, characters: str = " abcde", units: Normalisation = UNITS, **network: Any
) -> dict[str, Any]:
    """Weights from a seed with the metadata that a training writes."""
    settings = NETWORK | network
    weights = _weights(seed, len(characters), tuple(sorted(settings.items())))
    return {
        "state_dict": {f"network.{name}": weight.clone() for name, weight in weights.items()},
        "graves_lm": {
            "task": "synthesis",
            "config": {
                "model": {
                    "_target_": TASKS["synthesis"],
                    "network": {"_target_": "graves_lm.models.synthesis.SynthesisNetwork", **settings},
                    "noise": None,
                },
                "data": {"_target_": "graves_lm.data.ink.corpus.InkData"},
                "optimizer": {"_target_": OPTIMIZATION},
                "sampler": {"_target_": SAMPLERS["synthesis"], "bias": 0.5},
            },
            "facts": {"normalisation": units.to_plain(), "alphabet": Alphabet(characters).to_plain()},
        },
    }


@cache
def _weights(seed: int, symbols: int, settings: tuple[tuple[str, Any], ...]) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return SynthesisNetwork(symbols, **dict(settings)).state_dict()
