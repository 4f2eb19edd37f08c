"""A part of what `tests/soak.py` does."""

import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[1] / "soak.py"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's figures of memory")
def test_memory_stands_still_and_the_hand_is_drawn_once():
    done = subprocess.run([sys.executable, str(SOAK), "60", "40"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
