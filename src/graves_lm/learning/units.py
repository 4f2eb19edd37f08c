"""A run of pen strokes that begins with weights goes on in their units.

A network knows offsets normalised by the lines that it learned from, and how far one hand is larger than
another is part of what it knows. So lines of about that size keep the weights' normalisation, and lines in
another unit of length, a screen's or a tablet's, are brought to the size at which the weights find them most
likely.

Shapes: L lines of T points each, (T, 3) in data units.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from graves_lm.data.base import Corpus
from graves_lm.data.pen import PenCorpus
from graves_lm.data.strokes import Normalisation, StrokeLine
from graves_lm.trained.loading import load_trained

NEAR = 2.0
"""Up to so many times as large or small is a matter of hands: of IAM-OnDB's writers 0.6 to 1.5."""
_LINES, _POINTS = 8, 500  # of the lines that are looked at
# About the ratio of the offsets' spread, in which the pen's pace is too.
_STEPS = [2 ** (n / 4) for n in range(-8, 9)]


@runtime_checkable
class ScoresLines(Protocol):
    """A trained network of pen points."""

    normalisation: Normalisation

    def nats(self, lines: Sequence[StrokeLine], units: Normalisation) -> float:
        """Of lines in data units, read in these units."""
        ...


def keep_units(corpus: Corpus, path: str, takes: Sequence[str]) -> str | None:
    """From now on, give the corpus's lines in the units of the weights at `path`, of strokes or synthesis, to
    a task that takes these facts.

    Returns a line where the lines are of another size; None where they are not.
    """
    weights = load_trained(path, setting="init")
    if not isinstance(corpus, PenCorpus) or not isinstance(weights, ScoresLines):
        return None  # a reader reads what is of any size
    own, known, told = corpus.normalisation, weights.normalisation, None
    ratio = _spread(own) / _spread(known)
    if not 1 / NEAR <= ratio <= NEAR:
        lines, ratios = _some(corpus), [ratio * step for step in _STEPS]
        ratio = min(ratios, key=lambda one: weights.nats(lines, known.scaled(one)))
        known = known.scaled(ratio)
        times = max(ratio, 1 / ratio)
        size = (f"{times:,.0f}" if times >= 10 else f"{times:.2g}") + " times as "
        size += "large" if ratio > 1 else "small"
        told = f"init={path}: the lines are {size} as those it learned from, and are brought to their size"
    read_in(corpus, known, takes)
    return told


def read_in(corpus: Corpus, units: Normalisation, takes: Sequence[str]) -> None:
    """From now on, give the corpus's lines in these units to a task that takes these facts."""
    facts = corpus.facts()
    corpus.read_as({name: facts[name] for name in takes} | {"normalisation": units})


def _spread(normalisation: Normalisation) -> float:
    return float(np.sqrt(np.prod(normalisation.std)))


def _some(corpus: PenCorpus) -> list[StrokeLine]:
    """Some lines of the training split, from all over it; their beginnings."""
    train = corpus.store.indices("train")
    some = train[np.linspace(0, len(train) - 1, min(_LINES, len(train))).astype(np.int64)]
    return [line._replace(strokes=line.strokes[:_POINTS]) for line in (corpus.store[int(i)] for i in some)]
