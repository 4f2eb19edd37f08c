"""The mean of several networks' weights, a "soup" (M. Wortsman et al., "Model soups", ICML 2022).

Where one training went on from another, the mean is often better than either. It may have learned more
characters than the other knows: what only some know is the mean of these.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from graves_lm.runtime.errors import UserError
from graves_lm.trained.format import METADATA, NETWORK


def _characters(checkpoint: Mapping[str, Any]) -> list[str]:
    return list(checkpoint[METADATA]["facts"].get("alphabet", {}).get("characters", ()))


def _data(card: Mapping[str, Any]) -> dict[str, Any]:
    """What the data are like, but for the characters of an alphabet."""
    facts = dict(card["facts"])
    if "alphabet" in facts:
        facts["alphabet"] = {name: fact for name, fact in facts["alphabet"].items() if name != "characters"}
    return facts


_OF_TRAINING = (  # of a network's settings those that a trained one is without: how it began, and learned
    *("recurrent_init", "forget_bias", "window_scale", "log_sharpness", "points_per_character"),
    *("drop", "clip", "output_clip"),
)


def _network(card: Mapping[str, Any]) -> dict[str, Any]:
    settings = card["config"]["model"]["network"]
    return {name: value for name, value in settings.items() if name not in _OF_TRAINING}


KINDS = {
    "task": lambda card: card["task"],
    "network": _network,
    "data's symbols or normalisation": _data,
}
"""What networks must share for a mean of their weights to be one, besides the first of their characters."""


def mean(checkpoints: Sequence[dict[str, Any]], shares: Sequence[float] | None = None) -> dict[str, Any]:
    """Of the checkpoints the first that knows most characters, with the mean of all their networks' weights.
    It has a hand only where it is of one checkpoint.

    Args:
        shares: how much of each, positive numbers; None: as much of each, a "uniform soup".

    Raises UserError for networks of different kinds, sizes or normalisations, and where the characters of one
    are not the first ones of another.
    """
    most = max(checkpoints, key=lambda one: len(_characters(one)))
    for other in checkpoints:
        for what, of in KINDS.items():
            if of(other[METADATA]) != of(most[METADATA]):
                raise UserError(f"checkpoints that differ in their {what} have no mean")
        if (own := _characters(other)) != _characters(most)[: len(own)]:
            raise UserError("checkpoints that differ in the order of their data's symbols have no mean")
    share_N = [1.0] * len(checkpoints) if shares is None else list(shares)
    known_N = [len(_characters(one)) for one in checkpoints]
    weights = {
        name: _mean([c["state_dict"][name].double() for c in checkpoints], share_N, known_N)
        for name in most["state_dict"]
        if name.startswith(NETWORK)
    }
    card = {key: value for key, value in most[METADATA].items() if key != "hand" or len(checkpoints) == 1}
    return {"state_dict": weights, METADATA: card}


def _mean(weight_N: Sequence[Tensor], share_N: Sequence[float], known_N: Sequence[int]) -> Tensor:
    """Of one weight of networks that know so many characters each. Where it has an entry for each, those that
    a network lacks are the mean of what the others have; entries behind them, such as a blank, are all's."""
    shapes = {weight.shape for weight in weight_N}
    if len(shapes) == 1:
        return _weighted(weight_N, share_N)
    axis = next(n for n, sizes in enumerate(zip(*shapes, strict=True)) if len(set(sizes)) > 1)
    weight_N = [weight.movedim(axis, 0) for weight in weight_N]
    parts, first = [], 0
    for last in sorted(set(known_N)):
        have = [n for n, known in enumerate(known_N) if known >= last]
        parts.append(_weighted([weight_N[n][first:last] for n in have], [share_N[n] for n in have]))
        first = last
    behind = [weight[known:] for weight, known in zip(weight_N, known_N, strict=True)]
    return torch.cat([*parts, _weighted(behind, share_N)]).movedim(0, axis)


def _weighted(weight_N: Sequence[Tensor], share_N: Sequence[float]) -> Tensor:
    whole = sum(share * weight for share, weight in zip(share_N, weight_N, strict=True))
    assert isinstance(whole, Tensor)
    return whole / sum(share_N)
