"""The kinds of trained networks, by the name of the task that trains them."""

from typing import Any

from graves_lm.trained.handwriting import TrainedHandwriting
from graves_lm.trained.reader import TrainedReader
from graves_lm.trained.strokes import TrainedStrokes
from graves_lm.trained.text import TrainedText

Trained = TrainedText | TrainedStrokes | TrainedHandwriting | TrainedReader
KINDS: dict[str, Any] = {
    kind.task_name: kind for kind in (TrainedText, TrainedStrokes, TrainedHandwriting, TrainedReader)
}
