"""The window's picture: brightest at the character being written."""

import numpy as np
import pytest

from graves_lm.rendering.window import window_heatmap


def test_brightest_at_the_character():
    text, T, row = "a window.", 90, 14
    t, u = np.arange(T)[:, None], np.arange(len(text))
    phi = np.exp(-((t / 10 - 0.5 - u) ** 2))
    picture = np.asarray(window_heatmap(phi, text, width=2 * row + 9 * 50, row=row)).astype(int).sum(-1)
    assert picture.shape == (len(text) * row, 2 * row + 9 * 50)
    weights = picture[:, 2 * row :]
    assert [weights[:, 25 + 50 * k].argmax() // row for k in range(9)] == list(range(9))
    axis = picture[:, : 2 * row].reshape(len(text), -1).min(1)
    assert [bool(v < 300) for v in axis] == [c != " " for c in text]  # the characters beside their rows


def test_the_text_must_fit():
    with pytest.raises(ValueError, match="3 characters"):
        window_heatmap(np.ones((5, 4)), "abc")
