"""What `resume=` and `init=` settle before anything is read."""

import pytest
from omegaconf import OmegaConf

from graves_lm.learning.beginning import settle
from graves_lm.runtime.errors import UserError


def asked(run_dir, resume=None, init=None):
    return OmegaConf.create({"run_dir": str(run_dir), "resume": resume, "init": init})


def test_nothing_and_a_path(tmp_path):
    assert settle(asked(tmp_path)) is None
    assert settle(asked(tmp_path, resume="a.ckpt")) == "a.ckpt"
    cfg = asked(tmp_path, init="a.ckpt")
    assert settle(cfg) is None
    assert cfg.init == "a.ckpt"


def test_other_weights_than_those_that_it_began_with_are_refused(tmp_path):
    last = tmp_path / "checkpoints" / "last.ckpt"
    last.parent.mkdir()
    last.touch()
    with pytest.raises(
        UserError, match=r"resume=last goes on .* began with new weights, init=a\.ckpt begins"
    ):
        settle(asked(tmp_path, resume="last", init="a.ckpt"))
    (tmp_path / "config.yaml").write_text("init: b.ckpt\n")
    with pytest.raises(UserError, match=r"began with b\.ckpt, init=a\.ckpt begins a new one"):
        settle(asked(tmp_path, resume=str(last), init="a.ckpt"))
    for resume in ("last", str(last)):
        cfg = asked(tmp_path, resume=resume, init="b.ckpt")
        assert settle(cfg) == str(last)
        assert cfg.init == "b.ckpt"


def test_a_script_may_always_give_both(tmp_path):
    cfg = asked(tmp_path, resume="last", init="a.ckpt")
    assert settle(cfg) is None
    assert cfg.init == "a.ckpt"


@pytest.mark.parametrize(
    ("record", "init"),
    [
        ("init: a.ckpt\nseed: 1\n", "a.ckpt"),
        ("init: null\n", None),
        ("init: [1]\n", None),
        ("seed: 1\n", None),
        ("- [", None),
        ("text", None),
        (None, None),
    ],
)
def test_what_had_saved_nothing_begins_as_it_had_begun(tmp_path, caplog, record, init):
    """Else the resumed run would quietly begin with other weights."""
    if record is not None:
        (tmp_path / "config.yaml").write_text(record)
    cfg = asked(tmp_path, resume="last")
    caplog.set_level("INFO")
    assert settle(cfg) is None
    assert cfg.init == init
    again = ", with init=a.ckpt as before" if init else ""
    assert caplog.messages == [
        f"resume=last: none in {tmp_path / 'checkpoints'} yet, starting from the beginning{again}"
    ]


def test_the_last_checkpoint_is_what_the_run_goes_on_from(tmp_path):
    last = tmp_path / "checkpoints" / "last.ckpt"
    last.parent.mkdir()
    last.touch()
    (tmp_path / "config.yaml").write_text("init: a.ckpt\n")
    cfg = asked(tmp_path, resume="last")
    assert settle(cfg) == str(last)
    assert cfg.init == "a.ckpt"
