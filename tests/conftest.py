"""Shared by all tests: nothing reaches the network, one thread, and small texts to read."""

import os
from pathlib import Path

import pytest
import torch

os.environ.setdefault("MPLBACKEND", "agg")
if not torch.cuda.is_available():  # before anything imports Triton: its kernels then run on the CPU
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture(scope="session", autouse=True)
def _single_threaded():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the licensed corpora; each test looks for its own in it."""
    root = os.environ.get("GRAVES_LM_DATA") or Path(__file__).parents[1] / ".." / "shared" / "data"
    return Path(root)


@pytest.fixture(scope="session")
def generated(tmp_path_factory) -> Path:
    """A folder for runs on generated lines (see `tests.runs`); the first one prepares them there."""
    return tmp_path_factory.mktemp("generated")
