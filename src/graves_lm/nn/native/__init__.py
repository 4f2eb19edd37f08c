"""Kernels in C, compiled for this machine when they are first needed; without a compiler there are none.

All `*.c` of this folder become one shared library, made by the machine's C compiler for its own processor and
kept in the user's cache folder (see `cache`). Its name has a hash of all that goes into it, so it is compiled
once, in about a second, and again after a change of source, compiler or processor. All whole numbers that a
kernel takes are int64, and all fractions float.

Every caller has a form in plain torch too. It is used where this cannot be (no compiler, not a CPU, not
float32), and everywhere with GRAVES_LM_NATIVE=0 in the environment.
"""

import ctypes
import functools
import hashlib
import logging
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graves_lm.nn.native import cache

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
_LONGEST = 30.0  # seconds that a compiler may take for one call


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
    """The machine's C compiler as a shell would be given it: that of CC where it is set, which may have
    arguments ("ccache gcc", "gcc -O2"), and no other; None where there is none."""
    command = _compiler()
    return shlex.join(command) if command else None


def _compiler() -> list[str] | None:
    wanted = os.environ.get("CC", "").strip()
    commands = [["cc"], ["gcc"], ["clang"]]
    if wanted:
        commands = [[wanted]]  # a path with spaces in it, if there is such a program
        with suppress(ValueError):  # quotes that do not close
            commands.append(shlex.split(wanted))
    for program, *more in filter(None, commands):
        if found := shutil.which(program):
            return [os.path.abspath(found), *more]  # it is started elsewhere
    return None


@functools.cache
def _library() -> ctypes.CDLL | None:
    command = _compiler()
    if command is None:
        missing = (
            f"no compiler CC={os.environ['CC']}" if os.environ.get("CC", "").strip() else "no C compiler"
        )
        log.warning(f"{missing}: plain torch in place of compiled kernels (slower; same results)")
        return None
    reason = ""
    for flags in ((*_FLAGS, "-fopenmp"), _FLAGS):  # some compilers have no OpenMP: one thread
        try:
            return cache.library(_key(command, flags), functools.partial(_make, command, flags))
        except subprocess.CalledProcessError as error:
            reason = (error.stderr.strip().splitlines() or [f"exit status {error.returncode}"])[0]
        except subprocess.TimeoutExpired as error:
            reason = f"no answer within {error.timeout:.0f} s"
            break
        except (OSError, ValueError) as error:  # the second: a NUL in CC
            reason = " ".join(str(error).split())
    name = shlex.join(command)
    log.warning(f"{name} made no kernels ({reason}): plain torch in their place (slower; same results)")
    return None


def _key(command: Sequence[str], flags: Sequence[str]) -> str:
    """A hash of all that the library is made from."""
    # The compiler's own definitions tell its version and what this processor can do.
    definitions = _run([*command, *flags, "-E", "-dM", "-x", "c", os.devnull])
    parts = [definitions, *map(os.fsencode, (*command, *flags))]
    for path in sorted(_HERE.glob("*.[ch]")):
        parts += [os.fsencode(path.name), path.read_bytes()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _make(command: Sequence[str], flags: Sequence[str], folder: Path) -> Path:
    """The library, made in an empty folder."""
    made = folder / "made.so"
    _run([*command, *flags, "-c", *map(str, sorted(_HERE.glob("*.c")))], folder)
    # No OpenMP library here: the functions are then those of the one that torch has loaded. Two pools of
    # threads would wait for each other.
    _run([*command, "-shared", *map(str, sorted(folder.glob("*.o"))), "-o", str(made)], folder)
    return made


def _run(command: Sequence[str], folder: Path | None = None) -> bytes:
    """What a compiler prints. It may start others (ccache, a script), which end with it."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=os.environ | {"LC_ALL": "C"},
        start_new_session=True,
    ) as process:
        try:
            out, errors = process.communicate(timeout=_LONGEST)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode != 0:
        raise subprocess.CalledProcessError(
            process.returncode, command, stderr=errors.decode(errors="replace")
        )
    return out
