"""Strangers' files and slips of the finger at random, from a seed: `python -m tests.fuzz [CASES] [SEED]`.

Each case is a command as a user gives it, in a process of its own. It must end by itself within 20 seconds
and 1 GB, with status 0, or with 2 and one line; never with a traceback or a signal. A table comes last.
"""

import copy
import gzip
import io
import json
import os
import random
import resource
import signal
import sys
import tarfile
import tempfile
import time
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from graves_lm.commands.launch import CONF
from graves_lm.trained.checkpoint import read_checkpoint
from graves_lm.trained.exported import export
from tests.data.lines import wave, write_ink
from tests.runs import train, write_text, write_waves
from tests.strangers import payloads
from tests.writing.hands import synthesis_checkpoint

SECONDS, MEGABYTES = 20, 1000
VALUES = (
    *("-1", "0", "1", "2", "1.5", "1e30", "1e-30", "nan", "inf", "-inf", "null", "true", "abc", "[]", "{}"),
    *("[1,2]", "[nan]", "[a,b]", "'42'", "''", "' '", "99999999999999999999"),
)
TINY = (
    "data.batch_size=4",
    "data.length=10",
    "data.warm_up=5",
    "data.eval_batch_size=3",
    "model.network.hidden_size=8",
    "model.network.layers=1",
    "sampler.length=5",
    "logger=csv",
    "callbacks.progress=null",
    "trainer.max_steps=2",
    "trainer.max_time=00:00:00:05",
)
TINY_PEN = (
    *(one for one in TINY if not one.startswith(("data.length", "data.warm_up", "sampler."))),
    "model.network.mixtures=2",
    "model.network.window_components=2",
    "sampler.points_per_character=1",
)
LONG = ("length", "max_steps", "max_epochs", "max_time")  # settings that may well ask for hours


@dataclass
class Case:
    """A command with its arguments, and the files that it is given, by name."""

    kind: str
    what: str
    command: str
    arguments: list[str]
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Ending:
    status: int
    seconds: float
    megabytes: float
    output: str

    def fault(self) -> str | None:
        """What is wrong with how a case ended."""
        if self.status < 0:
            return f"signal {-self.status}"
        if "Traceback" in self.output:
            return "traceback"
        if self.status not in (0, 2):
            return f"status {self.status}"
        lines = [line for line in self.output.splitlines() if line.startswith("graves_lm ")]
        if self.status == 2 and (not lines or max(map(len, lines)) > 400):
            return "no line, or a long one"
        if self.seconds > SECONDS:
            return f"{self.seconds:.0f} s"
        if self.megabytes > MEGABYTES:
            return f"{self.megabytes:.0f} MB"
        return None


class Material:
    """Small runs and files that are whole, for cases to damage."""

    def __init__(self, folder: Path):
        self.text = write_text(folder)
        short = ("trainer.max_steps=2", "trainer.max_epochs=1")
        train(folder / "character", self.text, *short)
        train(folder / "synthesis", write_waves(folder), "model=synthesis", *short)
        self.runs = {
            name: (folder / name / "checkpoints" / "last.ckpt") for name in ("character", "synthesis")
        }
        self.exported = {}
        whole = {
            "character": (read_checkpoint(self.runs["character"]), None),
            "synthesis": (synthesis_checkpoint(characters=" aevw"), wave("hand", 40)),
        }
        for name, (checkpoint, hand) in whole.items():
            export(checkpoint, folder / f"{name}.safetensors", hand=hand)
            self.exported[name] = (folder / f"{name}.safetensors").read_bytes()
        write_ink(folder / "good.json", [wave(f"w{i}", 40) for i in range(12)])
        self.ink = (folder / "good.json").read_bytes()
        self.pen = folder / "ink.json"
        self.compressed = compressed_text(folder)
        self.settings = {
            "character": keys_of("data=textfile", "data.source=x", "logger=csv"),
            "synthesis": keys_of("model=synthesis", "data=ink", "data.source=x", "logger=csv"),
        }


