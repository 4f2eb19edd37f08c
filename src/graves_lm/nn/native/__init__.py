"""Kernels in C, compiled for this machine when they are first needed; without a compiler there are none.

All `*.c` of this folder become one shared library, made by the machine's C compiler for its own processor and
kept in the user's cache folder (`$XDG_CACHE_HOME/graves_lm`, by default `~/.cache/graves_lm`). Its name is a
hash of all that goes into it, so it is compiled once, in about half a second, and again after a change of
source, compiler or processor. All whole numbers that a kernel takes are int64, and all fractions float.

Every caller has a form in plain torch too. It is used where this cannot be (no compiler, not a CPU, not
float32), and everywhere with GRAVES_LM_NATIVE=0 in the environment.
"""

import ctypes
import functools
import hashlib
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

log = logging.getLogger(__name__)

_HERE = Path(__file__).parent
# Not -ffast-math: it makes the whole process flush small numbers to zero, and drops NaN.
_FLAGS = (
    "-std=c11",
    "-O3",
    "-march=native",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
    "-fPIC",
)


def kernel(name: str) -> Callable[..., None] | None:
    """A compiled function; None where this machine has none of that name, or they are switched off."""
    library = None if os.environ.get("GRAVES_LM_NATIVE") == "0" else _library()
    if library is None:
        return None
    function: Any = getattr(library, name, None)
    if function is not None:
        function.restype = None
    return function


def arguments(*values: Tensor | int | float | None) -> tuple[Any, ...]:
    """Values as kernels take them: the address of a tensor's numbers (NULL for None), int64, float.

    The caller keeps the tensors alive, and sees to their dtype and layout.
    """
    return tuple(_argument(value) for value in values)


def threads() -> int:
    """How many threads a kernel may use: as many as torch."""
    return torch.get_num_threads()


def _argument(value: Tensor | int | float | None) -> Any:
    if isinstance(value, Tensor):
        return ctypes.c_void_p(value.data_ptr())
    if value is None:
        return ctypes.c_void_p()
    return ctypes.c_float(value) if isinstance(value, float) else ctypes.c_int64(value)


def compiler() -> str | None:
    """The machine's C compiler: that of CC where it is set, and no other; None where there is none."""
    names = (os.environ["CC"],) if os.environ.get("CC") else ("cc", "gcc", "clang")
    return next((name for name in names if shutil.which(name)), None)


@functools.cache
def _library() -> ctypes.CDLL | None:
    found = compiler()
    if found is None:
        missing = f"no compiler CC={os.environ['CC']}" if os.environ.get("CC") else "no C compiler"
        log.warning(f"{missing}: plain torch in place of compiled kernels (slower; same results)")
        return None
    reason: object = None
    for flags in ((*_FLAGS, "-fopenmp"), _FLAGS):  # some compilers have no OpenMP: one thread
        try:
            return ctypes.CDLL(str(_compiled(found, flags)))
        except subprocess.CalledProcessError as error:
            reason = (error.stderr.strip().splitlines() or [f"exit status {error.returncode}"])[0]
        except OSError as error:
            reason = error
    log.warning(f"{found} made no kernels ({reason}): plain torch in their place (slower; same results)")
    return None


def _compiled(compiler: str, flags: tuple[str, ...]) -> Path:
    """The library's file, made if it is not there yet. Any number of processes may do this at once."""

    def run(*arguments: str | Path, cwd: str | None = None) -> str:
        command = [compiler, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd=cwd).stdout

    sources = sorted(_HERE.glob("*.[ch]"))
    # The compiler's own definitions tell its version and what this processor can do.
    definitions = run(*flags, "-E", "-dM", "-x", "c", os.devnull)
    parts = [definitions, *flags, *(text for path in sources for text in (path.name, path.read_text()))]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "graves_lm"
    made = cache / f"kernels-{key}.so"
    if not made.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            run(*flags, "-c", *(path for path in sources if path.suffix == ".c"), cwd=scratch)
            # No OpenMP library here: the functions are then those of the one that torch has loaded. Two
            # pools of threads would wait for each other.
            run("-shared", *Path(scratch).glob("*.o"), "-o", Path(scratch) / made.name)
            os.replace(Path(scratch) / made.name, made)  # whole or not at all
    return made
