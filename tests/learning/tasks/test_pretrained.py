"""The weights that come with the package write at once."""

import hashlib
import json

import graves_lm
from graves_lm.learning.loading import load_task
from graves_lm.trained.checkpoint import PRETRAINED, read_checkpoint


def test_they_are_small_and_say_where_they_come_from():
    files = sorted(PRETRAINED.glob("*.safetensors"))
    assert "synthesis" in [p.stem for p in files]
    for file in files:
        assert file.stat().st_size <= 8e6
        card = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        assert all(card[key] for key in ("data", "licence", "figures", "command", "commit", "weights"))
        assert card["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert load_task(read_checkpoint(file.stem)).task_name == card["task"] == file.stem.partition("_")[0]
    card = json.loads((PRETRAINED / "synthesis.json").read_text(encoding="utf-8"))
    assert "research" in card["licence"]
    task = load_task(read_checkpoint("synthesis", task="synthesis"))
    assert task.config["data"]["_target_"] == "graves_lm.data.iam.corpus.IamData"
    assert "source" not in task.config["data"]


def test_they_write_a_sentence_that_ends_by_itself():
    written = graves_lm.load().write("The pen writes.", bias=1.0, candidates=4, retries=2, seed=1)
    (line,) = written.strokes
    assert 100 < len(line) < 900
    assert written.warnings == []
