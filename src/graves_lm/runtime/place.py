"""Which of a run's processes this one is, by what started them."""

import os


def place() -> tuple[int, int]:
    """This process's rank in the run, and how many processes the run has."""
    outside = started_by()
    if outside is None:
        return 0, 1
    rank, world = ("SLURM_PROCID", "SLURM_NTASKS") if outside == "SLURM" else ("RANK", "WORLD_SIZE")
    return int(os.environ[rank]), int(os.environ[world])


def started_by() -> str | None:
    """Who started the processes of this run: "torchrun" (or a worker's own parent), "SLURM", or no one."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return "torchrun"
    interactive = os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive")
    return "SLURM" if int(os.environ.get("SLURM_NTASKS", "1")) > 1 and not interactive else None
