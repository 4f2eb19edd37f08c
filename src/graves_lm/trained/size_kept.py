"""How large what is written after a prime comes out, as a share of the prime itself.

A line is large in its deviations from what is most probable, and a bias makes these narrower. So samples are
smaller than their prime, the more so the larger the bias (docs/adr/0025-primes.md).
"""

from typing import Any

import numpy as np

MEASURED = {0.0: 0.905, 0.5: 0.79, 1.0: 0.745}
"""By bias: the geometric mean, over ten writers whose line was the prime, of the size of samples of the
package's weights over that of the prime."""


def size_kept(sampler: Any) -> float:
    """The share at a sampler's bias; between those measured by straight lines, beyond them as at the last.

    The middle of a bias that changes along the line. 1 for a sampler that has none.

    >>> from graves_lm.sampling.synthesis import SynthesisSampler
    >>> round(size_kept(SynthesisSampler(bias=0.25)), 4), size_kept(object())
    (0.8475, 1.0)
    """
    bias = getattr(sampler, "bias", None)
    if bias is None:
        return 1.0
    return float(np.interp(np.mean(bias), list(MEASURED), list(MEASURED.values())))
