"""The weights that come with the package write at once."""

import graves_lm
from graves_lm.tasks.loading import PRETRAINED, load_task, read_checkpoint


def test_they_are_small_and_say_where_they_come_from():
    files = sorted(PRETRAINED.glob("*.safetensors"))
    assert [p.stem for p in files] == ["synthesis"]
    assert all(p.stat().st_size < 8 * 2**20 for p in files)
    task = load_task(read_checkpoint("synthesis", task="synthesis"))
    assert task.config["data"]["_target_"] == "graves_lm.data.pen_iam.IamData"
    assert "source" not in task.config["data"]


def test_they_write_a_sentence_that_ends_by_itself():
    written = graves_lm.load("synthesis").write("The pen writes.", bias=1.0, candidates=4, seed=1)
    (line,) = written.strokes
    assert 100 < len(line) < 900
    assert not [w for w in written.warnings if "cap" in w]
