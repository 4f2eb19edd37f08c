"""What a training in stages leaves in its folder beside checkpoints: the curve, and weights to pass on."""

import csv
import io
import logging
from pathlib import Path

from omegaconf import DictConfig

from graves_lm.data.base import Corpus
from graves_lm.data.ink.corpus import InkData
from graves_lm.learning.run_record import environment
from graves_lm.learning.tasks.base import SequenceTask
from graves_lm.learning.tasks.synthesis import SynthesisTask
from graves_lm.rendering.chart import chart
from graves_lm.runtime.files import write
from graves_lm.settings.stored import PLACES
from graves_lm.trained.checkpoint import read_checkpoint
from graves_lm.trained.exported import export
from graves_lm.trained.own_hand import is_hand
from graves_lm.trained.stages import StagesRecord

log = logging.getLogger(__name__)


def draw_curve(folder: Path, name: str, metric: str, record: StagesRecord) -> None:
    """The validations so far, as numbers and as a picture with the stages marked."""
    at, marks = 0, []
    for stage, steps in list(zip(record.names, record.steps, strict=True))[: record.stage + 1]:
        marks.append((float(at), stage))
        at += steps
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["step", "stage", metric])
    for step, figure in record.history:
        rows.writerow([step, [stage for at, stage in marks if at < step or step == 0][-1], figure])
    write(folder / "curve.csv", text.getvalue())
    write(folder / "curve.svg", chart({name: record.history}, metric, marks))


def export_run(cfg: DictConfig, best: Path, corpus: Corpus, task: SequenceTask) -> None:
    """The best weights of a run as a small file, with where they come from."""
    path = Path(cfg.run_dir) / f"{cfg.name}.safetensors"
    known, hand = environment(corpus, task.fingerprint), None
    if isinstance(task, SynthesisTask) and isinstance(corpus, InkData):
        # Whoever uses the weights writes as this person.
        hand = next((x for x in corpus.hands() if is_hand(x, task.normalisation, task.alphabet)), None)
    export(
        read_checkpoint(best),
        path,
        hand=hand,
        data=corpus.name,
        licence=cfg.licence or "not stated: that of the data",
        figures=task.figures,
        command=" ".join(["graves-lm train", *(o for o in known["overrides"] or [] if not is_place(o))]),
        commit=known["graves_lm"].get("commit", ""),
    )
    log.info(f"weights: {path}")


def is_place(override: str) -> bool:
    """Whether an override says where something is on this machine."""
    name = override.partition("=")[0].lstrip("+")
    return name in ("run_dir", "resume", "init") or name.rpartition(".")[2] in PLACES
