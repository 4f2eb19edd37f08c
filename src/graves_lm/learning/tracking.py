"""Weights & Biases as the default tracker: never in the way.

Without credentials, or where the server does not answer, a run works offline; whatever did not reach the
server lies in the run's folder, and one line says how to upload it. Nothing that W&B does or fails to do
ends a run.
"""

import json
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only

from graves_lm.learning.csv_logger import KeepingCSVLogger
from graves_lm.learning.private import OpenWandbLogger, publish
from graves_lm.runtime.errors import TrainingDiverged, first_line

log = logging.getLogger(__name__)

STEP = "trainer/global_step"
"""The name under which Lightning logs optimiser steps: the axis of all curves."""

BEST = {
    "bpc": "min",
    "perplexity": "min",
    "error_rate": "min",
    "nll_per_line": "min",
    "nll_per_point": "min",
    "sse": "min",
    "read_to_end": "max",
}
"""Which value of a validation metric is its best one; the run's summary keeps it beside the last."""

ID_FILE = "wandb_id.txt"


def unhindered(action: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Does something at W&B. A failure is said in a line, once for each action and kind; it stops nothing."""
    try:
        action(*args, **kwargs)
    except Exception as error:
        failure = (action.__name__, type(error))
        if failure not in _told:
            _told.add(failure)
            log.warning(f"W&B: {failure[0]} failed ({first_line(error)}); training goes on")


_told: set[tuple[str, type]] = set()


class WandbTracker(OpenWandbLogger):
    """Lightning's W&B logger, and what makes its runs comparable, resumable and safe.

    Args:
        project, entity: where the run goes.
        name: the run's; a job of a sweep adds its number.
        save_dir: the run's folder. The W&B run's id is kept in it, so that resuming goes on with that run.
        group: what the run is grouped by; None: the sweep's folder, in a sweep.
        tags: besides the task's and the data's name.
        checkpoints: whether best.ckpt and last.ckpt become artifacts when the run ends.
        init_timeout: seconds for the server's first answer; without one the run works offline.
        finish_timeout: seconds, at the run's end, for what is not uploaded yet.
        settings: other arguments of `wandb.init`.
    """

    def __init__(
        self,
        project: str,
        name: str,
        save_dir: str,
        *,
        group: str | None = None,
        tags: Iterable[str] = (),
        checkpoints: bool = True,
        init_timeout: float = 30.0,
        finish_timeout: float = 120.0,
        **settings: Any,
    ):
        os.environ.setdefault("WANDB_SHOW_INFO", "false")
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # the client's reports on itself
        Path(save_dir).mkdir(parents=True, exist_ok=True)
        if (job := job_of_sweep()) is not None:
            group, name = group or job[0], f"{name}-{job[1]}"
        if os.environ.get("WANDB_MODE") is None and not has_credentials():
            settings["mode"] = "offline"
        super().__init__(
            project=project,
            name=name,
            save_dir=save_dir,
            group=group,
            tags=list(tags),
            settings={
                "init_timeout": init_timeout,
                "finish_timeout": finish_timeout,
                "finish_timeout_raises": True,
            },
            **settings,
        )
        self.arguments.pop("anonymous", None)  # of no effect any more, and warned about
        self._checkpoints = checkpoints
        self._go_on = False
        self._stops: list[EarlyStopping] = []

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The W&B run, begun when it is first asked for; a dummy in all processes but the first."""
        if self.begun is None:
            self._start()
        return self.begun

    def _start(self) -> None:
        id_file = Path(self.save_dir or ".") / ID_FILE
        if self._go_on and id_file.is_file():
            self.arguments["id"] = id_file.read_text(encoding="utf-8").strip()
        mode = os.environ.get("WANDB_MODE")
        why = "no credentials" if mode is None else f"WANDB_MODE={mode}"
        try:
            run = super().experiment
        except Exception as error:  # whatever the server or the network may answer
            why = f"the server cannot be used ({first_line(error)})"
            run = self._start_otherwise()
        if run.disabled:
            return
        unhindered(id_file.write_text, f"{run.id}\n", encoding="utf-8")
        for figure, best in BEST.items():
            unhindered(run.define_metric, f"val/{figure}", step_metric=STEP, summary=f"{best},last")
        unhindered(run.define_metric, "epoch", step_metric=STEP)
        if run.offline:
            log.info(f"W&B: offline, {why}; upload with: wandb sync {folder_of(run)}")

    def _start_otherwise(self) -> Any:
        """The run without the server; where that fails too (a full disk), one that keeps nothing."""
        self.arguments["mode"] = "offline"
        try:
            return super().experiment
        except Exception as error:
            log.warning(f"W&B: it cannot start ({first_line(error)}); training goes on without it")
            self.arguments["mode"] = "disabled"
            return super().experiment

    # --- a run from its beginning to its end --------------------------------------------------------

    @rank_zero_only
    def begin(self, trainer: Trainer, task: str, data: Any, origin: str | None, resumed: bool) -> None:
        """What the run is of, and what it comes from. Arguments as `begin_tracking` takes them."""
        self._go_on = resumed
        self.arguments["tags"] += [task, data.name]
        run = self.experiment
        if run.disabled:
            return
        _open.append(self)
        self._stops = [c for c in trainer.callbacks if isinstance(c, EarlyStopping)]  # type: ignore[attr-defined]
        unhindered(log_environment, run, Path(self.save_dir or "."))
        unhindered(use_data, run, data)
        if origin is not None and not resumed:
            unhindered(use_checkpoint, run, Path(origin))

    def end(self, error: BaseException | None) -> None:
        """Alert, checkpoints, and the end of the W&B run; its exit code says whether there was an error.

        A run that was interrupted keeps its checkpoints for the end of the resumed one.
        """
        run = self.begun
        if isinstance(error, TrainingDiverged):
            unhindered(run.alert, "Training diverged", str(error), level="ERROR")
        for stop in self._stops:
            if stop.stopping_reason != EarlyStoppingReason.NOT_STOPPED:
                text = stop.stopping_reason_message or f"{stop.monitor} did not improve"
                unhindered(run.alert, "Stopped early", text, level="WARN")
        if self._checkpoints and (error is None or isinstance(error, TrainingDiverged)):
            unhindered(log_checkpoints, run, Path(self.save_dir or "."))
        unhindered(finish, run, exit_code=0 if error is None else 1)

    @rank_zero_only
    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        unhindered(super().log_metrics, metrics, step)

    @rank_zero_only
    def log_image(self, key: str, images: list[Any], step: int | None = None, **settings: Any) -> None:
        unhindered(super().log_image, key, images, step, **settings)

    @rank_zero_only
    def log_table(self, *args: Any, **kwargs: Any) -> None:
        unhindered(super().log_table, *args, **kwargs)

    @rank_zero_only
    def log_hyperparams(self, params: Any) -> None:
        unhindered(super().log_hyperparams, params)


_open: list[WandbTracker] = []


def begin_tracking(
    trainer: Trainer,
    task: Any,
    data: Any,
    settings: dict[str, Any],
    origin: str | None,
    resumed: bool,
    step: int = 0,
) -> None:
    """Tell every logger about the run that begins.

    Args:
        data: the corpus. For W&B its cache becomes an artifact that the run uses: checksums of
            its files, which stay where they are.
        settings: the resolved configuration.
        origin: the checkpoint that the run begins with.
        resumed: whether that is the run's own: the same W&B run then goes on.
        step: the optimiser step that it goes on from.
    """
    for logger in trainer.loggers:
        if isinstance(logger, WandbTracker):
            logger.begin(trainer, task.task_name, data, origin, resumed)
        elif isinstance(logger, KeepingCSVLogger):
            logger.begin(step)
        logger.log_hyperparams(settings)


def finish_tracking(error: BaseException | None = None) -> None:
    """End the W&B run, if one was begun: Lightning leaves it open, and a sweep would go on in it."""
    while _open:
        _open.pop().end(error)


def finish(run: Any, exit_code: int) -> None:
    """End a W&B run, and say so if something did not reach the server."""
    try:
        run.finish(exit_code=exit_code)
    except TimeoutError:
        log.warning(
            "W&B: the server did not take everything in time; nothing is lost, upload the rest with: "
            f"wandb sync --include-online {folder_of(run)}"
        )


def log_environment(run: Any, run_dir: Path) -> None:
    """Commit, versions, machine and the data's fingerprint, as the run's folder has them; the list of
    packages W&B keeps itself."""
    path = run_dir / "environment.json"
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        found.pop("packages", None)
        run.config.update({"environment": found}, allow_val_change=True)


# --- lineage ------------------------------------------------------------------------------------------


def use_data(run: Any, data: Any) -> None:
    """The data's fingerprint as an artifact that the run uses: every file of the cache with its checksum."""
    import wandb

    artifact = wandb.Artifact(f"data-{data.name}", "dataset", metadata={"counts": data.card["counts"]})
    artifact.add_reference(data.cache.resolve().as_uri())
    publish(run, artifact, [], used=True)


def use_checkpoint(run: Any, path: Path) -> None:
    """The checkpoint of another run as an artifact that this one uses, if it is one.

    Offline the server cannot be asked for it; the run's settings then name it all the same.
    """
    id_file = path.parent.parent / ID_FILE
    if not id_file.is_file():
        return
    run_id = id_file.read_text(encoding="utf-8").strip()
    name = f"{checkpoint_name(run_id)}:{path.stem}"
    run.config.update({"begins_with": name}, allow_val_change=True)
    if not run.offline:
        run.use_artifact(name)


def log_checkpoints(run: Any, run_dir: Path) -> None:
    """best.ckpt and last.ckpt as two versions of one artifact, `best` and `last`.

    They are uploaded from where they lie: no copy is made.
    """
    import wandb

    record = run_dir / "metrics.json"
    figures = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    for alias in ("last", "best"):
        path = run_dir / "checkpoints" / f"{alias}.ckpt"
        if path.is_file():
            artifact = wandb.Artifact(checkpoint_name(run.id), "model", metadata=figures)
            artifact.add_file(str(path.absolute()), "model.ckpt", policy="immutable", skip_cache=True)
            publish(run, artifact, [alias], used=False)


def checkpoint_name(run_id: str) -> str:
    """The artifact that holds a run's checkpoints."""
    return f"checkpoint-{run_id}"


# --- where the run stands -----------------------------------------------------------------------------


def job_of_sweep() -> tuple[str, int] | None:
    """The name of the sweep's folder and the job's number in it; None outside a multirun."""
    if not HydraConfig.initialized():
        return None
    hydra = HydraConfig.get()
    return (Path(hydra.sweep.dir).name, hydra.job.num) if hydra.mode == RunMode.MULTIRUN else None


def has_credentials() -> bool:
    """An API key in the environment or the netrc file; nothing is asked of the network."""
    if os.environ.get("WANDB_API_KEY"):
        return True

    netrc = Path(os.path.expanduser(os.environ.get("NETRC", "~/.netrc")))
    host = (
        os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("//")[-1].split("/")[0].split(":")[0]
    )
    try:
        return f"machine {host}" in netrc.read_text(encoding="utf-8")
    except OSError:
        return False


def folder_of(run: Any) -> Path:
    """Where the run's files are, as `wandb sync` takes it."""
    return Path(run.dir).parent
