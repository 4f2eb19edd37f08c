"""The doctor names what is there and what is not, and never fails itself."""

import shutil
from importlib.metadata import PackageNotFoundError

import pytest

from graves_lm.commands import doctor


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GRAVES_LM_DATA", raising=False)


def lines(capsys) -> dict[str, tuple[str, str]]:
    """Mark and rest of each line, by what it is about."""
    printed = capsys.readouterr().out.split("\n\n")[0].splitlines()
    return {line[4:].split("  ")[0]: (line[:2], line) for line in printed}


def test_a_machine_that_is_ready(capsys, tmp_path):
    (tmp_path / "data" / "hershey-0123").mkdir(parents=True)
    (tmp_path / "data" / "hershey-0123" / "card.json").write_text("{}")
    (tmp_path / "data" / "enwik8.zip").write_text("")
    assert doctor.main() == 0
    found = lines(capsys)
    assert found["Python"][0] == found["torch"][0] == found["configuration"][0] == "ok"
    assert "hershey-0123" in found["caches in ./data"][1]
    assert found["data=enwik8"][0] == "ok"
    assert found["data=iam"][0] == "--"
    assert "ckpt=synthesis" in found["weights that come along"][1]
    assert "WANDB_MODE=offline" in found["W&B"][1]


def test_what_is_missing_is_named_with_what_to_do(capsys, monkeypatch):
    def without_wandb(name, real=doctor.version):
        if name == "wandb":
            raise PackageNotFoundError(name)
        return "1.0.0" if name == "torch" else real(name)

    monkeypatch.setattr(doctor, "version", without_wandb)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("NETRC", "nowhere")
    assert doctor.main() == 1
    found = lines(capsys)
    assert found["wandb"][0] == "!!"
    assert "pip install 'wandb" in found["wandb"][1]
    assert found["torch"][0] == "!!"
    assert found["C compiler"][0] == "--"
    assert found["./logs"][0] == "!!"
    assert "wandb login" in found["W&B"][1]


def test_a_check_that_breaks_is_a_finding(capsys, monkeypatch):
    def broken():
        raise OSError("libcudart.so is not a library")
        yield

    monkeypatch.setattr(doctor, "CHECKS", (doctor.python_version, broken))
    assert doctor.main() == 1
    assert "libcudart.so is not a library" in lines(capsys)["broken"][1]
