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
from graves_lm.trained.loading import packaged_reader
from graves_lm.trained.training_data import data_of
from graves_lm.writing.block import Block
from graves_lm.writing.bulk import check_ending, hand_names, parts_of, write_lines
from graves_lm.writing.hands import bank_size
from graves_lm.writing.letter import letter_of, page_of
from graves_lm.writing.merge import write_letters
from graves_lm.writing.named_hand import NamedHand
from graves_lm.writing.output import check_output
from graves_lm.writing.page import PageSettings
from graves_lm.writing.pen import Pen
from graves_lm.writing.prime import named_prime
from graves_lm.writing.record import record_of
from graves_lm.writing.table import read_table
from graves_lm.writing.text_lines import block_lines
from graves_lm.writing.wrap import TextLine
from graves_lm.writing.writer import Writer


def write(
    trained: TrainedHandwriting, sampler: DrawsHandwriting, cfg: DictConfig, named: NamedHand | None = None
) -> None:
    """The text on pages, to the outputs; what went wrong with a line, to standard error."""
    check_together(cfg)
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
        merge(letters, page, lambda: telling(pen_of(trained, sampler, cfg, named)), cfg)
        return
    lines = lines_of(letter.blocks(), letter.where)
    if cfg.lines is not None:

        def in_hand(hand: str | None) -> Pen:
            return telling(pen_of(trained, sampler, cfg, named, hand))

        bulk(lines, in_hand, cfg, said_of(cfg, page))
        return
    outputs = outputs_of(cfg)
    written = pen_of(trained, sampler, cfg, named).write(lines, page, progress=True)
    for warning in written.warnings:
        say("sample", warning)
    for path in outputs:
        for file in written.save(path):
            print(visible(str(file)))


def check_together(cfg: DictConfig) -> None:
    """Raises UserError for settings of which one would have no effect beside, or without, another."""
    if cfg.table is not None and cfg.lines is not None:
        raise UserError("table= and lines=: give one of them")
    for name in ("hands", "pictures"):
        if cfg[name] and cfg.lines is None:
            raise UserError(f"{name}= is for lines=, a data set of lines; give lines=1000 or the like")
    if cfg.lines is not None and cfg.template is not None:
        raise UserError("lines= writes lines, which have no page: leave template= out")
    if cfg.hands is not None and (cfg.hand is not None or not cfg.one_hand):
        raise UserError("hands=: without hand= and one_hand=false; give one of them")


def merge(letters: list[list[TextLine]], page: PageSettings, pen: Callable[[], Pen], cfg: DictConfig) -> None:
    """A letter for each row of a table."""
    output = numbered_output(cfg, "table=: give output=letters/letter.pdf or the like, for letter-1.pdf, …")
    new = doubtful = 0
    for written in write_letters(letters, pen(), page, output, said_of(cfg, page), progress=True):
        for file in written.files:
            print(visible(str(file)))
        new, doubtful = new + 1, doubtful + bool(written.doubts)
    before = f", {len(letters) - new} were there before" if new < len(letters) else ""
    say("sample", f"{new} letters, {doubtful} with doubtful lines{before}; see {record_of(output)}")


def bulk(lines: list[TextLine], pen: Callable[[str | None], Pen], cfg: DictConfig, said: str) -> None:
    """So many lines of a text, as a data set."""
    output = numbered_output(cfg, "lines=: give output=set/lines.inkml or the like, for lines-1.inkml, …")
    check_ending(output)
    hands = [] if cfg.hands is None else hand_names(cfg.hands, bank_size())
    parts = parts_of([line for line in lines if not line.look.foot], cfg.lines, hands)
    for written in write_lines(parts, pen, packaged_reader(), output, said, cfg.pictures, progress=True):
        for file in written.files:
            print(visible(str(file)))
    say("sample", f"{cfg.lines} lines in {len(parts)} files; see {record_of(output)}")


def numbered_output(cfg: DictConfig, advice: str) -> Path:
    """`output`, from which the names of many files are made; its folder is there from now on."""
    if cfg.output is None:
        raise UserError(advice)
    output = Path(cfg.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    check_output(output)
    return output


def said_of(cfg: DictConfig, page: PageSettings) -> str:
    """What besides the text decides on how it is written."""
    sampler = OmegaConf.to_container(cfg.sampler, resolve=True)
    return repr((cfg.ckpt, cfg.seed, cfg.hand, cfg.one_hand, sampler, page))


def pen_of(
    trained: TrainedHandwriting,
    sampler: DrawsHandwriting,
    cfg: DictConfig,
    named: NamedHand | None,
    hand: str | None = None,
) -> Pen:
    """What writes, in the hand that is asked for, or another of the package's."""
    prime = named_prime(
        sampler,
        lambda words: trained.alphabet.spell(words, cfg.on_unknown, "sampler.prime_text"),
        lambda: prepare(data_of(cfg, trained.config), trained),
    )
    weights = named is not None and named.of_weights
    return Writer(trained, bank=not (weights and named is not None and named.has_hand)).pen(
        seed=cfg.seed,
        prime=prime,
        hand=(None if weights else cfg.hand) if hand is None else hand,
        hands_dir=cfg.hands_dir,
        one_hand=cfg.one_hand,
        on_unknown=cfg.on_unknown,
        sampler=sampler,
    )


def telling(pen: Pen) -> Pen:
    """The pen, when its doubts were said."""
    for doubt in pen.doubts:
        say("sample", doubt)
    return pen


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
