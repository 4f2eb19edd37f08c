"""What a run begins with: new weights, those of a network (`init=`), or where it was left (`resume=`).

`resume=` goes on with the very run, to the bit, so its settings and data must be the run's own. `init=` is a
new run that takes a network's weights and nothing else: the optimiser, the schedule and the widths of noise
begin anew.
"""

import logging
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import yaml
from lightning.pytorch import Trainer
from omegaconf import DictConfig

from graves_lm.data.base import Corpus
from graves_lm.data.ink.corpus import InkData
from graves_lm.learning.callbacks.checkpoint_file import callback_states
from graves_lm.learning.growing import CHARACTERS, carried, grow, knowing_most, new_entries
from graves_lm.learning.own_lines import look_over
from graves_lm.learning.tasks.base import SequenceTask
from graves_lm.learning.tasks.making import task_class
from graves_lm.learning.units import keep_units, read_in
from graves_lm.runtime.errors import FolderInUse, UserError
from graves_lm.runtime.run_folder import is_in
from graves_lm.trained.checkpoint import facts_of, read_checkpoint, weights_of
from graves_lm.trained.format import METADATA

log = logging.getLogger(__name__)


def settle(cfg: DictConfig) -> str | None:
    """The checkpoint to resume from, if any; `cfg.init` is then what its run began with, by its own record.

    A run that was ended before it had saved anything is resumed from its very beginning. Raises UserError
    where `init=` names other weights than those that the run began with.
    """
    if cfg.resume is None:
        return None
    path = Path(cfg.run_dir, "checkpoints", "last.ckpt") if cfg.resume == "last" else Path(cfg.resume)
    began = _recorded_init(path.parent.parent)
    if cfg.resume == "last" and not path.is_file():
        again = f", with init={began} as before" if began else ""
        log.info(f"resume=last: none in {path.parent} yet, starting from the beginning{again}")
        cfg.init = began or cfg.init
        return None
    if cfg.init is not None and began not in _named(cfg.init):
        raise UserError(
            f"resume={cfg.resume} goes on with a run that began with {began or 'new weights'}, "
            f"init={cfg.init} begins a new one: give one of them"
        )
    cfg.init = began
    return str(path)


def _named(init: Any) -> list[str]:
    """The weights that `init=` names: one, or several of which the data decide."""
    return [init] if isinstance(init, str) else list(init)


def _recorded_init(run_dir: Path) -> str | None:
    """What the run of this folder began with, by its own record."""
    try:
        recorded = yaml.safe_load((run_dir / "config.yaml").read_text(encoding="utf-8"))["init"]
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError):
        return None
    return recorded if isinstance(recorded, str) else None


def read_run(
    path: str, task: SequenceTask, corpus: Corpus, run_dir: Path, staged: bool = False
) -> dict[str, Any]:
    """The checkpoint that a run of `task` on the corpus goes on from; `staged`: in stages.

    Raises UserError, before any work, where it is not of the very run: of another model, with other noise or
    on other data.
    """
    checkpoint = read_checkpoint(path, setting="resume")
    card = checkpoint[METADATA]
    within = is_in(path, run_dir)
    begin_anew = f"init={path} begins a new run with its weights" + (", in another run_dir" if within else "")

    def refuse(why: str, advice: str = begin_anew) -> NoReturn:
        # The run of this folder, if it is that one, has not failed.
        raise (FolderInUse if within else UserError)(f"resume={path}: {why}; {advice}")

    if card["task"] != task.task_name:
        usable = card["task"] in task.also_from
        refuse(
            f"a run of model={card['task']}, and this is of model={task.task_name}",
            begin_anew if usable else f"give model={card['task']}",
        )
    if "loops" not in checkpoint and "optimizer_states" not in checkpoint:
        refuse("weights alone, without the state of a run")
    if "stages" in card and not staged:
        refuse(f"a training in stages ({', '.join(card['stages']['names'])}), and this is not one of them")
    for name, fact in task.metadata()["facts"].items():
        if card["facts"][name] != fact:
            refuse(f"its {name} is not that of the data", "resume on the same data")
    theirs, own = (_model(config) for config in (card["config"], task.config))
    noises = theirs.pop("noise", None), own.pop("noise", None)
    if theirs != own:
        refuse(
            "its model settings differ from this run's",
            f"resume with the same; where the networks are the same, {begin_anew}",
        )
    if noises[0] != noises[1]:
        refuse("trained with other weight noise, and a stage of its own is a new run")
    if task.fingerprint and card.get("data", task.fingerprint) != task.fingerprint:
        refuse(
            "the data are not those it was trained on (their checksums differ): give the same data; where "
            f"they are the same, the prepared ones are damaged: delete {corpus.cache}",
        )
    return checkpoint


