"""What stroke prediction and synthesis share: scores of predicted points."""

from torch import Tensor

from graves_lm.data.line_batches import LineBatch
from graves_lm.distributions import StrokeDistribution


def score(distribution: StrokeDistribution, batch: LineBatch, steps: slice = slice(None)) -> Tensor:
    """Nats summed over the scored points of these steps, (26); `distribution` has their shape (T, B)."""
    nats_TB = -distribution.log_prob(batch.point_TB3[1:][steps])
    return nats_TB.masked_fill(~batch.scored_TB[steps], 0).sum()


def squared_error(distribution: StrokeDistribution, batch: LineBatch) -> Tensor:
    """The squared distance of each scored offset from its density's mean, summed over points and axes."""
    distance_TB = (distribution.mean - batch.point_TB3[1:])[..., :2].square().sum(-1)
    return distance_TB.masked_fill(~batch.scored_TB, 0).sum()
