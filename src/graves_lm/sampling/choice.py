"""Which of a line's candidates is kept, and from where another is drawn.

A line that is misread is right in most of its words. So another candidate goes on with the best one so far,
from the beginning of a word that is wrong in it: words are found one after another, where a whole line would
need all of them at once (docs/adr/0036-words-anew.md).
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch

from graves_lm.models.synthesis import SynthesisNetwork
from graves_lm.sampling.events import Report, WholeLine
from graves_lm.sampling.legibility import legibility
from graves_lm.sampling.passage import Judge, Prime, Verdict
from graves_lm.sampling.tries import Mark

PATIENCE = 2
"""How often a word is begun anew before the one before it is as well: what is wrong may have begun there."""
MOST_WORDS = 4
"""So many words' retries a line has at most: of a hand that the reader cannot read, every word is wrong."""


class Candidate(NamedTuple):
    """A sampled line, how a reader finds it, where there is one, and its marks."""

    line: WholeLine
    verdict: Verdict | None
    marks: dict[int, Mark]


class Choice:
    """The candidates of one line.

    Args:
        text: its symbols.
        space: the one between words; None: there is none.
        judge: the reader, if there is one.
        misread: the share of the text's characters that it may read otherwise.
        retries: how often each word may be begun anew.
    """

    def __init__(
        self, text: Sequence[int], space: int | None, judge: Judge | None, misread: float, retries: int
    ):
        self.text, self._judge, self._misread, self._retries = text, judge, misread, retries
        self.words = [u + 1 for u, s in enumerate(text[:-1]) if s == space != text[u + 1]]
        self._begins = [0, *self.words]
        self._candidates: list[Candidate] = []
        self._begun: Counter[int] = Counter()

    def add(self, lines: Sequence[WholeLine], marks: Sequence[dict[int, Mark]]) -> None:
        """Further candidates, with the marks of each."""
        verdicts: Sequence[Verdict | None] = [None] * len(lines)
        if self._judge is not None:
            verdicts = self._judge([torch.from_numpy(line.points) for line in lines], self.text)
        for line, verdict, its_marks in zip(lines, verdicts, marks, strict=True):
            as_judged = line if verdict is None else self._as_judged(line, verdict)
            self._candidates.append(Candidate(as_judged, verdict, its_marks))

    def goes_on_from(self) -> dict[int, Mark] | None:
        """The marks of what the next candidates go on with, up to where they do; none: they begin anew.

        That is the line whose words are right furthest, at the first of those that are wrong in it which was
        not begun anew `retries` times. None where there is no such word, a line of which nothing is wrong, or
        hardly a word that is right.
        """
        if not self._candidates:
            return {}
        spent = self._begun.total() >= MOST_WORDS * self._retries
        if spent or any(_flawless(candidate) for candidate in self._candidates):
            return None
        base = min(self._candidates, key=self._wrong_by_word)
        for word, wrong in enumerate(self._wrong_by_word(base)[:-1]):
            if wrong and self._begun[word] < self._retries:
                first = self._begins[max(0, word - self._begun[word] // PATIENCE)]
                self._begun[word] += 1
                return {begin: mark for begin, mark in base.marks.items() if begin <= first}
        return None

    def _wrong_by_word(self, candidate: Candidate) -> list[float]:
        """How many characters of each word are wrong, and after that how likely the line is its text; of a
        line that was ended by force, there is nothing right from there on."""
        (line, verdict, _), wrong = candidate, [0.0] * len(self._begins)
        for u in {*line.report.skipped, *(verdict.wrong if verdict else ())}:
            wrong[self._word(u)] += 1
        if not line.report.stopped:
            last = self._word(_last_written(line.report))
            wrong[last:] = [float("inf")] * (len(wrong) - last)
        if not any(wrong):  # something is wrong with it, though not with a word
            wrong[0] = 1.0
        return [*wrong, verdict.nats if verdict else 0.0]

    def _word(self, u: int) -> int:
        """The number of the word with character u."""
        return bisect_right(self._begins, u) - 1

    def best(self, network: SynthesisNetwork, prime: Prime | None) -> WholeLine:
        """Of the candidates with the fewest faults, the one that shows its text best."""
        good = least_faulty(self._candidates)
        if self._judge is not None or len(good) == 1:
            return min(good, key=_misreading).line
        before, points = (prime.symbol_U, prime.point_T3) if prime else ((), None)
        lines = [torch.from_numpy(candidate.line.points) for candidate in good]
        shown = legibility(network, lines, self.text, before, points)
        return good[shown.index(max(shown))].line

    def _as_judged(self, line: WholeLine, verdict: Verdict) -> WholeLine:
        """The line without what is none of its text, and in its report what is read, where that is too far
        from it."""
        points = line.points[: len(line.points) - verdict.surplus]
        misread = verdict.read if verdict.errors > self._misread * len(self.text) else None
        return line._replace(points=points, report=replace(line.report, points=len(points), misread=misread))


def _flawless(candidate: Candidate) -> bool:
    (line, verdict, _) = candidate
    return not any(line.report.faults) and (verdict is None or not (verdict.errors or verdict.wrong))


def least_faulty(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates with the fewest faults."""
    least = min(candidate.line.report.faults for candidate in candidates)
    return [candidate for candidate in candidates if candidate.line.report.faults == least]


def _misreading(candidate: Candidate) -> tuple[float, ...]:
    """How far from its text a candidate is read; smaller is better."""
    verdict = candidate.verdict
    return (verdict.errors, len(verdict.wrong), verdict.nats) if verdict else ()


def _last_written(report: Report) -> int:
    """The character at which a line was ended by force."""
    written = report.coverage_U.ge(1).nonzero()
    return report.stuck if report.stuck is not None else int(written.max()) if len(written) else 0
