"""`evaluate samples=true`: how good the handwriting of a synthesis network is, beside real lines.

The texts of held-out lines are written at several biases, and compared with those lines:

    stopped                the share of lines that end by the stop rule (section 5.3); of real lines: on
                           which it holds at some point, while the network reads them
    clean                  the share that is stopped and has no skipped character
    skipped                the share of characters, spaces aside, on which the window spends less than one
                           point: the sum over a line's points of φ(t, u) / Σ_v φ(t, v), v = 1 … U + 1
    repeated               the share of characters on which it spends more points than on 999 in 1000 of the
                           real lines' characters: the window never goes back, so what is written twice, or
                           not left off, takes long
    points_per_character   mean over lines
    nats_per_point         under the network's own unbiased density, mean over points: how typical the points
                           are. Real lines have the validation's metric; lower is more predictable
    cer                    the character error rate of a reader (`reading`), and the 95 % interval over lines
    right/CLASS            the share of small letters, capitals, digits and signs that it reads right; of real
                           lines, over all held-out ones, since these are few in so few
    diversity              how much lines of one text differ: the standard deviation of a feature over
                           `REPEATS` lines of one text, mean (of squares) over `REPEATED` texts, over that of
                           the real lines, mean over the features; of real lines, which are by many writers
                           and of many texts: that of the real lines compared
    distance/FEATURE       the 1-Wasserstein distance of the lines' features (see `features`) to those of
                           other real lines, over their standard deviation

"Other real lines" are all held-out lines but those whose texts are written. The column of real lines says
what the metrics are where nothing is wrong: its distances are between real lines and other real lines.
"""

import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from graves_lm.data.features import features
from graves_lm.data.text_file import read_text_file
from graves_lm.evaluation.measured import compare, diversity, draw, read
from graves_lm.evaluation.reading import ReadLine, characters, classes, error_rates
from graves_lm.models.frames import has_extent
from graves_lm.rendering.png import strokes_to_png
from graves_lm.rendering.svg import strokes_to_svg
from graves_lm.runtime.errors import UserError
from graves_lm.runtime.files import write
from graves_lm.sampling.protocols import DrawsHandwriting
from graves_lm.trained.handwriting import TextPassage, TrainedHandwriting
from graves_lm.trained.loading import load_reader
from graves_lm.trained.reader import TrainedReader
from graves_lm.trained.samplers import make_sampler

SHOWN = 20  # lines of a page of samples: the first ones, as they come
REPEATED, REPEATS = 10, 5
PRIMED = 5  # writers whose style is taken on
LONG = 0.999  # the quantile of the real characters' points above which a character is repeated


