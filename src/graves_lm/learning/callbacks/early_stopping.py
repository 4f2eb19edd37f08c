"""Stop when validations bring nothing better any more."""

import math
from typing import Any

import torch
from lightning.pytorch import callbacks


class EarlyStopping(callbacks.EarlyStopping):
    """Lightning's, whose count survives a change of its settings: what a checkpoint keeps is how many
    validations in a row were no better, and than what; the settings are the run's."""

    @property
    def state_key(self) -> str:
        return "EarlyStopping"

    def state_dict(self) -> dict[str, Any]:
        return {
            "monitor": self.monitor,
            "best": float(self.best_score) if math.isfinite(self.best_score) else None,
            "waited": self.wait_count,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict["monitor"] == self.monitor:  # another metric's best would say nothing
            self.wait_count = state_dict["waited"]
            if state_dict["best"] is not None:
                self.best_score = torch.tensor(state_dict["best"])
