"""The verbs compress and decompress: a file in, a file out, whole or not at all."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, BinaryIO, cast

from omegaconf import DictConfig, OmegaConf

from graves_lm.compression.codec import decode, encode
from graves_lm.compression.file_format import read_frames, read_header
from graves_lm.compression.method import RULES, Fresh, Method, Rule
from graves_lm.compression.network import NOTHING, byte_model, checksum, fresh_model, how_read, is_compiled
from graves_lm.compression.parts import length_and_crc
from graves_lm.compression.portable import is_portable
from graves_lm.learning.tasks.character import CharacterTask
from graves_lm.runtime.errors import UserError, visible
from graves_lm.runtime.files import check, replacing
from graves_lm.runtime.memory import keep_large_blocks

ENDING = ".glm"


def compress(cfg: DictConfig) -> None:
    """Compress `file` to `output` as `cfg` (conf/compress.yaml) says; prints what came of it."""
    keep_large_blocks()
    source = given(cfg.file)
    target = Path(cfg.output if cfg.output is not None else f"{source}{ENDING}")
    refuse_output(source, target)
    with source.open("rb") as file:
        length, crc = length_and_crc(file)
        method, task = method_of(cfg, length, crc)
        with unnamed_beside(target) as made:
            bits = encode(file, made, task, method, source.name)
            size = made.tell()
            deliver(made, target)
    rate = f", {8 * size / length:.4f} bits per byte" if length else ""
    where = "" if method.portable else "; to be decompressed on a machine of this kind"
    report(target, f"{size:,} bytes of {length:,}{rate} ({bits / 8:,.0f} predicted){where}")


def decompress(cfg: DictConfig) -> None:
    """Bring back what `file` was made of, as `cfg` (conf/decompress.yaml) says."""
    keep_large_blocks()
    source = given(cfg.file)
    if cfg.output is None and source.suffix != ENDING:
        raise UserError(f"{source}: its name does not end in {ENDING}; give output=FILE")
    target = Path(cfg.output if cfg.output is not None else source.with_suffix(""))
    refuse_output(source, target)
    with source.open("rb") as file:
        method = read_header(file, str(source))
        begin = file.tell()
        for _ in read_frames(file, str(source), method.length):  # damage is found before any work
            pass
        file.seek(begin)
        task = task_of(cfg, method, str(source))
        with unnamed_beside(target) as made:
            decode(file, made, task, method, str(source))
            deliver(made, target)
    report(target, f"{method.length:,} bytes")


def report(target: Path, what: str) -> None:
    """What came of it; not among the bytes of a target such as /dev/stdout."""
    print(f"{visible(str(target))}: {what}", file=sys.stdout if target.is_file() else sys.stderr)


# --- files ----------------------------------------------------------------------------------------------


def given(file: Any) -> Path:
    """The file that a verb was given. Raises UserError where it is none that can be read twice."""
    if file is None:
        raise UserError("give a FILE")
    path = Path(file)
    if not path.exists():
        raise UserError(f"{path}: no such file")
    if not path.is_file():
        raise UserError(f"{path}: not a file, which is read twice; a folder is first made one, as with tar")
    return path


def refuse_output(source: Path, target: Path) -> None:
    """Raises UserError where the output cannot be written, before any work."""
    if not target.parent.is_dir():
        raise UserError(f"output={target}: its folder does not exist; make it first")
    if target.exists() and os.path.samefile(source, target):
        raise UserError(f"output={target}: that is the file itself; give another name")
    check(target)


@contextmanager
def unnamed_beside(target: Path) -> Iterator[BinaryIO]:
    """A file without a name on the disk of the target, which a killed process leaves nothing of."""
    ordinary = target.is_file() or not target.exists()
    with TemporaryFile(dir=target.parent if ordinary else None) as file:
        yield cast(BinaryIO, file)


def deliver(made: IO[bytes], target: Path) -> None:
    """All of it in the place of the target."""
    made.seek(0)
    with replacing(target) as file:
        shutil.copyfileobj(made, file, 1 << 20)


# --- methods --------------------------------------------------------------------------------------------


def method_of(cfg: DictConfig, length: int, crc: int) -> tuple[Method, CharacterTask]:
    """How a file is to be made, and the network. A network that has learned nothing learns, by Adam unless
    another rule is given."""
    settings: Any = OmegaConf.to_container(cfg.dynamic, resolve=True) if cfg.dynamic is not None else None
    rule, fresh = rule_of(settings), None
    if cfg.ckpt == NOTHING:
        fresh = Fresh(cfg.layers, cfg.hidden_size)
        task, rule = fresh_model(fresh), rule or Rule("adam")
    else:
        task = byte_model(cfg.ckpt)
    if settings is not None and settings["streams"] != 1:
        raise UserError("dynamic.streams: here it is streams=, for all that is read side by side")
    model = b"" if fresh else checksum(task)
    read = how_read(task, learns=rule is not None)
    how: dict[str, Any] = {**read, "streams": cfg.streams, "counts": cfg.counts, "rule": rule, "fresh": fresh}
    return Method(length, crc, model, **how), task


def rule_of(settings: Any) -> Rule | None:
    """As a file has it: the settings that are not the defaults."""
    if settings is None:
        return None
    own = {key: value for key, value in settings["rule"].items() if key != "_target_"}
    target = settings["rule"]["_target_"].rpartition(".")[2]
    names = [name for name, kind in RULES.items() if kind.__name__ == target]
    if not names:
        raise UserError(f"dynamic.rule._target_={target}: compress knows {', '.join(RULES)}")
    usual = RULES[names[0]]()
    return Rule(names[0], {k: v for k, v in own.items() if getattr(usual, k) != v}, settings["segment"])


def task_of(cfg: DictConfig, method: Method, name: str) -> CharacterTask:
    """The network that a file was made with. Raises UserError where `ckpt` is another, or this machine
    computes otherwise."""
    if method.fresh is not None:
        task = fresh_model(method.fresh)
    else:
        task = byte_model(cfg.ckpt)
        if checksum(task) != method.model:
            raise UserError(
                f"{name}: made with other weights than ckpt={cfg.ckpt}; give those that it was made with"
            )
    if method.portable and not is_portable(task.network):
        raise UserError(f"{name}: damaged; fetch it again")
    if not method.portable and is_compiled(task) != method.kernel:
        how = (
            "with compiled kernels; install a C compiler"
            if method.kernel
            else "without compiled kernels; set GRAVES_LM_NATIVE=0"
        )
        raise UserError(f"{name}: made {how}")
    return task