def evaluate_samples(trained: TrainedHandwriting, data: Any, split: str, cfg: DictConfig) -> dict[str, float]:
    """Write, measure and compare as `cfg` says; prints a table, writes samples.json and pages of samples."""
    samplers = samplers_of(trained, cfg)
    reader = load_reader(cfg.reader) if cfg.reader else None
    chosen, others = choose(data.store, data.store.indices(split), cfg.sentences, cfg.seed)
    other_features = np.array([features(data.store.strokes(i)) for i in others])
    texts = [data.store.texts[i] for i in chosen]
    if cfg.texts is not None:
        texts = [
            trained.alphabet.spell(text)
            for text in read_text_file(cfg.texts, "texts").splitlines()
            if text.strip()
        ]
    repeated = list(chain.from_iterable([text] * REPEATS for text in texts[:REPEATED]))
    total = len(chosen) + len(samplers) * (len(texts) + len(repeated))
    with tqdm(total=total, desc="samples", unit="line", smoothing=0.1) as bar:
        real = read(trained, [data.store[i] for i in chosen], bar)
        long = float(np.quantile(np.concatenate([line.coverage_U for line in real]), LONG))
        figures = {"real": compare(real, other_features, long)}
        figures["real"]["diversity"] = diversity([line.strokes for line in real], len(real), other_features)
        drawn, repeats = {}, {}
        for name, sampler in samplers.items():
            drawn[name] = draw(trained, sampler, texts, cfg.seed, 0, bar, reader)
            figures[name] = compare(drawn[name], other_features, long)
            repeats[name] = draw(trained, sampler, repeated, cfg.seed, len(texts), bar, reader)
            again = [line.strokes for line in repeats[name]]
            figures[name]["diversity"] = diversity(again, REPEATS, other_features)
    counts: dict[str, Any] = {}
    as_read: dict[str, list[ReadLine]] = {}
    if reader is not None:
        held_out = [data.store[int(i)] for i in data.store.indices(split)]
        as_read = {name: read_lines(reader, lines) for name, lines in {"real": real, **drawn}.items()}
        counts = {name: characters(lines) for name, lines in as_read.items()}
        counts["real"] = characters(read_lines(reader, held_out))
        for name, lines in as_read.items():
            rates = {f"right/{kind}": c.right / c.of for kind, c in classes(counts[name]).items() if c.of}
            figures[name] |= error_rates(lines) | rates
    tries = tries_of(next(iter(samplers.values())))
    print(
        f"{len(texts)} texts of {cfg.texts or f'data={data.name}, {split}'}; "
        + "".join(f"{name}={value} " for name, value in tries.items())
        + f"seed={cfg.seed}; compared with {len(others)} other lines"
    )
    print(table(figures))
    folder = Path(cfg.run_dir)
    record = {
        "ckpt": str(cfg.ckpt),
        "data": data.name,
        "split": split,
        "seed": cfg.seed,
        "reader": cfg.reader,
        "sampler": tries,
        "figures": figures,
        "characters": {name: {c: list(n) for c, n in found.items()} for name, found in counts.items()},
        "lines": {
            name: [
                {
                    "text": line.text,
                    "points": line.points,
                    "stopped": line.stopped,
                    "skipped": line.skipped(),
                }
                | ({"read": as_read[name][i].read} if name in as_read else {})
                for i, line in enumerate(lines)
            ]
            for name, lines in drawn.items()
        },
    }
    write(folder / "samples.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    print(folder / "samples.json")
    pages = {name: [line.strokes for line in lines[:SHOWN]] for name, lines in drawn.items()}
    middle = list(samplers.values())[len(samplers) // 2]
    pages["primed"] = primed_pairs(trained, middle, data.store, others, texts, cfg.seed)
    for name, page in pages.items():
        for ending, content in ((".svg", strokes_to_svg(page)), (".png", strokes_to_png(page))):
            file = folder / "samples" / f"{name.replace(' ', '-')}{ending}"
            write(file, content)
            print(file)
    return {f"{name}/{key}": value for name, row in figures.items() for key, value in row.items()}


def samplers_of(trained: TrainedHandwriting, cfg: DictConfig) -> dict[str, DrawsHandwriting]:
    """The sampler at each bias, by a name for it. Raises UserError for what cannot be drawn."""
    for key in ("sentences", "seed"):
        if not isinstance(cfg[key], int) or cfg[key] < (key == "sentences"):
            raise UserError(f"{key}={cfg[key]}: a whole number, {int(key == 'sentences')} or more, is needed")
    settings: Any = OmegaConf.to_container(cfg.sampler)
    biases: Any = OmegaConf.to_container(cfg.biases)
    if not biases:
        raise UserError("biases=[]: give at least one")
    return {
        f"bias {_bias_name(b)}": make_sampler(
            trained.config["sampler"], settings | {"bias": b}, DrawsHandwriting
        )
        for b in biases
    }


def tries_of(sampler: DrawsHandwriting) -> dict[str, Any]:
    """How often a sampler draws a line, where it says so."""
    return {name: getattr(sampler, name) for name in ("candidates", "retries") if hasattr(sampler, name)}


def read_lines(reader: TrainedReader, lines: Sequence[Any]) -> list[ReadLine]:
    """What a reader makes of lines with their texts; nothing of one in which the pen never moves."""
    written = [line for line in lines if has_extent(line.strokes)]
    read = iter(reader.read([line.strokes for line in written]))
    return [ReadLine(line.text, next(read) if has_extent(line.strokes) else "") for line in lines]


def _bias_name(bias: float | list[float]) -> str:
    ends = bias if isinstance(bias, list) else [bias]
    return " to ".join(f"{b:g}" for b in dict.fromkeys([ends[0], ends[-1]]))


def primed_pairs(
    trained: TrainedHandwriting,
    sampler: DrawsHandwriting,
    store: Any,
    lines: Sequence[int],
    texts: Sequence[str],
    seed: int,
) -> list[NDArray[np.float32]]:
    """A real line and below it one of the texts in its style, as in Figures 18–21: for the first `PRIMED`
    writers among the lines whose line can be a prime."""
    page: list[NDArray[np.float32]] = []
    writers: set[str] = set()
    for i in lines:
        real = store[i]
        writer = real.writer or real.id
        if writer in writers:
            continue
        text = texts[len(writers) % len(texts)]
        try:
            ((line, _),) = trained.write(sampler, TextPassage([text], seed, real))
        except UserError:  # too short to show a style
            continue
        writers.add(writer)
        page += [real.strokes, line.strokes]
        if len(writers) == PRIMED:
            break
    return page


def choose(store: Any, lines: NDArray[np.int64], count: int, seed: int) -> tuple[list[int], list[int]]:
    """`count` lines by chance, at most half of them, and all others."""
    order = np.random.default_rng(seed).permutation(lines).tolist()
    if len(order) < 4:
        raise UserError(f"{len(order)} held-out lines are too few to compare with: at least 4 are needed")
    count = min(count, len(order) // 2)
    return order[:count], order[count:]


def table(figures: dict[str, dict[str, float]]) -> str:
    """A metric per row, a column for the real lines and for each bias."""
    names = list(figures)
    keys = list(dict.fromkeys(key for row in figures.values() for key in row))
    width = max(map(len, keys))
    rows = [" " * width + "".join(f"{name:>11}" for name in names)]
    for key in keys:
        values = [f"{figures[name][key]:>11.3f}" if key in figures[name] else " " * 11 for name in names]
        rows.append(f"{key:<{width}}" + "".join(values))
    return "\n".join(rows)
