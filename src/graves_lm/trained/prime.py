"""A line of handwriting as a prime, in the network's units and symbols."""

import numpy as np
import torch

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.strokes import Normalisation, StrokeLine
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.passage import Prime


def prime_of(line: StrokeLine, normalisation: Normalisation, alphabet: Alphabet) -> Prime:
    """A line as what a sample goes on from; a space is set between its text and the sample's.

    One more than five times as large or small as the lines learned from is in other units (a tablet's counts,
    hundredths of a millimetre, inches), and is scaled: its offsets then vary as theirs do.

    Raises UserError for a line without a text, of fewer than twenty points, of characters not learned, or
    without any extent.
    """
    if not line.text.strip():
        raise UserError(f"the prime {line.id} has no text: give one with its strokes")
    if len(line.strokes) < 20:
        raise UserError(f"the prime {line.id} has {len(line.strokes)} points: too short to show a style")
    point_T3 = torch.from_numpy(normalisation.apply(line.strokes))
    # Of a tiny prime nothing but the mean is left here, which is why its own spread is asked as well.
    spread = float(np.sqrt(np.mean(np.var(line.strokes[1:, :2] / np.array(normalisation.std), axis=0))))
    if not 0 < spread < np.inf:
        raise UserError(f"the prime {line.id} has no extent: all its points are one")
    if spread < 0.1 or not 0.2 < float(point_T3[1:, :2].std()) < 5:
        point_T3 = torch.from_numpy(normalisation.apply(line.strokes * (1 / spread, 1 / spread, 1)))
    point_T3[0, :2], point_T3[-1, 2] = 0, 1
    return Prime(point_T3, alphabet.encode(line.text.strip() + " ", where=f"prime {line.id}").tolist())
