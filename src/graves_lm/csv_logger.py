"""Curves as CSV, those of a run before it was resumed included."""

from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only


class KeepingCSVLogger(CSVLogger):
    """Lightning's, which would delete the metrics.csv it finds: that one becomes metrics-1.csv, or -2, …"""

    def __init__(self, save_dir: str, **settings: Any):
        super().__init__(save_dir, **settings)
        keep(Path(self.log_dir) / "metrics.csv")


@rank_zero_only
def keep(path: Path) -> None:
    """Give the file a name with the next number."""
    if path.is_file():
        earlier = len(list(path.parent.glob(f"{path.stem}-*{path.suffix}")))
        path.rename(path.with_name(f"{path.stem}-{earlier + 1}{path.suffix}"))
