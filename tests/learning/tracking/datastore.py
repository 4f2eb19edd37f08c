"""W&B runs read back from their files, by the format alone.

A `.wandb` file is a log in LevelDB's format (doc/log_format.md there) after a header of 7 bytes: blocks of
32 KiB, in them pieces with a header of checksum (4 bytes), length (2) and type (1): 1 a whole record, 2 its
first, 3 a middle and 4 its last piece. A record is a `Record` of wandb's protocol.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

_BLOCK, _PIECE, _FILE_HEADER = 32768, 7, 7


def records(path: Path) -> Iterator[Record]:
    """The whole records of a `.wandb` file, in the order in which they were written.

    The client may still be writing it: a piece whose end is not there yet ends the reading.
    """
    content, at, record = path.read_bytes(), _FILE_HEADER, b""
    assert content.startswith(b":W&B"[: len(content)])
    while at + _PIECE <= len(content):
        if _BLOCK - at % _BLOCK < _PIECE:  # too little left of the block for another piece
            at += _BLOCK - at % _BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        at += _PIECE
        if at + length > len(content):
            return
        record += content[at : at + length]
        at += length
        if kind in (1, 4):
            yield Record.FromString(record)
            record = b""


@dataclass
class StoredRun:
    """What the files of one run say. `history` holds a dictionary for each logged step."""

    folder: Path
    run: Any = None
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    artifacts: list[Any] = field(default_factory=list)
    alerts: list[Any] = field(default_factory=list)
    exit_code: int | None = None

    def values(self, key: str) -> list[tuple[int, Any]]:
        """(optimiser step, value) of a logged name."""
        return [(row["trainer/global_step"], row[key]) for row in self.history if key in row]

    def artifact(self, kind: str) -> list[Any]:
        return [artifact for artifact in self.artifacts if artifact.type == kind]

    def file(self, media: dict[str, Any]) -> Path:
        """The file of a logged picture or table."""
        return self.folder / "files" / media["path"]


def read_run(folder: Path) -> StoredRun:
    """One run from its folder, `…/wandb/offline-run-…` or `…/wandb/run-…`."""
    (path,) = folder.glob("run-*.wandb")
    stored = StoredRun(folder)
    for record in records(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            stored.run = record.run
            _update(stored.config, record.run.config.update)
        elif kind == "config":
            _update(stored.config, record.config.update)
        elif kind == "history":
            stored.history.append(_update({}, record.history.item))
        elif kind == "summary":
            _update(stored.summary, record.summary.update)
        elif kind == "metric":
            stored.metrics[record.metric.name or record.metric.glob_name] = record.metric
        elif kind == "artifact":
            stored.artifacts.append(record.artifact)
        elif kind == "alert":
            stored.alerts.append(record.alert)
        elif kind == "exit":
            stored.exit_code = record.exit.exit_code
    return stored


def _update(target: dict[str, Any], items: Any) -> dict[str, Any]:
    for item in items:
        keys = list(item.nested_key) or [item.key]
        inner = target
        for key in keys[:-1]:
            inner = inner.setdefault(key, {})
        inner[keys[-1]] = json.loads(item.value_json)
    return target
