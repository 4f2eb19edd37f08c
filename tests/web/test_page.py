"""The page as a file and at a local address."""

import base64
import gzip
import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import zlib

import numpy as np
import pytest

from graves_lm.data.alphabet import Alphabet
from graves_lm.trained.exported import export
from graves_lm.trained.loading import load_trained
from graves_lm.web.html import HERE, page, plain_forms
from graves_lm.web.weights import engine_weights
from graves_lm.writing.hands import hands_of
from tests.data.lines import make_line
from tests.test_commands import Commands, call  # noqa: F401
from tests.writing.hands import synthesis_checkpoint


@pytest.fixture(scope="module")
def html() -> str:
    return page("synthesis")


def data_of(html: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_all_is_in_the_file(html):
    """What a browser would fetch: nothing."""
    assert not re.search(r'\b(src|href)="(?!#|data:|blob:)[^"]+"', html)
    policy = re.search(r'http-equiv="Content-Security-Policy"\s+content="([^"]+)"', html)
    assert policy
    assert "default-src 'none'" in policy[1]
    assert "connect-src 'none'" in policy[1]
    assert not re.search(r"https?:(?!//www\.w3\.org/)[^'\"]*\*", policy[1])
    for mark in ("STYLE", "DATA", "WORKER", "SCRIPT"):
        assert f"<!-- {mark} -->" not in html
    assert len(html.encode()) <= 7_000_000


def test_the_data_are_those_of_the_network(html):
    data, trained = data_of(html), load_trained("synthesis", task="synthesis")
    assert zlib.decompress(base64.b64decode(data["weights"]), -15) == engine_weights(trained.network, "int8")
    assert base64.b64decode(data["engine"]) == (HERE / "engine" / "engine.wasm").read_bytes()
    assert data["characters"] == list(trained.alphabet.characters)
    assert "research" in data["licence"]
    hands = hands_of(trained.normalisation, trained.alphabet)
    assert [hand["text"] for hand in data["hands"]] == [hand.text for hand in hands]
    points = np.frombuffer(base64.b64decode(data["hands"][3]["points"]), "<i2").reshape(-1, 3)
    np.testing.assert_allclose(points, hands[3].strokes, atol=0.5)


def test_the_hand_that_weights_carry_comes_first(tmp_path, html):
    assert data_of(html)["carried"] is None
    line = make_line("me", 60, "a bad cab")
    line.strokes[5, 0] = 3.25  # no whole units: not rounded
    export(synthesis_checkpoint(), tmp_path / "anna.safetensors", hand=line)
    found = data_of(page(str(tmp_path / "anna.safetensors")))["carried"]
    assert (found["name"], found["text"]) == ("anna", "a bad cab")
    assert found["points"] == line.strokes.tolist()


def test_what_replaces_characters_is_what_the_program_writes():
    forms = plain_forms(Alphabet("abeOu '\"-.fi"))
    assert forms["é"] == "e"
    assert forms["“"] == '"'
    assert forms["’"] == "'"
    assert forms["…"] == "..."
    assert forms["–"] == "-"
    assert "\u4e2d" not in forms
    assert "a" not in forms


def test_a_text_cannot_end_its_script(html, monkeypatch):
    monkeypatch.setattr("graves_lm.web.html.licence", lambda ckpt: "</script><!-- <b>")
    changed = page("synthesis")
    assert data_of(changed)["licence"] == "</script><!-- <b>"
    assert changed.count("<script") == html.count("<script")


def test_the_command_writes_the_file(call: Commands, html):  # noqa: F811
    outcome = call("page", "output=b.html")
    assert outcome.status == 0, outcome.err
    assert outcome.out.strip() == "b.html"
    assert (call.folder / "b.html").read_text(encoding="utf-8") == html


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["ckpt=character"], "a checkpoint of model=character, and this needs model=synthesis"),
        (["ckpt=none.ckpt"], "no such file"),
        (["weights=int4"], "weights=int4"),
        (["output=."], "cannot write ."),
        (["output=none/b.html"], "cannot write none/b.html: No such file or directory"),
        (["port=70000"], "port=70000"),
    ],
)
def test_mistakes_are_one_line(call: Commands, settings, message):  # noqa: F811
    outcome = call("page", *settings)
    assert outcome.status == 2
    assert message in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1


def test_a_local_address(tmp_path, html):
    command = [sys.executable, "-m", "graves_lm.page", "serve=true", "port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as server:
        try:
            assert server.stdout
            address = server.stdout.readline().split()[0]
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
            with urllib.request.urlopen(address) as answer:
                assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
                assert answer.read().decode() == html
            small = urllib.request.Request(address, headers={"Accept-Encoding": "gzip"})
            with urllib.request.urlopen(small) as answer:
                assert gzip.decompress(answer.read()).decode() == html
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(f"{address}etc/passwd")
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=20)
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_said(call: Commands):  # noqa: F811
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = call("page", "serve=true", f"port={port}")
    assert outcome.status == 2
    assert f"port={port}" in outcome.err
