"""The weights that come with the package write at once."""

import hashlib
import json
from pathlib import Path

import graves_lm
from graves_lm.learning.loading import load_task
from graves_lm.trained.checkpoint import PRETRAINED, read_checkpoint
from graves_lm.trained.loading import load_reader
from graves_lm.trained.reader import errors


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


def test_they_write_dates_names_and_signs_that_can_be_read():
    """With their own settings, each text in a hand of its own; the reader reads 0.02 of such texts wrong."""
    texts = (Path(__file__).parents[3] / "benchmarks" / "hard_texts.txt").read_text("utf-8").splitlines()[:8]
    writer, reader = graves_lm.load(), load_reader()
    lines = [writer.write(text, seed=n, width=60).strokes[0] for n, text in enumerate(texts)]
    wrong = sum(map(errors, texts, reader.read(lines)))
    assert wrong < 0.08 * sum(len(text.replace(" ", "")) for text in texts)
