"""What a run keeps in its folder besides its results: a lock, what is needed to repeat it, how it ended."""

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig

from graves_lm.errors import FolderInUse

FAILED = "error.txt"
"""Why a run failed."""
PRUNED = "pruned.txt"
"""Why a study gave a run up."""


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


def environment(data: Any) -> dict[str, Any]:
    """What a run depends on beside its settings: code, packages, machine, and the content of its data."""
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
        "data": {"name": data.name, "cache": str(data.cache), "sha256": fingerprint(data.cache)},
    }


def fingerprint(folder: Path) -> str:
    """SHA-256 of the names and contents of all files of a data cache."""
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        total.update(f"{path.relative_to(folder)}\0".encode())
        with open(path, "rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


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
