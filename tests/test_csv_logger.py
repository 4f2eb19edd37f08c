"""Nothing that was logged to CSV is lost when a run is resumed."""

import csv

from tests.runs import train, write_text


def test_resuming_keeps_the_curves_of_before(tmp_path):
    source = write_text(tmp_path)
    for steps, more in ((2, []), (3, ["ckpt=last"]), (5, ["ckpt=last"])):
        train(tmp_path / "run", source, "logger=csv", f"trainer.max_steps={steps}", *more)
    found = []
    for name in ("metrics-1.csv", "metrics-2.csv", "metrics.csv"):
        rows = list(csv.DictReader((tmp_path / "run" / "csv" / name).open()))
        found.append([int(row["step"]) for row in rows if row["train/bpc"]])
    assert found == [[0, 1], [2], [3, 4]]
