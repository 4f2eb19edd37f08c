"""Evaluating: a pass at fixed weights, learning on the way (dynamic evaluation), quality of handwriting."""

from graves_lm.evaluation.command import run

__all__ = ["run"]
