"""How well sampled lines show their text, as the network itself reads them.

A line that is legible is explained by its own text much better than by the same letters in another order.
So lines of one text are compared by

    log Pr(line | text) − mean over shuffled texts of log Pr(line | shuffled text)

which has no part in how smooth, large or usual the writing is: that is the same under both. A line's own
likelihood would not do: a density is highest where the pen hardly moves.

Shape legend: T points of the longest line, L lines, R rows read side by side: each line with some texts.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from graves_lm.models.synthesis import SynthesisNetwork, Text

SHUFFLES = 2
_POINTS = 64  # a multiple of which is read: others would each be laid out anew, and kept
_ROWS = 16  # that are read side by side: a pass over a few rows takes hardly longer than over one


@torch.inference_mode()
def legibility(
    network: SynthesisNetwork,
    lines: Sequence[Tensor],
    symbols: Sequence[int],
    before: Sequence[int] = (),
    prime_T3: Tensor | None = None,
) -> list[float]:
    """The nats by which `symbols` explain each line (T, 3) better than shuffled ones do.

    Args:
        before, prime_T3: the symbols and points of the prime that was read first.
    """
    device = network.window.weight.device
    first_T3 = torch.zeros(1, 3) if prime_T3 is None else prime_T3.cpu()
    point_TL3 = pad_sequence([torch.cat([first_T3, line]) for line in lines])
    # oneDNN keeps what it has made for each number of points that it has met, a thousand of them.
    missing = (1 - len(point_TL3)) % _POINTS
    point_TL3 = pad(point_TL3, (0, 0, 0, 0, 0, missing)).to(device)
    lengths_L = torch.tensor([len(first_T3) + len(line) for line in lines], device=device)
    # Row t is predicted from row t − 1.
    number_T1 = torch.arange(1, len(point_TL3), device=device).unsqueeze(1)
    counts_TL = (number_T1 >= len(first_T3)) & (number_T1 < lengths_L)

    def nats(texts: Sequence[Sequence[int]]) -> Tensor:
        """Of each line with each of these texts, (texts, L)."""
        rows = Text.of([[*before, *text] for text in texts for _ in lines], device)
        point_TR3 = point_TL3.repeat(1, len(texts), 1)
        distribution, _, _ = network(point_TR3[:-1], rows, network.initial_state(len(rows.length_B)))
        nats_TR = -distribution.log_prob(point_TR3[1:])
        return (
            nats_TR.masked_fill(~counts_TL.repeat(1, len(texts)), 0)
            .double()
            .sum(0)
            .unflatten(0, (-1, len(lines)))
        )

    random = np.random.default_rng(0)
    texts = [random.permutation(symbols).tolist() for _ in range(SHUFFLES)] + [list(symbols)]
    at_once = max(1, _ROWS // len(lines))
    *others, own_L = torch.cat([nats(texts[i : i + at_once]) for i in range(0, len(texts), at_once)])
    return (torch.stack(others).mean(0) - own_L).tolist()
