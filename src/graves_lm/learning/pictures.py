"""What a network does, to be looked at, at each validation and by `evaluate pictures=true`.

The files are the same ones for the same seed, whatever was sampled elsewhere, so that they can be compared
from validation to validation.
"""

from functools import singledispatch
from typing import Any

import torch
from torch import nn

from graves_lm.data.line_batches import LineBatch, collate
from graves_lm.data.strokes import Floats, Normalisation, StrokeLine
from graves_lm.distributions import StrokeDistribution
from graves_lm.learning.tasks.synthesis import text_of
from graves_lm.rendering.heatmap import density_heatmap
from graves_lm.rendering.png import strokes_to_png, to_png
from graves_lm.rendering.svg import strokes_to_svg
from graves_lm.rendering.window import window_heatmap
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.reader import BestPath
from graves_lm.sampling.strokes import StrokeSampler
from graves_lm.sampling.synthesis import SynthesisSampler
from graves_lm.sampling.text import TextSampler
from graves_lm.trained.handwriting import TextPassage, TrainedHandwriting
from graves_lm.trained.reader import TrainedReader
from graves_lm.trained.strokes import TrainedStrokes
from graves_lm.trained.text import TrainedText

Files = dict[str, str | bytes]
"""By name: .txt, .svg, .png."""

SHOWN = ("The quick brown fox jumps", "over the lazy dog, and sleeps", "Sphinx of black quartz, judge")
"""The texts written at each validation."""

READ = 12
"""Held-out lines that a reader reads at each validation."""

BIASES = (0.0, 0.5, 1.0)
"""At which `COMPARED` is written at each validation, as in Figures 15–17."""

COMPARED = "quick brown fox"
"""The text written at several biases, and in the style of a real line, as in Figures 18–21."""


@singledispatch
def pictures(trained: Any, sampler: Any, corpus: Any, seed: int) -> Files:
    """What `trained`, a network with what it knows, draws with its `sampler` and predicts of the `corpus`;
    nothing of a kind that has no pictures."""
    return {}


@pictures.register
def _(trained: TrainedText, sampler: TextSampler, corpus: Any, seed: int) -> Files:
    return {"text.txt": "".join(trained.write(sampler, seed=seed))}


@pictures.register
def _(trained: TrainedStrokes, sampler: StrokeSampler, corpus: Any, seed: int) -> Files:
    lines = trained.write(sampler, seed)
    batch = collate([corpus.example()], trained.normalisation)
    network = trained.network
    with torch.inference_mode():
        distribution, _ = network(batch.point_TB3[:-1].to(device_of(network)), network.initial_state(1))
    return {
        "handwriting.svg": strokes_to_svg(lines),
        "handwriting.png": strokes_to_png(lines),
        "density.png": density_picture(distribution, batch, trained.normalisation),
    }


@pictures.register
def _(trained: TrainedReader, sampler: BestPath, corpus: Any, seed: int) -> Files:
    lines = [corpus.store[int(i)] for i in corpus.store.indices("val")[:READ]]
    read = trained.read([line.strokes for line in lines], sampler)
    rows = [f"{line.text}\n{text}\n" for line, text in zip(lines, read, strict=True)]
    return {"reading.txt": "\n".join(rows), "reading.png": strokes_to_png([line.strokes for line in lines])}


@pictures.register
def _(trained: TrainedHandwriting, sampler: SynthesisSampler, corpus: Any, seed: int) -> Files:
    shown = [trained.alphabet.spell(text, "skip") for text in SHOWN]
    passage = TextPassage([t for t in shown if t], seed)
    lines = [line.strokes for line, _ in trained.write(sampler, passage)]
    example = corpus.example()
    batch = collate([example], trained.normalisation, trained.alphabet)
    network, device = trained.network, device_of(trained.network)
    text = text_of(batch).to(device)
    with torch.inference_mode():
        distribution, _, attention = network(batch.point_TB3[:-1].to(device), text, network.initial_state(1))
        phi_TU = attention.weights(text)[:, 0].cpu()
    files: Files = {
        "density.png": density_picture(distribution, batch, trained.normalisation),
        "window.png": to_png(window_heatmap(phi_TU, trained.alphabet.parted(example.text))),
    }
    pages = {"handwriting": lines} | comparisons(trained, sampler, example, seed)
    for name, page in pages.items():
        files |= {f"{name}.svg": strokes_to_svg(page), f"{name}.png": strokes_to_png(page)}
    return files


def comparisons(
    trained: TrainedHandwriting, sampler: SynthesisSampler, example: StrokeLine, seed: int
) -> dict[str, list[Floats]]:
    """Pages of `COMPARED`: at each of `BIASES` from the top down, and below a real line in its style."""
    text = trained.alphabet.spell(COMPARED, "skip")
    if not text:
        return {}
    alone = TextPassage([text], seed)
    pages = {"biases": [trained.write(sampler.at_bias(b), alone)[0][0].strokes for b in BIASES]}
    try:
        ((primed, _),) = trained.write(sampler.at_bias(BIASES[1]), TextPassage([text], seed, example))
    except UserError:  # the line is too short to show a style
        return pages
    return pages | {"primed": [example.strokes, primed.strokes]}


def density_picture(
    distribution: StrokeDistribution, batch: LineBatch, normalisation: Normalisation
) -> bytes:
    """A PNG of the densities (T, 1) predicted along a batch's only line.

    In data units: normalised offsets have no mean, so there a line would be written on the spot.
    """
    in_data_units = distribution[:, 0].in_units(*map(torch.tensor, (normalisation.mean, normalisation.std)))
    return to_png(density_heatmap(in_data_units, normalisation.invert(batch.point_TB3[1:, 0].numpy())))


def device_of(network: nn.Module) -> torch.device:
    return next(network.parameters()).device
