"""Random damage, as many cases as a night has room for; .ci/run takes sixty."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_random_damage_ends_in_one_line():
    command = [sys.executable, "-m", "tests.fuzz", "600", "1"]
    ended = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False
    )
    print(ended.stdout)
    assert ended.returncode == 0, ended.stdout[-5000:]
