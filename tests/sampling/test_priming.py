"""Where a line begins that goes on from a prime."""

import torch

from graves_lm.sampling.priming import beginning


def test_strokes_that_end_before_the_window_reaches_the_text_belong_to_the_prime():
    def phi(*looked_at):
        return torch.eye(6)[list(looked_at)]

    def pen(*lifted):
        return [(0.0, 0.0, float(up)) for up in lifted]

    two = 2  # characters of the prime
    assert beginning(pen(0, 1, 0, 0, 1), phi(0, 1, 1, 2, 3), two) == 2
    assert beginning(pen(0, 1, 1, 0, 1), phi(0, 1, 1, 2, 3), two) == 3
    assert beginning(pen(0, 0, 0, 0, 1), phi(0, 1, 1, 2, 3), two) == 0  # no stroke ended in time
    assert beginning(pen(0, 1, 0, 1, 0), phi(2, 2, 3, 3, 4), two) == 0  # the window was there at once
    assert beginning(pen(0, 1, 0, 0, 1), phi(0, 1, 1, 2, 3), 0) == 0  # no prime
    assert beginning(pen(1, 1, 1), phi(0, 0, 1), two) == 2  # the window never came: no point is left but one
