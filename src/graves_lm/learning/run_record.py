"""What a run keeps in its folder so that it can be repeated: its settings, its log, what it depends on."""

import logging
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from graves_lm.runtime.files import write, write_json
from graves_lm.runtime.run_folder import FAILED


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


def record_run(cfg: DictConfig, data: Any, sha256: str | None) -> None:
    """Write a run's settings and what else it depends on; a failure of an earlier try is forgotten."""
    folder = Path(cfg.run_dir)
    (folder / FAILED).unlink(missing_ok=True)
    record_settings(folder)
    write(folder / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True))
    write_json(folder / "environment.json", environment(data, sha256))


def environment(data: Any, sha256: str | None) -> dict[str, Any]:
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
    root = Path(__file__).resolve().parents[3]
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
