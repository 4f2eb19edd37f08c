"""Ink in any unit, learned from with weights that know theirs."""

import numpy as np
import pytest

from graves_lm.data.hershey.lines import HersheyLines
from graves_lm.data.ink.corpus import InkData
from graves_lm.data.strokes import Normalisation
from graves_lm.learning.units import keep_units
from graves_lm.trained.checkpoint import facts_of, read_checkpoint
from graves_lm.trained.format import METADATA
from tests.data.lines import write_ink

TAKES = ("normalisation", "alphabet")


@pytest.fixture(scope="module")
def lines():
    return list(HersheyLines(4, 4, seed=3, characters=(8, 12)))


def opened(folder, lines, factor):
    """The lines, so many times as large."""
    times = np.array([factor, factor, 1], np.float32)
    source = write_ink(folder / "me.json", [line._replace(strokes=line.strokes * times) for line in lines])
    corpus = InkData(source=source, cache_dir=folder / "cache")
    corpus.prepare()
    corpus.open()
    return corpus


def units_of(name: str) -> Normalisation:
    """Those of the package's weights."""
    units = facts_of(read_checkpoint(name)[METADATA])["normalisation"]
    assert isinstance(units, Normalisation)
    return units


@pytest.mark.parametrize("name", ["synthesis", "stroke"])
def test_lines_of_about_their_size_keep_the_units_of_the_weights(tmp_path, lines, name):
    corpus, known = opened(tmp_path, lines, 1.0), units_of(name)
    assert corpus.normalisation != known
    assert keep_units(corpus, name, TAKES if name == "synthesis" else TAKES[:1]) is None
    assert corpus.normalisation == known


@pytest.mark.parametrize("factor", [1000.0, 0.002])
def test_lines_in_other_units_are_brought_to_their_size(tmp_path, lines, factor):
    """As large as they were before they were made larger, give or take a hand's size."""
    corpus, known = opened(tmp_path, lines, factor), units_of("synthesis")
    told = keep_units(corpus, "synthesis", TAKES)
    assert told is not None
    ratio = corpus.normalisation.std[0] / known.std[0]
    assert corpus.normalisation.std == pytest.approx(known.scaled(ratio).std)
    assert corpus.normalisation.mean == pytest.approx(known.scaled(ratio).mean)
    assert 0.6 < ratio / factor < 1.7
    times = f"{max(ratio, 1 / ratio):,.0f} times as {'large' if factor > 1 else 'small'}"
    assert told == (
        f"init=synthesis: the lines are {times} as those it learned from, and are brought to their size"
    )
    seen = corpus.training_batches().batch(corpus.lines_of("train")).point_TB3
    assert 0.3 < float(seen[1:].abs().max()) < 100


def test_a_reader_reads_any_size(tmp_path, lines):
    corpus = opened(tmp_path, lines, 1000.0)
    own = corpus.normalisation
    assert keep_units(corpus, "reader", TAKES) is None
    assert corpus.normalisation == own
