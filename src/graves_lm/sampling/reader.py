"""From a reader's outputs to texts."""

from collections.abc import Sequence

from torch import Tensor

from graves_lm.models.reader import best_path
from graves_lm.settings import declared


@declared("sampler")
class BestPath:
    """Reads the likeliest output at every frame: a `sampling.protocols.ReadsInk`.

    >>> import torch
    >>> BestPath().texts(torch.eye(3)[[0, 0, 2, 0, 1]][:, None].log(), torch.tensor([5]))
    [[0, 0, 1]]
    """

    def texts(self, log_p_TBY: Tensor, length_B: Tensor) -> Sequence[Sequence[int]]:
        """The symbols of each line, of log Pr at its frames."""
        return best_path(log_p_TBY, length_B)
