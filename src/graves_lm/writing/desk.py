"""What the sample command does with a network of handwriting: a text, filled in and set, to files."""

from collections.abc import Callable
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from graves_lm.data.opening import prepare
from graves_lm.rendering.handwriting import USUAL
from graves_lm.runtime.errors import UserError, visible
from graves_lm.runtime.terminal import say
from graves_lm.sampling.protocols import DrawsHandwriting
from graves_lm.trained.handwriting import TrainedHandwriting
from graves_lm.trained.training_data import data_of
from graves_lm.writing.block import Block
from graves_lm.writing.letter import letter_of, page_of
from graves_lm.writing.merge import record_of, write_letters
from graves_lm.writing.named_hand import NamedHand
from graves_lm.writing.output import check_output
from graves_lm.writing.page import PageSettings
from graves_lm.writing.pen import Pen
from graves_lm.writing.prime import named_prime
from graves_lm.writing.table import read_table
from graves_lm.writing.text_lines import block_lines
from graves_lm.writing.wrap import TextLine
from graves_lm.writing.writer import Writer


def write(
    trained: TrainedHandwriting, sampler: DrawsHandwriting, cfg: DictConfig, named: NamedHand | None = None
) -> None:
    """The text on pages, to the outputs; what went wrong with a line, to standard error."""
    letter = letter_of(cfg)
    page = page_of(cfg, letter.template)

    def lines_of(blocks: list[Block], where: str) -> list[TextLine]:
        return block_lines(blocks, trained.alphabet, page, cfg.width, cfg.on_unknown, cfg.hyphenate, where)

    if cfg.table is not None:
        rows = read_table(cfg.table)
        letters = [
            lines_of(letter.blocks(row), f"table={cfg.table}: row {number}")
            for number, row in enumerate(rows, 1)
        ]
        merge(letters, page, lambda: pen_of(trained, sampler, cfg, named), cfg)
        return
    lines = lines_of(letter.blocks(), letter.where)
    outputs = outputs_of(cfg)
    written = pen_of(trained, sampler, cfg, named).write(lines, page, progress=True)
    for warning in written.warnings:
        say("sample", warning)
    for path in outputs:
        for file in written.save(path):
            print(visible(str(file)))


def merge(letters: list[list[TextLine]], page: PageSettings, pen: Callable[[], Pen], cfg: DictConfig) -> None:
    """A letter for each row of a table."""
    if cfg.output is None:
        raise UserError("table=: give output=letters/letter.pdf or the like, which becomes letter-1.pdf, …")
    output = Path(cfg.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    check_output(output)
    new = doubtful = 0
    for written in write_letters(letters, pen(), page, output, said_of(cfg, page), progress=True):
        for file in written.files:
            print(visible(str(file)))
        new, doubtful = new + 1, doubtful + bool(written.doubts)
    before = f", {len(letters) - new} were there before" if new < len(letters) else ""
    say("sample", f"{new} letters, {doubtful} with doubtful lines{before}; see {record_of(output)}")


def said_of(cfg: DictConfig, page: PageSettings) -> str:
    """What besides the text decides on how it is written."""
    sampler = OmegaConf.to_container(cfg.sampler, resolve=True)
    return repr((cfg.ckpt, cfg.seed, cfg.hand, cfg.one_hand, sampler, page))


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
