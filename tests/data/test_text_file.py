"""Files of text as people have them."""

import os

import pytest

from graves_lm.data.text_file import LIMIT, read_text_file
from graves_lm.runtime.errors import UserError


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings_with_and_without_a_mark(tmp_path, encoding):
    (tmp_path / "it").write_bytes("Ünä\r\n日 x\n".encode(encoding))
    assert read_text_file(str(tmp_path / "it")) == "Ünä\r\n日 x\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"one\ncaf\xe9\n", "not UTF-8: byte 0xE9 at line 2, column 4; save it as UTF-8"),
        ("a\nb".encode("utf-16-le"), "zero bytes, so it is UTF-16 without a mark or no text"),
        (b"\xff\xfea", "not UTF-16: byte 0x61"),
        (b"x" * (LIMIT + 1), "more than 1,000,000 bytes; write it in parts"),
    ],
)
def test_what_is_no_text(tmp_path, content, expected):
    (tmp_path / "it").write_bytes(content)
    with pytest.raises(UserError) as error:
        read_text_file(str(tmp_path / "it"))
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, expected in {
        str(tmp_path / "pipe"): "a pipe, a device or the like",
        "/dev/zero": "a pipe, a device or the like",
        str(tmp_path): "a folder; give a file of text",
        "gone.txt": "No such file or directory",
        "x" * 300: "File name too long",
        f"{__file__}/x": "Not a directory",
        "a\0b": "embedded null",
        "~no-such-user/x": "No such file or directory",
    }.items():
        with pytest.raises(UserError, match=r"^text_file=") as error:
            read_text_file(name)
        assert expected in str(error.value)
