"""The sample command: a checkpoint of any task in; text on the terminal, or files of handwriting, out."""

import os
import sys
from collections.abc import Iterable, Iterator
from itertools import chain

from omegaconf import DictConfig

from graves_lm.rendering.handwriting import write_handwriting
from graves_lm.runtime.errors import UserError, visible
from graves_lm.runtime.files import write as write_file
from graves_lm.runtime.terminal import escaped
from graves_lm.sampling.protocols import DrawsStrokes, DrawsText
from graves_lm.trained.checkpoint import PRETRAINED
from graves_lm.trained.handwriting import TrainedHandwriting
from graves_lm.trained.kinds import Trained
from graves_lm.trained.loading import load_trained, move
from graves_lm.trained.samplers import make_sampler
from graves_lm.trained.strokes import TrainedStrokes
from graves_lm.trained.text import TrainedText
from graves_lm.writing.desk import outputs_of, write
from graves_lm.writing.named_hand import named_hand

_WRITES = ("text", "text_file", "template")
_ONLY = {"prompt": "character", **dict.fromkeys((*_WRITES, "table", "lines", "hand"), "synthesis")}


def run(cfg: DictConfig) -> None:
    """Draw what `cfg` (conf/sample.yaml) asks for."""
    if cfg.ckpt is None and not (cfg.prompt or any(cfg[key] for key in _WRITES)):
        raise UserError('give text="…" to be written by hand, prompt="…" to be gone on from, or ckpt=PATH')
    if not isinstance(cfg.seed, int):
        raise UserError(f"seed={cfg.seed}: a whole number is needed")
    named = None if cfg.hand is None or cfg.prompt else named_hand(cfg.hand, cfg.hands_dir)
    if named is not None and named.of_weights:
        if cfg.ckpt is not None:
            raise UserError(f"{named.where}: weights, and so is ckpt={cfg.ckpt}; give one of them")
        trained: Trained = named.trained()
    else:
        trained = load_trained(cfg.ckpt or packaged("character" if cfg.prompt else "synthesis"))
    for key, model in _ONLY.items():
        if cfg[key] not in (None, "") and trained.task_name != model:
            raise UserError(f"{key}= is for model={model}; this checkpoint is of model={trained.task_name}")
    sampler = make_sampler(trained.config["sampler"], cfg.sampler, trained.sampler_kind)
    move(trained, cfg.device)
    if isinstance(trained, TrainedText):
        stream_text(trained, sampler, cfg)
    elif isinstance(trained, TrainedStrokes):
        draw(trained, sampler, cfg)
    elif isinstance(trained, TrainedHandwriting):
        write(trained, sampler, cfg, named)


def packaged(task: str) -> str:
    """The name of the package's weights for a task."""
    if not (PRETRAINED / f"{task}.safetensors").is_file():
        raise UserError(
            f"the package has no weights for model={task}: give ckpt=PATH, a checkpoint of graves_lm.train, "
            "or install a package with them"
        )
    return task


def stream_text(trained: TrainedText, sampler: DrawsText, cfg: DictConfig) -> None:
    """Text to the terminal as it is sampled, its control characters as escapes; and, when all is there, to
    `output` as it is."""
    if cfg.output is not None:
        check_text_output(cfg.output)
    trained.symbols.encode(cfg.prompt, where="prompt")  # an unknown symbol is found before anything is shown
    # Bytes of the command line that are not UTF-8 arrive as lone surrogates, which no terminal can show.
    written = [cfg.prompt.encode(errors="surrogateescape").decode(errors="replace")]

    def pieces() -> Iterator[str]:
        yield written[0]
        for piece in trained.write(sampler, prompt=cfg.prompt, seed=cfg.seed):
            written.append(piece)
            yield piece

    ended: SystemExit | None = None
    for shown in whole_line_ends(chain(pieces(), "\n")):
        try:
            if ended is None:
                sys.stdout.write(escaped(shown.replace("\r\n", "\n")).replace("\r", "\\r"))
                sys.stdout.flush()
        except SystemExit as stop:  # nobody reads on
            if cfg.output is None:
                raise
            ended = stop
    if cfg.output is not None:
        write_file(cfg.output, "".join(written))
    if ended is not None:
        raise ended


def check_text_output(output: str) -> None:
    """Raises UserError where no file could be written: before the text is sampled, not after."""
    folder = os.path.dirname(os.path.abspath(output))
    if os.path.isdir(output):
        raise UserError(f"output={output}: it is a folder; add a file's name")
    if not os.path.isdir(folder):
        raise UserError(f"output={output}: its folder does not exist; make it first")
    if not os.access(output if os.path.exists(output) else folder, os.W_OK):
        raise UserError(f"output={output}: it cannot be written; choose another place, or allow it")


def whole_line_ends(pieces: Iterable[str]) -> Iterator[str]:
    """The pieces, a carriage return held back until it is known whether a newline follows."""
    held = ""
    for piece in pieces:
        text = held + piece
        held = "\r" if text.endswith("\r") else ""
        yield text.removesuffix("\r")
    yield held


def draw(trained: TrainedStrokes, sampler: DrawsStrokes, cfg: DictConfig) -> None:
    """Lines without a text, to the outputs."""
    outputs = outputs_of(cfg)
    lines = trained.write(sampler, cfg.seed)
    for path in outputs:
        write_handwriting(path, lines)
        print(visible(str(path)))
