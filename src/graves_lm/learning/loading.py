"""From a checkpoint back to a task, and to the data that it was trained on."""

from collections.abc import Mapping
from typing import Any

from graves_lm.learning.tasks.base import SequenceTask
from graves_lm.settings import stored
from graves_lm.trained.checkpoint import facts_of, read_metadata, refuse_unfit_weights
from graves_lm.trained.format import METADATA


def load_task(checkpoint: Mapping[str, Any]) -> SequenceTask:
    """The task with its weights, on the CPU and in evaluation mode, of what `read_checkpoint` gave.

    Raises UserError for anything that `read_checkpoint` would refuse.
    """
    checkpoint = {**checkpoint, METADATA: read_metadata(checkpoint[METADATA], "the checkpoint")}
    refuse_unfit_weights(checkpoint)
    metadata = checkpoint[METADATA]
    task: SequenceTask = stored.build(metadata["config"]["model"])(**facts_of(metadata))
    task.load_state_dict(checkpoint["state_dict"])
    task.config = metadata["config"]
    return task.eval()
