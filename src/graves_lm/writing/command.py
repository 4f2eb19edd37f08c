"""The sample command: a checkpoint of any task in; text on the terminal, or files of handwriting, out."""

import os
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from graves_lm.data.opening import prepare
from graves_lm.data.text_file import read_text_file
from graves_lm.rendering.handwriting import USUAL, write_handwriting
from graves_lm.runtime.errors import UserError, visible
from graves_lm.runtime.files import write as write_file
from graves_lm.runtime.terminal import escaped, say
from graves_lm.sampling.protocols import DrawsHandwriting, DrawsStrokes, DrawsText
from graves_lm.settings.made import made
from graves_lm.trained.checkpoint import PRETRAINED
from graves_lm.trained.handwriting import TrainedHandwriting
from graves_lm.trained.kinds import Trained
from graves_lm.trained.loading import load_trained
from graves_lm.trained.samplers import make_sampler
from graves_lm.trained.strokes import TrainedStrokes
from graves_lm.trained.text import TrainedText
from graves_lm.trained.training_data import data_of
from graves_lm.writing.named_hand import NamedHand, named_hand
from graves_lm.writing.output import check_output
from graves_lm.writing.prime import named_prime
from graves_lm.writing.text_lines import text_lines
from graves_lm.writing.writer import Writer

_ONLY = {"prompt": "character", "text": "synthesis", "text_file": "synthesis", "hand": "synthesis"}


def run(cfg: DictConfig) -> None:
    """Draw what `cfg` (conf/sample.yaml) asks for."""
    if cfg.ckpt is None and not (cfg.prompt or cfg.text or cfg.text_file):
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


def write(
    trained: TrainedHandwriting, sampler: DrawsHandwriting, cfg: DictConfig, named: NamedHand | None = None
) -> None:
    """The text on pages, to the outputs; what went wrong with a line, to standard error."""
    text, where = text_of(cfg)
    settings: Any = OmegaConf.to_container(cfg.page, resolve=True)
    outputs, page = outputs_of(cfg), made(settings, "page")
    markdown = is_markdown(cfg) if cfg.markdown is None else cfg.markdown
    alphabet = trained.alphabet
    lines = text_lines(text, alphabet, page, cfg.width, cfg.on_unknown, markdown, cfg.hyphenate, where)
    prime = named_prime(
        sampler,
        lambda words: trained.alphabet.spell(words, cfg.on_unknown, "sampler.prime_text"),
        lambda: prepare(data_of(cfg, trained.config), trained),
    )
    weights = named is not None and named.of_weights
    pen = Writer(trained, bank=not (weights and named is not None and named.has_hand)).pen(
        seed=cfg.seed,
        prime=prime,
        hand=None if weights else cfg.hand,
        hands_dir=cfg.hands_dir,
        one_hand=cfg.one_hand,
        on_unknown=cfg.on_unknown,
        sampler=sampler,
    )
    written = pen.write(lines, page, progress=True)
    for warning in written.warnings:
        say("sample", warning)
    for path in outputs:
        for file in written.save(path):
            print(visible(str(file)))


def text_of(cfg: DictConfig) -> tuple[str, str]:
    """`text`, or the text in `text_file`; and what to call it in a message."""
    if bool(cfg.text) == bool(cfg.text_file):
        raise UserError('give either text="…" or text_file=PATH: what is to be written')
    if cfg.text:
        return str(cfg.text), "text"
    return read_text_file(cfg.text_file), f"text_file={cfg.text_file}"


def is_markdown(cfg: DictConfig) -> bool:
    """Whether the text's file says that it is Markdown."""
    return cfg.text_file is not None and Path(cfg.text_file).suffix.lower() in (".md", ".markdown")


def outputs_of(cfg: DictConfig) -> list[Path]:
    """Where handwriting goes: `output`, or the usual formats in the run directory. Found to be writable
    before any work."""
    if cfg.output is None:
        Path(cfg.run_dir).mkdir(parents=True, exist_ok=True)
    outputs = [Path(cfg.run_dir) / f"handwriting{ending}" for ending in USUAL]
    if cfg.output is not None:
        outputs = [Path(cfg.output)]
    for path in outputs:
        check_output(path)
    return outputs
