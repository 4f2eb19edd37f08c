"""A data cache, damaged at random in all the ways that disks, people and other programs damage files."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Damage = Callable[[np.random.Generator, Path], str | None]


def mutants(rng: np.random.Generator, cache: Path, count: int) -> Iterator[str]:
    """Damage the folder `cache` `count` times, each time from its whole content, and yield what was done.

    The content is put back at the end.
    """
    whole = cache.with_name(f"{cache.name}-whole")
    shutil.copytree(cache, whole)
    done = 0
    try:
        while done < count:
            _empty(cache)
            shutil.copytree(whole, cache, dirs_exist_ok=True)
            path = cache / str(rng.choice(sorted(p.name for p in whole.iterdir())))
            damage = _DAMAGES[rng.integers(len(_DAMAGES))]
            what = damage(rng, path)
            if what is not None:
                done += 1
                yield f"{path.name}: {what}"
    finally:
        _empty(cache)
        shutil.copytree(whole, cache, dirs_exist_ok=True)
        shutil.rmtree(whole)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _missing(rng: np.random.Generator, path: Path) -> str:
    path.unlink()
    return "missing"


def _cut(rng: np.random.Generator, path: Path) -> str | None:
    if not path.stat().st_size:
        return None
    keep = int(rng.integers(path.stat().st_size))
    os.truncate(path, keep)
    return f"cut to {keep} bytes"


def _longer(rng: np.random.Generator, path: Path) -> str:
    more = rng.bytes(int(rng.integers(1, 1000)))
    path.write_bytes(path.read_bytes() + more)
    return f"{len(more)} bytes longer"


def _flipped(rng: np.random.Generator, path: Path) -> str | None:
    data = bytearray(path.read_bytes())
    if not data:
        return None
    at, bit = int(rng.integers(len(data))), int(rng.integers(8))
    data[at] ^= 1 << bit
    path.write_bytes(data)
    return f"bit {bit} of byte {at} flipped"


def _garbage(rng: np.random.Generator, path: Path) -> str:
    path.write_bytes(rng.bytes(path.stat().st_size))
    return "garbage"


def _zeros(rng: np.random.Generator, path: Path) -> str:
    path.write_bytes(bytes(path.stat().st_size))
    return "zeros"


def _exchanged(rng: np.random.Generator, path: Path) -> str:
    other = path.parent / str(rng.choice(sorted(p.name for p in path.parent.iterdir())))
    data = other.read_bytes()
    other.write_bytes(path.read_bytes())
    path.write_bytes(data)
    return f"exchanged with {other.name}"


def _other_kind(rng: np.random.Generator, path: Path) -> str:
    path.unlink()
    kind = int(rng.integers(4))
    if kind == 0:
        path.mkdir()
    elif kind == 1:
        os.mkfifo(path)
    else:
        path.symlink_to(["/dev/zero", path.parent / "nowhere"][kind - 2])
    return ["a folder", "a pipe", "a link to a device", "a link to nowhere"][kind]


def _other_array(rng: np.random.Generator, path: Path) -> str | None:
    if path.suffix != ".npy":
        return None
    array = np.load(path)
    changed: list[Any] = [
        array[:-1],
        np.concatenate([array, array]),
        array.astype(np.float64),
        array.astype(">i4"),
        array[:, None],
        array.reshape(-1)[:0],
        np.asfortranarray(np.stack([array, array])),
        array + array.dtype.type(100),
        np.where(rng.random(array.shape) < 0.1, np.nan, array),
        np.array(7),
        np.array([{"a": 1}, None]),
    ]
    which = int(rng.integers(len(changed)))
    np.save(path, changed[which])
    return f"another array ({which}: {changed[which].dtype} {changed[which].shape})"


_VALUES = (None, -1, 0, 10**30, 2.5, float("nan"), True, "x", "", [], {}, [[]], {"a": -1})


def _other_json(rng: np.random.Generator, path: Path) -> str | None:
    if path.suffix != ".json":
        return None
    content = json.loads(path.read_text())
    value = _VALUES[rng.integers(len(_VALUES))]
    node, way = content, []
    while True:
        keys: list[Any] = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = keys[rng.integers(len(keys))]
        way.append(key)
        if not isinstance(node[key], dict | list) or not node[key] or rng.random() < 0.3:
            break
        node = node[key]
    if rng.random() < 0.3:
        del node[key]
        what = "removed"
    else:
        node[key] = value
        what = f"= {value!r}"
    path.write_text(json.dumps(content))
    return f"{way} {what}"


def _deep_json(rng: np.random.Generator, path: Path) -> str | None:
    if path.suffix != ".json":
        return None
    path.write_text(["[" * 100_000, "9" * 10_000, '{"format": "graves_lm.cache"', "null"][rng.integers(4)])
    return "odd JSON"


_DAMAGES: tuple[Damage, ...] = (
    _missing,
    _cut,
    _longer,
    _flipped,
    _garbage,
    _zeros,
    _exchanged,
    _other_kind,
    _other_array,
    _other_array,
    _other_json,
    _other_json,
    _other_json,
    _deep_json,
)
