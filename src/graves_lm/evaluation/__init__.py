"""Evaluating text models: one pass at fixed weights, or learning on the way (dynamic evaluation)."""

from graves_lm.evaluation.command import run

__all__ = ["run"]
