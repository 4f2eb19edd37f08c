"""How torch's threads wait, as the environment tells its OpenMP before it is loaded."""

import os
import subprocess
import sys

import pytest

from graves_lm.runtime.threads import sleep_soon


@pytest.mark.parametrize(
    ("given", "spins"),
    [({}, "5000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)],
)
def test_threads_sleep_soon_unless_the_user_says_otherwise(monkeypatch, given, spins):
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    sleep_soon()
    assert os.environ.get("GOMP_SPINCOUNT") == spins


def test_sample_says_so_before_torch_is_imported(tmp_path):
    code = """
import os, sys
from graves_lm.runtime import threads
import graves_lm.sample as command
def sleep_soon():
    assert "torch" not in sys.modules
    print("asked")
    raise SystemExit(0)
command.sleep_soon = sleep_soon
command.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, "text=a"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert "asked" in done.stdout, done.stderr
