"""The container image, built on Debian's minimal system without a registry, does what the guide says."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runs import QUICK, TEXT_RUN, write_text

ROOT = Path(__file__).parents[1]
USER = 1000


def _lacking() -> str | None:
    """Why no image can be built here; None if one can."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "images are built by root on Linux"
    if sys.version_info[:2] not in ((3, 11), (3, 13)):
        return "no Debian comes with this Python"
    missing = [tool for tool in ("buildah", "debootstrap") if not shutil.which(tool)]
    return f"no {' and no '.join(missing)} (apt-get install buildah debootstrap)" if missing else None


pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(_lacking()), reason=_lacking() or "")]


def buildah(*arguments: str | Path) -> str:
    return subprocess.run(["buildah", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


class Image:
    """A container of the image, which runs commands as `docker run` does; `data` and `logs` are mounted."""

    def __init__(self, folder: Path) -> None:
        self.tag = f"graves_lm:test-{os.getpid()}"
        subprocess.run(
            [ROOT / "docker" / "build_local.sh", self.tag],
            check=True,
            env=os.environ | {"PYTHON": sys.executable},
        )
        self.container = buildah("from", "--pull-never", self.tag).strip()
        # From the second command on, buildah would lay the image's own volumes over those mounted here.
        buildah("config", "--volume", "/runs/data-", "--volume", "/runs/logs-", self.container)
        self.config = json.loads(buildah("inspect", "--type", "image", self.tag))["Docker"]["config"]
        self.data, self.logs = folder / "data", folder / "logs"
        for path in (self.data, self.logs):
            path.mkdir()
            os.chown(path, USER, USER)

    def command(self, *arguments: str, user: int | None = None) -> list[str]:
        return [
            *("buildah", "run", "--isolation", "chroot", "--env", "OMP_NUM_THREADS=1"),
            *(() if user is None else ("--user", str(user))),
            *("--volume", f"{self.data}:/runs/data", "--volume", f"{self.logs}:/runs/logs"),
            *(self.container, "--", *self.config["Entrypoint"], *(arguments or self.config["Cmd"])),
        ]

    def run(self, *arguments: str, user: int | None = None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(self.command(*arguments, user=user), capture_output=True, text=True)

    def remove(self) -> None:
        buildah("rm", self.container)
        buildah("rmi", self.tag)


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Iterator[Image]:
    try:
        urllib.request.urlopen("http://deb.debian.org/debian/", timeout=30).close()
    except OSError as error:
        pytest.skip(f"Debian's packages cannot be fetched: {error}")
    made = Image(tmp_path_factory.mktemp("container"))
    yield made
    made.remove()


def test_runs_as_its_user_and_finds_all_it_needs(image):
    assert image.config["User"] == str(USER)
    assert image.config["Healthcheck"]["Test"] == ["CMD", "graves-lm", "doctor"]
    assert set(image.config["Volumes"]) == {"/runs/data", "/runs/logs"}
    shell = image.run("sh", "-c", "id -u; pwd; test ! -w /opt/graves_lm && echo safe")
    assert shell.stdout.split() == [str(USER), "/runs", "safe"]

    found = image.run()
    assert found.returncode == 0, found.stdout + found.stderr
    lines = {line[4:].split("  ")[0]: line[:2] for line in found.stdout.splitlines()}
    assert (
        lines["./data"] == lines["./logs"] == lines["C compiler"] == lines["weights that come along"] == "ok"
    )


@pytest.mark.parametrize("user", [None, 4321])
def test_writes_by_hand_into_the_mounted_folder(image, user):
    if user is not None:
        os.chown(image.logs, user, user)
    drawn = image.run("sample", "text=hi", f"output=logs/{user}.svg", user=user)
    os.chown(image.logs, USER, USER)
    assert drawn.returncode == 0, drawn.stderr
    assert "plain torch" not in drawn.stderr  # its compiler made the kernels
    page = image.logs / f"{user}.svg"
    assert page.stat().st_uid == (user or USER)
    assert ElementTree.parse(page).getroot().findall(".//{http://www.w3.org/2000/svg}path")


def test_sigterm_reaches_the_training_which_saves_and_goes_on(image):
    write_text(image.data)
    run = image.logs / "run"
    settings = (
        *TEXT_RUN,
        "data.source=data/text.txt",
        *QUICK,
        "run_dir=logs/run",
        "trainer.max_steps={steps}",
    )
    command = " ".join(["exec graves_lm train", *settings])
    # The shell becomes the entrypoint, and that the training: one process, whose number is the shell's.
    training = subprocess.Popen(
        image.command("sh", "-c", "echo $$ > logs/pid; " + command.format(steps=1_000_000)),
        stderr=subprocess.PIPE,
        text=True,
    )
    while training.poll() is None and not (run / "checkpoints" / "last.ckpt").exists():
        time.sleep(0.2)
    if training.poll() is None:
        os.kill(int((image.logs / "pid").read_text()), signal.SIGTERM)
    _, said = training.communicate()
    assert training.returncode == 143, said
    assert (run / "checkpoints" / "last.ckpt").stat().st_uid == USER
    reached = re.search(r"stopped by SIGTERM after step (\d+); saved", said)
    assert reached, said

    again = image.run("sh", "-c", command.format(steps=int(reached[1]) + 2) + " resume=last")
    assert again.returncode == 0, again.stderr
    assert json.loads((run / "metrics.json").read_text())["steps"] > 0
