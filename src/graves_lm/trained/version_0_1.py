"""Files of version 0.1, whose classes had other names."""

from typing import Any

_NAMES = {
    "graves_lm.data.pen_hershey.HersheyData": "graves_lm.data.hershey.corpus.HersheyData",
    "graves_lm.data.pen_iam.IamData": "graves_lm.data.iam.corpus.IamData",
    "graves_lm.data.pen_ink.InkData": "graves_lm.data.ink.corpus.InkData",
    "graves_lm.data.text_enwik8.Enwik8": "graves_lm.data.text.enwik8.Enwik8",
    "graves_lm.data.text_file.TextFile": "graves_lm.data.text.file.TextFile",
    "graves_lm.data.text_ptb.PennTreebank": "graves_lm.data.text.ptb.PennTreebank",
    "graves_lm.data.text_stdlib.StdlibText": "graves_lm.data.text.stdlib.StdlibText",
    "graves_lm.optim.Optimization": "graves_lm.learning.optim.Optimization",
    "graves_lm.optim.GravesRMSprop": "graves_lm.learning.optim.GravesRMSprop",
    "graves_lm.tasks.character.CharacterTask": "graves_lm.learning.tasks.character.CharacterTask",
    "graves_lm.tasks.stroke.StrokeTask": "graves_lm.learning.tasks.stroke.StrokeTask",
    "graves_lm.tasks.synthesis.SynthesisTask": "graves_lm.learning.tasks.synthesis.SynthesisTask",
}


def of_today(config: Any) -> Any:
    """The settings of a checkpoint with the names that its classes have now; anything else as it is."""
    if isinstance(config, dict):
        return {
            key: _NAMES.get(value, value) if key == "_target_" and isinstance(value, str) else of_today(value)
            for key, value in config.items()
        }
    return config