def compressed_text(folder: Path) -> bytes:
    """A text as a network from nothing compresses it."""
    from graves_lm.compression.codec import encode
    from graves_lm.compression.method import Fresh, Method, Rule
    from graves_lm.compression.network import fresh_model, is_compiled
    from graves_lm.compression.parts import length_and_crc

    fresh, made = Fresh(1, 8), io.BytesIO()
    task = fresh_model(fresh)
    with io.BytesIO(b"a wave, and a wave") as text:
        length, crc = length_and_crc(text)
        rule = Rule("rms", {"segments": 2}, 5)
        method = Method(length, crc, kernel=is_compiled(task), streams=2, counts=2, rule=rule, fresh=fresh)
        encode(text, made, task, method, "a text")
    return made.getvalue()


def keys_of(*overrides: str) -> list[str]:
    """The settings of a training, but for those that name what to call or where to write."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        plain = OmegaConf.to_container(compose("train", list(overrides)), resolve=False)
    return [key for key in leaves(plain) if "_target_" not in key and key != "run_dir"]


def leaves(node: Any, where: str = "") -> Iterator[str]:
    if isinstance(node, dict) and node:
        for name, value in node.items():
            yield from leaves(value, f"{where}.{name}" if where else str(name))
    else:
        yield where


def damaged(rng: random.Random, content: bytes) -> bytes:
    """Bytes turned, cut, doubled or put in."""
    found = bytearray(content)
    for _ in range(rng.choice((1, 1, 3, 20))):
        at = rng.randrange(len(found) + 1)
        match rng.randrange(4):
            case 0 if at < len(found):
                found[at] ^= 1 << rng.randrange(8)
            case 1:
                del found[at : at + rng.choice((1, 10, 1000))]
            case 2:
                found[at:at] = found[at : at + rng.choice((1, 10, 1000))]
            case _:
                found[at:at] = bytes(rng.randrange(256) for _ in range(rng.choice((1, 4, 40))))
    return bytes(found)


def changed(rng: random.Random, content: Any) -> Any:
    """Containers with one of their values replaced, left out or doubled."""
    found = copy.deepcopy(content)
    node: Any = found
    while True:
        key = rng.choice(list(node) if isinstance(node, dict) else range(len(node)))
        if not isinstance(node[key], dict | list) or not node[key] or rng.random() < 0.2:
            break
        node = node[key]
    pool = (None, -1, 0, 10**6, 10**30, 1.5, float("nan"), "", "x" * 1000, [], {}, [[]], True, torch.zeros(2))
    if isinstance(node, dict) and rng.random() < 0.2:
        del node[key]
    else:
        node[key] = copy.deepcopy(rng.choice(pool))
    return found


def checkpoints(rng: random.Random, made: Material) -> Case:
    name = rng.choice(list(made.runs))
    real = made.runs[name].read_bytes()
    what, mark = "", Path("/nonexistent/mark")
    match rng.randrange(4):
        case 0:
            what, content = rng.choice(list(payloads.files(mark, real)))
        case 1:
            what, content = "bytes", damaged(rng, real)
        case _:
            whole = torch.load(io.BytesIO(real), weights_only=True)
            if name == "character" and rng.random() < 0.5:
                what, change = rng.choice([*payloads.content(mark), *payloads.state(mark)])
                change(whole)
            else:
                what, whole = "a value", changed(rng, whole)
            buffer = io.BytesIO()
            torch.save(whole, buffer)
            content = buffer.getvalue()
    return Case("checkpoint", what, *use(rng, made, name, "f.ckpt"), {"f.ckpt": content})


def use(rng: random.Random, made: Material, name: str, file: str) -> tuple[str, list[str]]:
    """A command that reads a checkpoint."""
    if name == "synthesis":
        return "sample", [f"ckpt={file}", "text=a", "output=o.svg", "one_hand=false", "sampler.retries=0"]
    return rng.choice(
        [
            ("sample", [f"ckpt={file}", "sampler.length=5"]),
            ("evaluate", [f"ckpt={file}", f"data.source={made.text}", "run_dir=e"]),
            ("train", ["data=textfile", f"data.source={made.text}", *TINY, f"resume={file}", "run_dir=r"]),
            ("train", ["data=textfile", f"data.source={made.text}", *TINY, f"init={file}", "run_dir=r"]),
        ]
    )


def safetensors(rng: random.Random, made: Material) -> Case:
    name = rng.choice(list(made.exported))
    real = made.exported[name]
    if rng.random() < 0.5:
        content, what = damaged(rng, real), "bytes"
    else:
        size = int.from_bytes(real[:8], "little")
        header = json.loads(real[8 : 8 + size])
        if rng.random() < 0.5:
            header["__metadata__"]["graves_lm"] = json.dumps(
                changed(rng, json.loads(header["__metadata__"]["graves_lm"])), default=str
            )
        else:
            header = changed(rng, header)
        text, what = json.dumps(header, default=str).encode(), "its header"
        content = len(text).to_bytes(8, "little") + text + real[8 + size :]
    return Case("safetensors", what, *use(rng, made, name, "f.safetensors"), {"f.safetensors": content})


def inks(rng: random.Random, made: Material) -> Case:
    from tests.data.ink_mutants import mutants

    what, content = next(iter(mutants(rng, 1)))
    ending = Path(what).suffix or ".json"
    file = f"f{ending}"
    if rng.random() < 0.5:
        arguments = ["data=ink", "data.source=.", "data.cache_dir=c"]
        return Case("ink", what, "prepare", arguments, {file: content, "good.json": made.ink})
    arguments = [
        "text=a",
        "output=o.svg",
        f"sampler.prime={file}",
        "sampler.prime_text=ab",
        "sampler.retries=0",
    ]
    return Case("ink", what, "sample", ["ckpt=" + str(made.runs["synthesis"]), *arguments], {file: content})


def hands(rng: random.Random, made: Material) -> Case:
    """What hand= may be given, with a hand or two that are damaged."""
    names = (
        "h",
        "g",
        "w",
        "good",
        "package",
        "3",
        "h.json",
        "none",
        "",
        "../h",
        "h.ckpt",
        "9" * 30,
        "é",
        "h.txt",
    )
    shares = ("", "", ":1", ":0.5", ":0", ":nan", ":-1", ":x", ":1e400", ":", "::")
    hand = "+".join(rng.choice(names) + rng.choice(shares) for _ in range(rng.choice((1, 1, 2, 3, 20))))
    damage = rng.random() < 0.7
    files = {
        "w.safetensors": made.exported["synthesis"],
        "h.json": damaged(rng, made.ink) if damage else made.ink,
        "h.ckpt": damaged(rng, made.runs["synthesis"].read_bytes()),
        "g.safetensors": made.exported["synthesis"],
        "good.json": made.ink,
    }
    arguments = ["text=a", "output=o.svg", "sampler.retries=0", f"hand={hand}", "hands_dir=."]
    return Case("hand", hand, "sample", [*rng.choice(([], ["ckpt=w.safetensors"])), *arguments], files)


def compressed(rng: random.Random, made: Material) -> Case:
    """What decompress may be given: damage, and headers and frames whose checksums are right."""
    real = made.compressed
    size = real[4]
    method, behind = msgspec.msgpack.decode(real[5 : 5 + size]), real[9 + size :]
    match rng.randrange(3):
        case 0:
            what, content = "bytes", damaged(rng, real)
        case 1:
            what = "its header"
            other = changed(rng, method)
            with suppress(OverflowError):  # of 10**30, which no header can say
                method = other if msgspec.msgpack.encode(other, enc_hook=str) else method
            packed = msgspec.msgpack.encode(method, enc_hook=str)[:255]
            head = real[:4] + bytes([len(packed)]) + packed
            content = head + zlib.crc32(head).to_bytes(4, "little") + behind
        case _:
            what, words = "its words", rng.randbytes(4 * rng.randrange(20))
            head = behind[:1] + bytes([len(words) // 4]) + rng.randbytes(2)
            content = real[: 9 + size] + head + zlib.crc32(words).to_bytes(4, "little") + words + b"\0"
    return Case("compressed", what, "decompress", ["f.glm"], {"f.glm": content})


def archives(rng: random.Random, made: Material) -> Case:
    text = ("a b c _ d\n" * rng.randrange(1, 200)).encode()
    names = [f"./simple-examples/data/ptb.char.{part}.txt" for part in ("train", "valid", "test")]
    names = rng.choice(
        (names, names * 2, names[:2], ["../" + n for n in names], ["/etc/" + n for n in names])
    )
    buffer = io.BytesIO()
    match rng.randrange(3):
        case 0:
            with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
                for name in names:
                    info = tarfile.TarInfo(name)
                    info.size = len(text)
                    info.type = rng.choice((tarfile.REGTYPE,) * 4 + (tarfile.SYMTYPE, tarfile.FIFOTYPE))
                    info.linkname = "/etc/passwd"
                    archive.addfile(info, io.BytesIO(text))
            file, arguments = "simple-examples.tgz", ["data=ptb_char", "data.source=."]
        case 1:
            with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
                packed.writestr("enwik8", bytes(rng.choice((1000, 10**6, 300 * 10**6))))
            file, arguments = "enwik8.zip", ["data=enwik8", "data.source=."]
        case _:
            buffer.write(gzip.compress(bytes(rng.choice((10, 10**6, 200 * 10**6))), 1))
            file, arguments = "lineStrokes-all.tar.gz", ["data=iam", "data.source=."]
    content = buffer.getvalue()
    if rng.random() < 0.5:
        content = damaged(rng, content)
    return Case("archive", file, "prepare", [*arguments, "data.cache_dir=c"], {file: content})


def texts(rng: random.Random, made: Material) -> Case:
    pieces = ["a wave ", "é", "\t", "\u2028", "\ufeff", "\u200b", "\x00", "日", "e\u0301", "\n", "\f", "“"]
    content = "".join(rng.choice(pieces) for _ in range(rng.randrange(40))).encode()
    match rng.randrange(4):
        case 0:
            content = damaged(rng, content or b"a")
        case 1:
            content = content.decode().encode("utf-16")
        case 2:
            content = content.decode().encode("latin-1", "replace")
    if rng.random() < 0.4:
        unit = rng.choice(("character", "byte"))
        arguments = ["data=textfile", "data.source=f.txt", f"data.unit={unit}", "data.cache_dir=c"]
        return Case("text", f"to learn, {unit}", "prepare", arguments, {"f.txt": content * 20})
    unknown = rng.choice(("error", "skip", "replace"))
    arguments = ["text_file=f.txt", f"on_unknown={unknown}", "output=o.svg", "one_hand=false", "width=12"]
    ckpt = f"ckpt={made.runs['synthesis']}"
    return Case("text", f"to write, {unknown}", "sample", [ckpt, *arguments], {"f.txt": content})


def settings(rng: random.Random, made: Material) -> Case:
    model = rng.choice(list(made.settings))
    key = rng.choice(made.settings[model])
    value = rng.choice([v for v in VALUES if not (key.rpartition(".")[2] in LONG and len(v) > 3)])
    tiny = TINY if model == "character" else TINY_PEN
    own = ["data=textfile", f"data.source={made.text}"]
    if model == "synthesis":
        own = ["model=synthesis", "data=ink", f"data.source={made.pen}", "data.val_share=0.2"]
    arguments = [
        *own,
        "data.cache_dir=c",
        "run_dir=r",
        *(one for one in tiny if not one.startswith(f"{key}=")),
    ]
    return Case("setting", f"{key}={value}", "train", [*arguments, f"{key}={value}"])


KINDS: dict[str, Callable[[random.Random, Material], Case]] = {
    "checkpoint": checkpoints,
    "safetensors": safetensors,
    "ink": inks,
    "hand": hands,
    "compressed": compressed,
    "archive": archives,
    "text": texts,
    "setting": settings,
}


def run(case: Case, folder: Path) -> Ending:
    """The command in a process of its own, which has all that it imports already."""
    for name, content in case.files.items():
        (folder / name).write_bytes(content)
    log = folder / "output.log"
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        end_with(case, folder, log)
    status, usage = -signal.SIGXCPU, resource.getrusage(resource.RUSAGE_SELF)
    while time.monotonic() - began < SECONDS + 5:
        done, found, usage = os.wait4(child, os.WNOHANG)
        if done:
            status = os.waitstatus_to_exitcode(found)
            break
        time.sleep(0.01)
    else:
        os.kill(child, signal.SIGKILL)
        os.wait4(child, 0)
    output = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return Ending(status, time.monotonic() - began, usage.ru_maxrss / 1024, output)


def end_with(case: Case, folder: Path, log: Path) -> None:
    """In the child: what `python -m graves_lm.COMMAND ARGUMENTS` does, then the end of the process."""
    status = 70
    try:
        os.chdir(folder)
        output = os.open(log, os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
        sys.argv = [case.command, *case.arguments]
        import_module(f"graves_lm.{case.command}").main()
        status = 0
    except SystemExit as asked:
        status = asked.code if isinstance(asked.code, int) else 0 if asked.code is None else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)


def fuzz(cases: int, seed: int, folder: Path) -> list[tuple[Case, Ending]]:
    """Run so many cases, each kind in turn, and print a table of how they ended. Returns the faulty ones."""
    os.environ |= {"WANDB_MODE": "offline", "HYDRA_FULL_ERROR": "0"}
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of zipfile, about the archives that are made here
    made = Material(folder)
    for command in ("train", "evaluate", "sample", "prepare", "decompress"):
        import_module(f"graves_lm.{command}")
    rng, faulty = random.Random(seed), []
    table = {kind: Counter[str]() for kind in KINDS}
    slowest, largest = Counter[str](), Counter[str]()
    for number in range(cases):
        kind = list(KINDS)[number % len(KINDS)]
        case = KINDS[kind](rng, made)
        with tempfile.TemporaryDirectory(dir=folder) as own:
            ending = run(case, Path(own))
        fault = ending.fault()
        table[kind]["faulty" if fault else "refused" if ending.status else "done"] += 1
        slowest[kind] = max(slowest[kind], ending.seconds)  # type: ignore[assignment]
        largest[kind] = max(largest[kind], ending.megabytes)  # type: ignore[assignment]
        if fault:
            faulty.append((case, ending))
            print(f"{number}: {fault}: {case.kind}, {case.what}: {case.command} {' '.join(case.arguments)}")
            print("   ", "\n    ".join(ending.output.splitlines()[-6:]))
    print(f"{'':12} {'done':>6} {'refused':>8} {'faulty':>7} {'longest':>9} {'largest':>9}   seed {seed}")
    for kind, counts in table.items():
        row = " ".join(f"{counts[how]:>{w}}" for how, w in (("done", 6), ("refused", 8), ("faulty", 7)))
        print(f"{kind:12} {row} {slowest[kind]:>7.1f} s {largest[kind]:>6.0f} MB")
    return faulty


if __name__ == "__main__":
    asked = [int(argument) for argument in sys.argv[1:]] + [600, 1][len(sys.argv) - 1 :]
    with tempfile.TemporaryDirectory() as place:
        sys.exit(1 if fuzz(*asked[:2], Path(place)) else 0)
