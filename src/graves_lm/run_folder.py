"""What a run keeps in its folder besides its results: a lock, what is needed to repeat it, how it ended."""

import logging
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from graves_lm.errors import FolderInUse
from graves_lm.files import write

FAILED = "error.txt"
"""Why a run failed."""
PRUNED = "pruned.txt"
"""Why a study gave a run up."""
_WORK = ("checkpoints", "csv", "metrics.json")  # what a new run would replace
_OF_A_RUN = ("checkpoints", "csv", "environment.json")  # what is in the folder of a training run only


@contextmanager
def locked(run_dir: Path) -> Iterator[None]:
    """Keep other runs out of the folder until the end, or until this process dies.

    Raises FolderInUse when another run is in it.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run_dir / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise FolderInUse(
            f"run_dir={run_dir}: another run is writing there; wait for its end or give another run_dir"
        ) from error
    try:
        yield
    finally:
        lock.release()


def refuse_to_replace(run_dir: Path, ckpt: str | None) -> None:
    """Raises FolderInUse where a run would begin over the work of another: only the run itself goes on in
    its folder, from `ckpt`, "last" or a checkpoint in it."""
    checkpoints = run_dir / "checkpoints"
    found = [name for name in _WORK if (run_dir / name).exists()]
    if ckpt == "last":
        # A run that was ended before it had saved anything begins anew.
        lost = (run_dir / "metrics.json").exists() or (checkpoints / "best.ckpt").exists()
        if (checkpoints / "last.ckpt").exists() or not lost:
            return
        raise FolderInUse(
            f"ckpt=last: no last.ckpt in {checkpoints}, though the run that was there left its results; name "
            "another checkpoint, or give another run_dir"
        )
    if found and not (ckpt is not None and is_in(ckpt, run_dir)):
        raise FolderInUse(
            f"run_dir={run_dir}: a run is there already ({', '.join(found)}); go on with it by ckpt=last, or "
            "begin anew in another run_dir or after deleting that one"
        )


def is_in(ckpt: str, run_dir: Path) -> bool:
    """Whether a checkpoint lies in the run's folder."""
    return Path(os.path.expanduser(ckpt)).resolve().is_relative_to(run_dir.resolve())


def is_empty(run_dir: Path) -> bool:
    """Whether nothing is in a folder, which Hydra makes before it calls a command."""
    return not run_dir.exists() or not any(run_dir.iterdir())


def remove_trace(run_dir: Path) -> None:
    """Remove what a command has put into an empty folder that refused it, unless another is there."""
    with suppress(FolderInUse), locked(run_dir):
        shutil.rmtree(run_dir, ignore_errors=True)


def holds_run(folder: Path) -> bool:
    """Whether a training run has begun in the folder."""
    return any((folder / name).exists() for name in _OF_A_RUN)


def record_settings(folder: Path) -> None:
    """Write Hydra's record of the job, the settings as they were composed, to `.hydra` in the folder.

    Hydra itself would do so before anyone knows whether the folder is free, so it is told not to.
    """
    if not HydraConfig.initialized():
        return
    hydra: Any = HydraConfig.instance().cfg
    everything = hydra.hydra._get_parent()
    assert isinstance(everything, DictConfig)
    own = OmegaConf.masked_copy(everything, [str(key) for key in everything if key != "hydra"])
    for name, part in {"config": own, "hydra": hydra, "overrides": hydra.hydra.overrides.task}.items():
        write(folder / ".hydra" / f"{name}.yaml", OmegaConf.to_yaml(part))


@contextmanager
def log_kept(folder: Path) -> Iterator[None]:
    """Keep the log in the folder too, under the command's name; nothing where none is kept."""
    root = logging.getLogger()
    if not HydraConfig.initialized() or not root.handlers:
        yield
        return
    path = folder / f"{HydraConfig.get().job.name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path.absolute(), encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("[%(asctime)s][%(name)s][%(levelname)s] - %(message)s"))
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()


def environment(data: Any, sha256: str) -> dict[str, Any]:
    """What a run depends on beside its settings: code, packages, machine, and the content of its data, whose
    fingerprint is `sha256`."""
    import torch  # not above: who reads run folders does without

    return {
        "overrides": list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else None,
        "graves_lm": _own_version() | _git_state(),
        "python": platform.python_version(),
        "packages": dict(sorted((d.metadata["Name"], d.version) for d in distributions())),
        "machine": {
            "host": platform.node(),
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "cuda": torch.version.cuda,
            "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        },
        "data": {"name": data.name, "cache": str(data.cache), "sha256": sha256},
    }


def _own_version() -> dict[str, str | None]:
    try:
        return {"version": version("graves-lm")}
    except PackageNotFoundError:
        return {"version": None}


def _git_state() -> dict[str, Any]:
    """The clone's commit, and whether its files differ from it; nothing for an installed package."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return {}
    try:
        commit, status = (
            subprocess.run(
                ["git", "-C", str(root), *arguments],
                capture_output=True,
                encoding="utf-8",
                check=True,
                timeout=10,
            ).stdout.strip()
            for arguments in (["rev-parse", "HEAD"], ["status", "--porcelain"])
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"commit": commit, "dirty": bool(status)}
