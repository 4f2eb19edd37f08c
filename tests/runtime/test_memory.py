"""Freed memory is kept for the next step, and handed back when asked."""

import subprocess
import sys

import pytest

SCRIPT = """
import torch
from graves_lm.runtime.memory import give_back_free_memory, keep_large_blocks

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20

keep_large_blocks()
held = [torch.ones(2**22) for _ in range(20)]  # 16 MiB each
last = torch.ones(2**22)                        # the heap cannot simply end before it
full = resident()
del held
kept = resident()
give_back_free_memory()
print(full - kept, full - resident())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_memory_is_kept_until_it_is_given_back():
    out = subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True).stdout
    kept_back, given_back = map(float, out.split())
    assert kept_back < 50
    assert given_back > 250
