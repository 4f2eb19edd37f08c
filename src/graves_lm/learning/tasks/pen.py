"""What stroke prediction and synthesis share: scores of predicted points, and a picture."""

import torch
from torch import Tensor

from graves_lm.data.line_batches import LineBatch
from graves_lm.data.strokes import Normalisation
from graves_lm.distributions import StrokeDistribution
from graves_lm.rendering.heatmap import density_heatmap
from graves_lm.rendering.png import to_png


def score(distribution: StrokeDistribution, batch: LineBatch, steps: slice = slice(None)) -> Tensor:
    """Nats summed over the scored points of these steps, (26); `distribution` has their shape (T, B)."""
    nats_TB = -distribution.log_prob(batch.point_TB3[1:][steps])
    return nats_TB.masked_fill(~batch.scored_TB[steps], 0).sum()


def squared_error(distribution: StrokeDistribution, batch: LineBatch) -> Tensor:
    """The squared distance of each scored offset from its density's mean, summed over points and axes."""
    distance_TB = (distribution.mean - batch.point_TB3[1:])[..., :2].square().sum(-1)
    return distance_TB.masked_fill(~batch.scored_TB, 0).sum()


def density_picture(
    distribution: StrokeDistribution, batch: LineBatch, normalisation: Normalisation
) -> bytes:
    """A PNG of the densities (T, 1) predicted along a batch's only line.

    In data units: normalised offsets have no mean, so there a line would be written on the spot.
    """
    in_data_units = distribution[:, 0].in_units(*map(torch.tensor, (normalisation.mean, normalisation.std)))
    return to_png(density_heatmap(in_data_units, normalisation.invert(batch.point_TB3[1:, 0].numpy())))
