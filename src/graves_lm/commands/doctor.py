"""The doctor command: what this machine has for training and writing, and what to mend.

A line for each thing: `ok`; `--`, what is missing but not needed everywhere; `!!`, what must be mended before
anything can be trained or sampled. Exit status 1 with a `!!`, else 0. Nothing is written, and the network is
asked nothing.
"""

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import requires, version
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

from graves_lm.runtime.errors import first_line, visible
from graves_lm.runtime.terminal import command

_CORPORA = {"iam": "trainset.txt", "ptb_char": "simple-examples.tgz", "enwik8": "enwik8*"}
_LEAST_FREE = 2 * 1024**3  # bytes: the caches of the larger corpora, and some checkpoints


class Finding(NamedTuple):
    """mark: "ok", "--" or "!!"."""

    mark: str
    what: str
    value: str
    mend: str = ""


def python_version() -> Iterator[Finding]:
    found = platform.python_version()
    good = sys.version_info >= (3, 11)
    yield Finding("ok" if good else "!!", "Python", found, "" if good else "install 3.11 or newer")


def packages() -> Iterator[Finding]:
    for line in requires("graves-lm") or []:
        requirement = Requirement(line)
        if requirement.marker is not None:
            continue  # of an extra
        try:
            found = version(requirement.name)
        except ImportError:
            yield Finding("!!", requirement.name, "missing", f"pip install '{line}'")
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            yield Finding(
                "!!", requirement.name, f"{found}, not {requirement.specifier}", f"pip install '{line}'"
            )
        elif requirement.name in ("torch", "lightning", "hydra-core", "wandb"):
            yield Finding("ok", requirement.name, found)


def devices() -> Iterator[Finding]:
    import torch

    count = torch.cuda.device_count()
    for i in range(count):
        gigabytes = torch.cuda.get_device_properties(i).total_memory / 1024**3
        yield Finding("ok", f"CUDA device {i}", f"{torch.cuda.get_device_name(i)}, {gigabytes:.0f} GiB")
    if count == 0:
        why = "no driver or no GPU" if torch.version.cuda else "this torch is built for CPUs"
        yield Finding("--", "CUDA", f"no device ({why})", "training runs on the CPU: trainer=cpu")


def cores_and_memory() -> Iterator[Finding]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding(
        "ok", "cores", f"{usable} usable, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'not set')}"
    )
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        gibibytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1024**3
        small = gibibytes < 4
        mend = "smaller data.batch_size and hidden_size" if small else ""
        yield Finding("--" if small else "ok", "memory", f"{gibibytes:.0f} GiB", mend)


def compiler() -> Iterator[Finding]:
    from graves_lm.nn.native import compiler as find

    found = find()
    mend = "" if found else "install gcc (or mend CC): kernels compiled here train and sample faster"
    yield Finding("ok" if found else "--", "C compiler", found or "none", mend)


def wandb_state() -> Iterator[Finding]:
    from graves_lm.learning.tracking import has_credentials

    mode = os.environ.get("WANDB_MODE")
    if mode is not None:
        yield Finding("ok", "W&B", f"WANDB_MODE={mode}")
    elif has_credentials():
        yield Finding("ok", "W&B", "credentials found: runs are uploaded")
    else:
        yield Finding("--", "W&B", "no credentials: runs stay offline", "wandb login, or logger=csv")


def data() -> Iterator[Finding]:
    caches = sorted(card.parent.name for card in Path("data").glob("*/card.json"))
    yield Finding("ok", "caches in ./data", ", ".join(caches) or "none yet (made when first needed)")
    roots = [p for p in (os.environ.get("GRAVES_LM_DATA"), "data") if p]
    for name, pattern in _CORPORA.items():
        found = next((p for root in roots for p in sorted(Path(root).glob(f"**/{pattern}"))[:1]), None)
        if found:
            yield Finding("ok", f"data={name}", f"data.source={found.parent}")
        else:
            yield Finding("--", f"data={name}", "not found", "only for that corpus: data.source=DIR")


def places() -> Iterator[Finding]:
    for name in ("data", "logs"):
        folder = Path(name) if Path(name).is_dir() else Path()
        if not os.access(folder, os.W_OK):
            yield Finding(
                "!!", f"./{name}", "cannot be written", "run elsewhere, or give run_dir= and data.cache_dir="
            )
            continue
        free = shutil.disk_usage(folder).free
        mark, mend = (
            ("ok", "") if free > _LEAST_FREE else ("--", "caches and checkpoints may not fit: make room")
        )
        yield Finding(mark, f"./{name}", f"writable, {free / 1024**3:.1f} GiB free", mend)


def own_files() -> Iterator[Finding]:
    from graves_lm.commands.launch import CONF

    there = (CONF / "train.yaml").is_file()
    yield Finding(
        "ok" if there else "!!", "configuration", str(CONF), "" if there else "install graves_lm again"
    )
    weights = sorted(p.stem for p in (Path(__file__).parents[1] / "pretrained").glob("*.safetensors"))
    yield (
        Finding("ok", "weights that come along", ", ".join(f"ckpt={w}" for w in weights))
        if weights
        else Finding(
            "--",
            "weights that come along",
            "none",
            "not needed for training; to sample without ckpt=, install a package with them",
        )
    )


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    python_version,
    packages,
    devices,
    cores_and_memory,
    compiler,
    wandb_state,
    data,
    places,
    own_files,
)


def examine() -> list[Finding]:
    """What all checks find; a check that cannot be made is itself a finding."""
    findings: list[Finding] = []
    for check in CHECKS:
        try:
            findings += check()
        except Exception as error:  # of a broken installation anything may be raised
            reason = f"{type(error).__name__}: {first_line(error)}"
            findings.append(
                Finding("!!", check.__name__.replace("_", " "), reason, "pip install graves-lm again")
            )
    return findings


def main() -> int:
    with command("doctor"):
        findings = examine()
        width = max(len(f.what) for f in findings)
        for mark, what, value, mend in findings:
            print(visible(f"{mark}  {what:<{width}}  {value}" + (f"  ->  {mend}" if mend else "")))
        wrong = sum(f.mark == "!!" for f in findings)
        print(f"\n{wrong} thing(s) to mend" if wrong else "\nready: python -m graves_lm.train")
        return int(wrong > 0)
