"""What two commits compute, byte by byte: for a change that means to change nothing.

    python tests/compare_commits.py [COMMIT [BASE]]

checks out both (default: HEAD, against the last commit before the rooms were laid out anew) into temporary
folders. In each, with this Python and its packages, it takes the golden losses of the three tasks, as
tests/test_golden.py of that commit does, and has the package's weights write a page. It prints a table; exit
status 0: all is equal, 1: it is not, 2: it could not be said.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).parents[1]
BASE = "e682f57"
TASKS = ("character", "stroke", "synthesis")
PAGES = ("page.svg", "page.json")

PROGRAM = """
import json, sys
from pathlib import Path
import graves_lm, torch
root, out = map(Path, sys.argv[1:])
assert Path(graves_lm.__file__).is_relative_to(root), graves_lm.__file__
sys.path.insert(0, str(root))
torch.set_num_threads(1)
from tests.test_golden import losses
for task in ("character", "stroke", "synthesis"):
    values = losses(task, out / task)
    (out / task / "losses").write_text("".join(value.hex() + "\\n" for value in values))
page = graves_lm.load().write("The pen writes what you say, line by line, the same for a seed.", seed=7)
for name in ("page.svg", "page.json"):
    page.save(out / name)
"""


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, stdout=subprocess.PIPE).stdout


def computed(commit: str, folder: Path) -> dict[str, bytes]:
    """What a commit makes, by name, in an empty folder."""
    root, out = folder / "tree", folder / "out"
    out.mkdir(parents=True)
    with tarfile.open(fileobj=BytesIO(git("archive", "--format=tar", commit))) as archive:
        archive.extractall(root, filter="data")
    environment = os.environ | {
        "PYTHONPATH": str(root / "src"),
        "OMP_NUM_THREADS": "1",
        "WANDB_MODE": "offline",
    }
    command = [sys.executable, "-c", PROGRAM, str(root), str(out)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        print(f"{commit}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}", file=sys.stderr)
        raise SystemExit(2)
    return {f"losses, {task}": (out / task / "losses").read_bytes() for task in TASKS} | {
        name: (out / name).read_bytes() for name in PAGES
    }


def shown(name: str, content: bytes) -> str:
    """What tells one content from another: the last loss, or a file's size, and a checksum."""
    checksum = hashlib.sha256(content).hexdigest()[:8]
    if name in PAGES:
        return f"{len(content):,} bytes {checksum}"
    return f"… {float.fromhex(content.split()[-1].decode()):.9g} {checksum}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("commit", nargs="?", default="HEAD")
    parser.add_argument("base", nargs="?", default=BASE)
    given = parser.parse_args()
    try:
        commits = [
            git("rev-parse", "--short", "--verify", f"{name}^{{commit}}").decode().strip()
            for name in (given.base, given.commit)
        ]
    except subprocess.CalledProcessError:
        return 2  # git has said which it does not know
    with tempfile.TemporaryDirectory() as scratch:
        before, after = (computed(commit, Path(scratch) / f"{i}") for i, commit in enumerate(commits))
    print(f"{'':<18}{commits[0]:<30}{commits[1]:<30}")
    for name in before:
        verdict = "equal" if before[name] == after[name] else "DIFFERENT"
        print(f"{name:<18}{shown(name, before[name]):<30}{shown(name, after[name]):<30}{verdict}")
    return int(before != after)


if __name__ == "__main__":
    sys.exit(main())
