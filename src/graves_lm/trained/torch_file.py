"""What `torch.save` wrote, read as plain data.

The file is a zip of one pickle and of the tensors' bytes. A pickle is a program: this one may only put
together containers, numbers, texts and tensors, whatever it asks for. Nothing of torch's own reader runs:
that takes a tensor's size from the pickle and trusts it. Each part of the zip is held to its checksum, and
must be stored as it is, so that a file cannot become more than its size in memory.
"""

import io
import math
import os
import pickle
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graves_lm.runtime.errors import UserError, first_line

DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
PICKLE = 4 << 20  # bytes; settings and names of the largest networks take a hundredth
PARTS = 20_000  # tensors, and files in the zip
NODES = 500_000  # containers and values
DEPTH = 32


def regular_file(path: Path, what: str) -> int:
    """The size of a file in bytes.

    Raises UserError for one that is not there or cannot be looked at, and for a folder, a pipe or a device,
    which could be read for ever.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        raise UserError(f"{what}={path}: cannot be read ({first_line(error)})") from None
    if not stat.S_ISREG(found.st_mode):
        raise UserError(f"{what}={path}: not a file but a folder, a pipe or a device")
    return found.st_size


def read_torch_file(path: Path) -> Any:
    """Containers (dict, list, tuple), texts, numbers and tensors on the CPU.

    Raises ValueError, zipfile.BadZipFile or another error of a parser for anything else: the caller knows
    what the file was to be.
    """
    with zipfile.ZipFile(path) as archive:
        return plain(_Unpickler(_Parts(archive, os.path.getsize(path))).load())


class _Parts:
    """The files of the zip by their names without the folder that torch puts around them."""

    def __init__(self, archive: zipfile.ZipFile, size: int):
        infos = archive.infolist()
        if len(infos) > PARTS or sum(info.file_size for info in infos) > size:
            raise ValueError("its parts are larger than the whole")
        if any(info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 for info in infos):
            raise ValueError("its parts are compressed or encrypted")
        self.archive = archive
        self.by_name = {info.filename.partition("/")[2]: info for info in infos}
        if len(self.by_name) != len(infos):
            raise ValueError("two of its parts have one name")
        if "byteorder" in self.by_name and self.read("byteorder", 16) != b"little":
            raise ValueError("its numbers are big-endian")

    def read(self, name: str, most: int) -> bytes:
        """A part, whose checksum zipfile compares."""
        if self.by_name[name].file_size > most:
            raise ValueError(f"its part {name} is too large")
        return self.archive.read(self.by_name[name])

    def storage(self, key: str, dtype: torch.dtype, numel: int) -> Tensor:
        """Numbers of a dtype, (numel,)."""
        info = self.by_name[f"data/{key}"]
        if info.file_size != numel * dtype.itemsize:
            raise ValueError(f"its part {key} is not of the size that it is said to be")
        numbers = torch.empty(numel, dtype=dtype)
        if numel:
            with self.archive.open(info) as part:
                bytes_of = numbers.view(torch.uint8).numpy().data
                done = 0
                while read := part.readinto(bytes_of[done:]):  # type: ignore[attr-defined]
                    done += read
            if done != info.file_size:
                raise ValueError(f"its part {key} is cut")
        return numbers


class _Dict(dict):
    """In place of OrderedDict; what torch hangs on to it besides its entries is left out."""

    def __setstate__(self, state: Any) -> None: ...


class _Call:
    """A function that the pickle may call, and cannot change."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]):
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it changes a function")


class _Unpickler(pickle.Unpickler):
    def __init__(self, parts: _Parts):
        super().__init__(io.BytesIO(parts.read("data.pkl", PICKLE)))
        self._parts = parts
        self._storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return _Call(lambda: _Dict())
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Call(_tensor)
        if module == "torch" and name in DTYPES:
            return _Dtype(DTYPES[name])
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> Tensor:
        kind, dtype, key, _, numel = pid
        if kind != "storage" or type(dtype) is not _Dtype or type(key) is not str or type(numel) is not int:
            raise pickle.UnpicklingError("it asks for something that is no tensor")
        if key not in self._storages:
            self._storages[key] = self._parts.storage(key, dtype.dtype, numel)
        found = self._storages[key]
        if found.dtype != dtype.dtype or found.numel() != numel:
            raise pickle.UnpicklingError(f"it reads its part {key} in two ways")
        return found


class _Dtype:
    """A class of storages, for `persistent_load`."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: torch.dtype):
        self.dtype = dtype

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it changes a type")


def _tensor(storage: Tensor, offset: int, size: Any, stride: Any, *_: Any) -> Tensor:
    """A view of the numbers, none of which it has twice."""
    numbers = [offset, *size, *stride]
    if any(type(n) is not int or n < 0 for n in numbers) or len(size) != len(stride) or len(size) > 8:
        raise ValueError("a tensor's shape is no shape")
    if math.prod(size) > storage.numel():
        raise ValueError("a tensor is larger than its numbers")
    return storage.as_strided(tuple(size), tuple(stride), offset)


def plain(value: Any) -> Any:
    """A copy of nested containers, in which each stands alone.

    Raises ValueError for other types, and for more or deeper ones than a checkpoint has: a container that
    holds itself is one.
    """
    left = [NODES]

    def copied(value: Any, depth: int) -> Any:
        left[0] -= 1
        if left[0] < 0 or depth > DEPTH:
            raise ValueError("it is nested too deep or too often")
        if type(value) in (dict, _Dict):
            if not all(type(key) in (str, int) for key in value):
                raise ValueError("its names are neither texts nor numbers")
            return {key: copied(item, depth + 1) for key, item in value.items()}
        if type(value) in (list, tuple):
            return type(value)(copied(item, depth + 1) for item in value)
        if value is None or type(value) in (str, int, float, bool, Tensor):
            return value
        raise ValueError(f"it holds a {type(value).__name__.strip('_')}")

    return copied(value, 0)
