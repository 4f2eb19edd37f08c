"""The dashboard shows what runs log, and is printed where it cannot be made."""

import pytest

from tests.test_commands import Commands, call  # noqa: F401

pytest.importorskip("wandb_workspaces", reason="the extra `dashboard` is not installed")


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch, tmp_path):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))


def test_without_credentials_it_prints_what_it_would_make(call: Commands):  # noqa: F811
    outcome = call("dashboard", "entity=team", "project=pens", "name=Ours")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith("would make (no credentials")
    assert "view 'Ours' of team/pens" in outcome.out
    for shown in (
        "val/bpc",
        "val/nll_per_line",
        "val/sse",
        "train/lr",
        "train/gradient_norm",
        "train/clipped_share",
        "train/points_per_second",
        "samples/text",
        "samples/handwriting",
        "samples/density",
        "samples/window",
        "optimizer.lr",
    ):
        assert shown in outcome.out
    assert list(call.folder.iterdir()) == []


def test_it_needs_to_know_whose_it_is(call: Commands, monkeypatch):  # noqa: F811
    monkeypatch.delenv("WANDB_ENTITY", raising=False)
    assert call.refuse("dashboard").startswith("give entity=TEAM")


def test_the_view_survives_its_own_file_format():
    import wandb_workspaces.workspaces as ws

    from graves_lm.learning.dashboard import summary, workspace

    view = workspace("team", "pens", "Ours")
    stored = view._to_model()
    again = ws.Workspace._from_model(stored)
    assert summary(again).splitlines()[1:] == summary(view).splitlines()[1:]
    assert [section.name for section in again.sections] == ["Validation", "Training", "Samples", "Sweeps"]
    # The curves' axis is the one that runs log.
    curves = [p for s in again.sections for p in s.panels if type(p).__name__ == "LinePlot"]
    assert {curve.x.name for curve in curves} == {"trainer/global_step"}
