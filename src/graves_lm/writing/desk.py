"""What the sample command does with a network of handwriting: a text, filled in and set, to files."""

from pathlib import Path

from omegaconf import DictConfig

from graves_lm.data.opening import prepare
from graves_lm.rendering.handwriting import USUAL
from graves_lm.runtime.errors import visible
from graves_lm.runtime.terminal import say
from graves_lm.sampling.protocols import DrawsHandwriting
from graves_lm.trained.handwriting import TrainedHandwriting
from graves_lm.trained.training_data import data_of
from graves_lm.writing.letter import letter_of, page_of
from graves_lm.writing.named_hand import NamedHand
from graves_lm.writing.output import check_output
from graves_lm.writing.pen import Pen
from graves_lm.writing.prime import named_prime
from graves_lm.writing.text_lines import block_lines
from graves_lm.writing.writer import Writer


def write(
    trained: TrainedHandwriting, sampler: DrawsHandwriting, cfg: DictConfig, named: NamedHand | None = None
) -> None:
    """The text on pages, to the outputs; what went wrong with a line, to standard error."""
    letter = letter_of(cfg)
    page = page_of(cfg, letter.template)
    lines = block_lines(
        letter.blocks(), trained.alphabet, page, cfg.width, cfg.on_unknown, cfg.hyphenate, letter.where
    )
    outputs = outputs_of(cfg)
    written = pen_of(trained, sampler, cfg, named).write(lines, page, progress=True)
    for warning in written.warnings:
        say("sample", warning)
    for path in outputs:
        for file in written.save(path):
            print(visible(str(file)))


def pen_of(
    trained: TrainedHandwriting, sampler: DrawsHandwriting, cfg: DictConfig, named: NamedHand | None
) -> Pen:
    """What writes, in the hand that is asked for."""
    prime = named_prime(
        sampler,
        lambda words: trained.alphabet.spell(words, cfg.on_unknown, "sampler.prime_text"),
        lambda: prepare(data_of(cfg, trained.config), trained),
    )
    weights = named is not None and named.of_weights
    return Writer(trained, bank=not (weights and named is not None and named.has_hand)).pen(
        seed=cfg.seed,
        prime=prime,
        hand=None if weights else cfg.hand,
        hands_dir=cfg.hands_dir,
        one_hand=cfg.one_hand,
        on_unknown=cfg.on_unknown,
        sampler=sampler,
    )


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