def _model(config: dict[str, Any]) -> dict[str, Any]:
    """The settings of a model; without a cell of its own it is the same whether that is said or not."""
    model = dict(config["model"])
    model["network"] = {k: v for k, v in model["network"].items() if k != "cell" or v is not None}
    return model


def take_facts(cfg: DictConfig, resume: str | None, corpus: Corpus) -> list[str]:
    """Give the data as the weights know them that the run begins with: in their characters and the data's own
    (`grow`), and in their units (`keep_units`); lines of one's own pen are looked over (`own_lines`). Of
    several weights `cfg.init` becomes those that know most of the data's characters.

    Returns a line each on what is other than in the data.
    """
    takes, told = task_class(cfg.model).takes, []
    if resume:
        with suppress(UserError):  # then the checkpoint is of another run, which `read_run` says
            grow(corpus, resume, takes, "resume")
            known = facts_of(read_checkpoint(resume, setting="resume")[METADATA])
            if "normalisation" in takes and "normalisation" in known:
                read_in(corpus, known["normalisation"], takes)
    elif cfg.init:
        if not isinstance(cfg.init, str):
            cfg.init = knowing_most(corpus, _named(cfg.init), takes)
        told.append(grow(corpus, cfg.init, takes))
        if "normalisation" in takes:
            told.append(keep_units(corpus, cfg.init, takes))
    if isinstance(corpus, InkData):
        told += look_over(corpus)
    return [line for line in told if line]


def note_new_characters(path: str, task: SequenceTask) -> None:
    """Let `task` know which of its characters the weights at `path` lack, with which its run began."""
    known = facts_of(read_checkpoint(path, setting="init")[METADATA])
    for name in CHARACTERS:
        if name in task.takes and name in known and known[name] != task.facts[name]:
            task.new_entries = partial(new_entries, task.network, known[name], task.facts[name])


def begin_with(path: str, task: SequenceTask) -> None:
    """Give `task` the weights of a network: of any checkpoint, exported file or name that comes with the
    package, as the paper retrains: no noise, noise, adaptive noise.

    Synthesis can also begin with stroke prediction's, whose network is its own without the window, and the
    other way round. Raises UserError when the networks differ.
    """
    checkpoint = read_checkpoint(path, setting="init")
    origin = checkpoint[METADATA]["task"]
    if origin not in (task.task_name, *task.also_from):
        raise UserError(f"init={path}: of model={origin}, and this run is of model={task.task_name}")
    known, weights = facts_of(checkpoint[METADATA]), weights_of(checkpoint)
    for name in CHARACTERS:
        if name in task.takes and name in known:
            network: Any = task.network
            fresh = network.state_dict()
            weights = carried(weights, fresh, network.symbol_axes(), known[name], task.facts[name])
    try:
        missing, _ = task.network.load_state_dict(weights, strict=origin == task.task_name)
    except RuntimeError as error:
        raise UserError(
            f"init={path}: the networks differ in shape; give the same model.network settings"
        ) from error
    if any(name.startswith("stack.") for name in missing):
        raise UserError(f"init={path}: the networks differ; give the same model.network settings")


def refuse_unfit_state(saved: dict[str, Any], path: str, task: SequenceTask, trainer: Trainer) -> int:
    """Raises UserError where a checkpoint would put something into the run that is not of the run's own form
    (see `resuming`); returns the optimiser step that it goes on from."""
    saved["callbacks"] = callback_states(saved)
    try:
        task.refuse_unfit(saved, trainer)
    except UserError as error:
        raise UserError(f"resume={path}: refused: {error}") from error
    return int(saved["global_step"])
