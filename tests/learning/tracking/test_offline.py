"""W&B runs as their files have them, without a server: names, values, axes, pictures, tables, artifacts."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from graves_lm.runtime.errors import TrainingDiverged
from tests.learning.tracking.datastore import StoredRun, read_run, records
from tests.runs import train, write_text, write_waves

QUICK = ("logger=wandb", "trainer.log_every_n_steps=1", "trainer.val_check_interval=2")


def stored(run_dir: Path) -> list[StoredRun]:
    """The W&B runs in a run's folder, the earliest first, once the client has written their ends."""
    folders = sorted((run_dir / "wandb").glob("offline-run-*"), key=lambda f: f.stat().st_ctime_ns)
    deadline = time.monotonic() + 60
    while any(read_run(folder).exit_code is None for folder in folders) and time.monotonic() < deadline:
        time.sleep(0.05)
    return [read_run(folder) for folder in folders]


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> Path:
    """A folder with three runs of strokes: `first`, which was resumed once, and `second`, which began with
    its weights."""
    folder = tmp_path_factory.mktemp("tracking")
    source = write_waves(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        (folder / "first").mkdir()
        (folder / "first" / "environment.json").write_text(
            json.dumps({"graves_lm": {"commit": "abc", "dirty": True}, "packages": {"torch": "2"}})
        )
        settings = ["logger.wandb.group=size", "logger.wandb.tags=[mine]", "model.network.clip=1e-3"]
        train(folder / "first", source, *QUICK, *settings, "trainer.max_steps=4")
        train(folder / "first", source, *QUICK, *settings, "trainer.max_steps=6", "resume=last")
        weights = f"init={folder / 'first' / 'checkpoints' / 'best.ckpt'}"
        train(folder / "second", source, *QUICK, weights, "trainer.max_steps=2")
    return folder


@pytest.fixture(scope="module")
def first(places) -> StoredRun:
    return stored(places / "first")[0]


def test_the_run_says_what_it_is(first, places):
    run = first.run
    assert (run.project, run.display_name, run.run_group, run.job_type) == (
        "graves_lm",
        "test",
        "size",
        "train",
    )
    assert set(run.tags) == {"mine", "stroke", "ink"}
    assert first.config["model"]["network"]["hidden_size"] == 12
    assert first.config["run_dir"] == str(places / "first")  # resolved
    environment = json.loads((places / "first" / "environment.json").read_text())
    code = first.config["environment"]["graves_lm"]
    assert code == environment["graves_lm"]
    assert "dirty" in code
    assert "packages" not in first.config["environment"]  # they are in W&B's own requirements.txt
    assert (first.folder / "files" / "requirements.txt").is_file()
    assert first.exit_code == 0


def test_figures_of_training_have_optimiser_steps_as_their_axis(first):
    for name in ("nll_per_point", "lr", "gradient_norm", "clipped_share", "points_per_second"):
        steps, values = zip(*first.values(f"train/{name}"), strict=True)
        assert steps == (0, 1, 2, 3), name
        assert all(value > 0 for value in values), name
    assert all(share < 1 for _, share in first.values("train/clipped_share"))
    axis = first.metrics["*"]
    assert axis.step_metric == "trainer/global_step"
    assert axis.options.step_sync
    assert first.values("epoch")[0] == (0, 0)


def test_figures_of_validation_keep_their_best_value(first):
    for figure in ("nll_per_line", "nll_per_point", "sse"):
        name = f"val/{figure}"
        assert first.metrics[name].step_metric == "trainer/global_step"
        assert first.metrics[name].summary.min
        values = [value for _, value in first.values(name)]
        assert len(values) >= 2
        assert first.summary[name] == {"min": min(values), "last": values[-1]}


def test_pictures_of_each_validation_can_be_opened(first):
    for name in ("handwriting", "density"):
        pictures = [value for _, value in first.values(f"samples/{name}")]
        assert [p["captions"] for p in pictures[:2]] == [["step-0000002"], ["step-0000004"]]
        for picture in pictures:
            with Image.open(first.folder / "files" / picture["filenames"][0]) as image:
                assert image.size == (picture["width"], picture["height"])
                assert len(image.convert("L").histogram()) > 1


def test_checkpoints_are_versions_of_one_artifact(first, places):
    last, best = first.artifact("model")
    assert set(last.aliases) >= {"last"}
    assert set(best.aliases) >= {"best"}
    assert last.name == best.name == f"checkpoint-{first.run.run_id}"
    assert json.loads(best.metadata)["steps"] == 4
    assert not best.use_after_commit
    for alias, artifact in (("last", last), ("best", best)):
        (file,) = artifact.manifest.contents
        # From where it lies: no copy of every checkpoint in a folder that nobody knows.
        assert file.local_path == str(places / "first" / "checkpoints" / f"{alias}.ckpt")
        assert torch.load(file.local_path, weights_only=True)["global_step"] > 0


def test_the_run_uses_its_data(first, places):
    (data,) = first.artifact("dataset")
    assert (data.name, data.use_after_commit) == ("data-ink", True)
    assert json.loads(data.metadata)["counts"] == {"train": 24, "val": 6}
    files = {file.path: file for file in data.manifest.contents}
    (cache,) = (places / "cache").glob("ink-*")
    assert {p.relative_to(cache).as_posix() for p in cache.rglob("*") if p.is_file()} == set(files)
    # Nothing of it leaves the machine but checksums.
    assert all(file.ref.startswith("file://") and file.digest for file in files.values())


def test_resuming_goes_on_with_the_same_run(places, first):
    before, after = stored(places / "first")
    assert after.run.run_id == before.run.run_id == (places / "first" / "wandb_id.txt").read_text().strip()
    assert after.run.resume
    assert [step for step, _ in after.values("train/lr")] == [4, 5]
    assert after.artifact("model")[1].name == first.artifact("model")[1].name


def test_another_run_names_what_it_began_with(places, first):
    (second,) = stored(places / "second")
    assert second.run.run_id != first.run.run_id
    assert second.config["begins_with"] == f"checkpoint-{first.run.run_id}:best"


def test_texts_become_a_table_of_all_so_far(tmp_path):
    train(tmp_path / "run", write_text(tmp_path), *QUICK, "trainer.max_steps=4")
    (run,) = stored(tmp_path / "run")
    tables = [json.loads(run.file(value).read_text()) for _, value in run.values("samples/text")]
    assert tables[0]["columns"] == ["when", "text"]
    assert [[row[0] for row in table["data"]] for table in tables[:2]] == [
        ["step-0000002"],
        ["step-0000002", "step-0000004"],
    ]
    for when, text in tables[-1]["data"]:
        assert text == (tmp_path / "run" / "samples" / f"{when}-text.txt").read_text()
    assert run.summary["val/bpc"]["min"] <= run.summary["val/bpc"]["last"]


def test_a_file_that_is_still_written_gives_the_records_that_are_whole(first, tmp_path):
    (path,) = first.folder.glob("run-*.wandb")
    content, whole = path.read_bytes(), [record.SerializeToString() for record in records(path)]
    part = tmp_path / path.name
    counts = []
    for size in [*range(64), *range(64, len(content), 211), len(content)]:
        part.write_bytes(content[:size])
        found = [record.SerializeToString() for record in records(part)]
        assert found == whole[: len(found)]
        counts.append(len(found))
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, len(whole))


def test_divergence_and_early_stops_are_alerts(tmp_path, monkeypatch):
    source = write_waves(tmp_path)
    patience = ["callbacks.early_stopping.patience=1", "+callbacks.early_stopping.min_delta=1e9"]
    train(tmp_path / "early", source, *QUICK, *patience, "trainer.max_steps=20")
    (early,) = stored(tmp_path / "early")
    assert [(alert.title, alert.level) for alert in early.alerts] == [("Stopped early", "WARN")]
    assert "val/nll_per_line" in early.alerts[0].text
    assert early.exit_code == 0

    def infinite(self: Any, batch: Any, batch_idx: int) -> torch.Tensor:
        return sum(w.sum() for w in self.parameters()) * torch.inf

    monkeypatch.setattr("graves_lm.learning.tasks.stroke.StrokeTask.training_step", infinite)
    with pytest.raises(TrainingDiverged):
        train(tmp_path / "diverged", source, *QUICK, "trainer.max_steps=4")
    (diverged,) = stored(tmp_path / "diverged")
    assert [(alert.title, alert.level) for alert in diverged.alerts] == [("Training diverged", "ERROR")]
    assert "not a finite number" in diverged.alerts[0].text
    assert diverged.exit_code == 1
