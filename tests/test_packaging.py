"""What is installed and what is passed on: the locks, and the wheels with and without trained weights."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DECISION = ROOT / "docs" / "adr" / "0005-dependencies.md"
NEVER = re.compile(r"torch|triton|nvidia|cuda")


# --- locks ----------------------------------------------------------------------------------------


@cache
def locked(name: str) -> dict[str, list[Requirement]]:
    """The lines of a lock by package, each with its hashes taken off."""
    found: dict[str, list[Requirement]] = {}
    entries = re.split(r"\n(?=[a-z])", (ROOT / "requirements" / name).read_text())
    for entry in entries:
        line, _, rest = entry.partition(" \\\n")
        assert re.match(r"    --hash=sha256:[0-9a-f]{64}", rest), f"{line}: no hash"
        requirement = Requirement(line)
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def version_of(requirement: Requirement) -> str:
    (specifier,) = requirement.specifier
    assert specifier.operator == "=="
    return specifier.version


def needed(extras: tuple[str, ...] = ()) -> list[Requirement]:
    """What pyproject.toml asks for, PyTorch left out."""
    lines = [*PROJECT["dependencies"]]
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    requirements = [Requirement(line) for line in lines]
    return [r for r in requirements if r.name not in ("torch", PROJECT["name"])]


def asked() -> list[Requirement]:
    """Every package of pyproject.toml, those of the extras too."""
    lines = [
        *PROJECT["dependencies"],
        *(x for extra in PROJECT["optional-dependencies"].values() for x in extra),
    ]
    return [requirement for requirement in map(Requirement, lines) if requirement.name != PROJECT["name"]]


def test_every_package_has_its_reason():
    words = set(re.findall(r"[\w-]+", DECISION.read_text()))
    assert {requirement.name for requirement in asked()} - words == set()


def test_every_upper_bound_has_its_reason():
    bounds = {f"{r.name} {s}" for r in asked() for s in r.specifier if s.operator in ("<", "<=", "==", "~=")}
    rows = re.findall(r"^\| ([\w-]+ [<=~]+[\w.]+) \| .+ \|$", DECISION.read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(bounds)


@pytest.mark.parametrize(
    ("lock", "requirement"),
    [
        *(("run.lock", requirement) for requirement in needed()),
        *(("dev.lock", requirement) for requirement in needed(("dev", "sweep", "dashboard"))),
    ],
    ids=str,
)
def test_the_locks_hold_what_the_package_asks_for(lock, requirement):
    versions = locked(lock)[canonicalize_name(requirement.name)]
    assert all(requirement.specifier.contains(version_of(one), prereleases=True) for one in versions)


def test_pytorch_is_locked_by_its_version():
    (line,) = [
        line
        for line in (ROOT / "requirements" / "torch.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    (asked,) = [r for r in map(Requirement, PROJECT["dependencies"]) if r.name == "torch"]
    assert asked.specifier.contains(version_of(Requirement(line)))


def test_what_a_run_needs_is_the_same_in_both_locks():
    for name, requirements in locked("run.lock").items():
        assert list(map(version_of, requirements)) == list(map(version_of, locked("dev.lock")[name])), name


@pytest.mark.parametrize("lock", ["run.lock", "dev.lock"])
def test_a_lock_holds_for_any_build_of_pytorch_and_any_registry(lock):
    assert {name for name in locked(lock) if NEVER.match(name)} - {"triton"} == {"torchmetrics"}
    assert ("triton" in locked(lock)) == (lock == "dev.lock")
    assert "://" not in (ROOT / "requirements" / lock).read_text()


# --- wheels ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[False, True], ids=["with weights", "without weights"])
def wheel(request, tmp_path_factory) -> tuple[Path, bool]:
    """The package's wheel, and whether it has the weights."""
    pytest.importorskip("hatchling", reason="the extra `dev` is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    environment = os.environ | {"GRAVES_LM_WITHOUT_WEIGHTS": str(int(request.param))}
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path, not request.param


@pytest.mark.slow
def test_a_wheel_has_the_weights_it_says_and_their_licence(wheel):
    path, with_weights = wheel
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        said = message_from_bytes(archive.read(metadata))
    tracked = subprocess.run(
        ["git", "ls-files", "src/graves_lm", "conf"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    expected = {
        name.removeprefix("src/") if name.startswith("src/") else f"graves_lm/{name}" for name in tracked
    }
    weights = {name for name in expected if name.startswith("graves_lm/pretrained/")}
    stems = {"character", "hands", "reader", "stroke", "synthesis", "synthesis_european", "synthesis_free"}
    assert {Path(name).stem for name in weights} == stems
    assert {name for name in names if name.startswith("graves_lm/")} == (
        expected if with_weights else expected - weights
    )
    assert said["License-Expression"] == ("MIT AND LicenseRef-graves-lm-weights" if with_weights else "MIT")
    licences = ["LICENSE", "LICENSE-WEIGHTS"] if with_weights else ["LICENSE"]
    assert said.get_all("License-File") == licences
    folder = metadata.removesuffix("METADATA")
    assert {name for name in names if "/licenses/" in name} == {
        f"{folder}licenses/{name}" for name in licences
    }


@pytest.mark.slow
def test_without_weights_loading_says_what_to_do(wheel, tmp_path):
    path, with_weights = wheel
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path)
    code = (
        "import graves_lm\ntry:\n    graves_lm.load()\nexcept Exception as e:\n    print(type(e).__name__, e)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    if with_weights:
        assert done.stdout == ""
    else:
        assert done.stdout == (
            "UserError ckpt=synthesis: no such file, and this package was built without trained weights; "
            "give a checkpoint of graves_lm.train, or install a package with them\n"
        )
