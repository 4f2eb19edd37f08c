"""The HTTP interface as its clients see it: what they get and are told, and that none stops another."""

import asyncio
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pytest

from graves_lm.data.alphabet import Alphabet
from graves_lm.runtime.errors import UserError
from graves_lm.writing.pen import Drawn, Pen
from graves_lm.writing.wrap import TextLine
from tests.writing.pens import Calls

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
from graves_lm.serving.app import Limits, application
from graves_lm.serving.command import is_loopback, listening, server
from graves_lm.serving.desk import Desk, Job, Stroke

ALPHABET = Alphabet(map(chr, range(32, 127)))


class Network:
    """In place of one: what was drawn, in which calls; it waits while `go` is not set."""

    def __init__(self) -> None:
        self.calls: list[tuple[int | None, int | None, int, list[str]]] = []
        self.go = threading.Event()
        self.go.set()

    def pen(self, hand: int | None, seed: int | None) -> Pen:
        if hand == 99:
            raise UserError("hand=99: there are 24 hands")

        def draw(lines: Iterator[TextLine], first: int) -> Iterator[Drawn]:
            texts = list(lines)
            self.calls.append((hand, seed, first, [line.text for line in texts]))
            assert self.go.wait(60)
            if any("fault" in line.text for line in texts):
                raise RuntimeError("a bug")
            yield from Calls().draw(iter(texts), first)

        return Pen(ALPHABET, draw)

    def stream(self, job: Job) -> Iterator[Stroke]:
        for number, line in enumerate(job.lines):
            for point in range(len(line.text)):
                assert self.go.wait(60)
                yield number, float(point), 0.5, 0.0


class Client:
    """Of a server at a port."""

    def __init__(self, port: int, network: Network):
        self.port, self.network = port, network

    def ask(
        self, path: str, body: object = None, method: str = "POST", **headers: str
    ) -> tuple[int, str, bytes]:
        """Status, kind and content of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, sent, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, answer.headers["Content-Type"].partition(";")[0], content

    def write(self, text: str, **more: object) -> tuple[int, str, bytes]:
        return self.ask("/write", {"text": text, **more})


@contextmanager
def serving(waiting: int = 8, batch: int = 64, **limits: object) -> Iterator[Client]:
    network = Network()
    app = application(Desk(network.pen, network.stream, batch, waiting), ALPHABET, Limits(**limits))  # type: ignore[arg-type]
    listener = listening("127.0.0.1", 0)
    uvicorn_server = server(app, waiting)
    thread = threading.Thread(target=lambda: asyncio.run(uvicorn_server.serve([listener])), daemon=True)
    thread.start()
    while not uvicorn_server.started:
        time.sleep(0.01)
    try:
        yield Client(listener.getsockname()[1], network)
    finally:
        network.go.set()
        uvicorn_server.should_exit = True
        thread.join(20)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def client():
    with serving(longest=100) as client:
        yield client


def test_a_text_becomes_a_page_or_points(client):
    status, kind, content = client.write("Dear Ben,\nhow are you?", page={"width": 100, "line_height": 8})
    assert (status, kind) == (200, "image/svg+xml")
    assert b'width="100mm"' in content
    status, kind, content = client.write("Dear b,\nhow are you?", format="json", hand=3)
    assert (status, kind) == (200, "application/json")
    points = json.loads(content)
    assert [line["text"] for line in points["lines"]] == ["Dear b,", "how are you?"]
    assert all(np.array(line["points"]).shape[1] == 3 for line in points["lines"])
    assert "thanks" in points["doubts"][0]
    assert client.network.calls[-1][0] == 3


def test_the_same_seed_is_the_same_page(client):
    first, second = (client.write("one two", seed=5)[2] for _ in range(2))
    free = [client.write("one two")[2] for _ in range(2)]
    assert first == second
    assert free[0] != free[1]  # random numbers of its own
    assert [call[1:3] for call in client.network.calls[-4:-2]] == [(5, 0), (5, 0)]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 400, "`text`"),
        ({"text": ""}, 400, "the text is empty"),
        ({"text": "a" * 101}, 400, "101 characters; 100 are the most"),
        ({"text": "\u00e9"}, 400, "'\u00e9' (LATIN SMALL LETTER E WITH ACUTE)"),
        ({"text": 3}, 400, "Expected `str`"),
        ({"text": "a", "hand": 99}, 400, "there are 24 hands"),
        ({"text": "a", "hand": "/etc/passwd"}, 400, "Expected `int | null`"),
        ({"text": "a", "font": 1}, 400, "unknown field `font`"),
        ({"text": "a", "page": {"width": 1e9}}, 400, "<= 1000.0"),
        ({"text": "a", "page": {"colour": "nope"}}, 400, "is not a colour"),
        (b"{" * 1000, 400, "JSON is malformed"),
        (bytes(range(256)), 400, "JSON is malformed"),
        (b'"' + b"a" * 1_000_000, 413, "more than 5,296 bytes"),
        ({"text": "a fault"}, 500, "the server failed at this text"),
    ],
)
def test_mistakes_are_one_line_of_json(client, body, status, said):
    for path in ("/write", "/stream"):
        if (path == "/stream" and status == 500) or "hand" in str(body):
            continue
        found, kind, content = client.ask(path, body)
        assert (found, kind) == (status, "application/json")
        assert said in json.loads(content)["error"]
    assert client.write("a")[0] == 200


def test_a_fault_of_the_program_is_seen(client, capfd):
    assert client.write("a fault")[0] == 500
    assert "RuntimeError: a bug" in capfd.readouterr().err


def test_other_requests(client):
    assert client.ask("/write", method="GET")[:2] == (405, "application/json")
    assert client.ask("/nowhere")[:2] == (404, "application/json")
    status, _, content = client.ask("/write", {"text": "a"}, **{"Content-Type": "text/plain"})
    assert (status, json.loads(content)["error"][:9]) == (415, "send JSON")
    assert json.loads(client.ask("/health", method="GET")[2]) == {"waiting": 0}
    document = json.loads(client.ask("/openapi.json", method="GET")[2])
    assert set(document["paths"]) == {"/write", "/stream", "/health"}
    assert document["components"]["schemas"]["Asked"]["properties"]["text"]["maxLength"] == 100
    assert b"POST /write" in client.ask("/", method="GET")[2]


def test_points_come_as_events(client):
    status, kind, content = client.ask("/stream", {"text": "abc\nde"})
    assert (status, kind) == (200, "text/event-stream")
    events = re.findall(r"event: (\w+)\ndata: (.*)\n\n", content.decode())
    assert events[0] == ("lines", '["abc","de"]')
    assert events[-1] == ("end", "{}")
    points = [tuple(point) for name, data in events if name == "points" for point in json.loads(data)]
    assert points == [(0, 0, 0.5, 0), (0, 1, 0.5, 0), (0, 2, 0.5, 0), (1, 0, 0.5, 0), (1, 1, 0.5, 0)]


def wait_until(there) -> None:
    end = time.monotonic() + 30
    while not there():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_requests_that_wait_are_drawn_side_by_side_and_no_more_wait_than_may():
    with serving(waiting=6) as client, ThreadPoolExecutor(20) as pool:
        client.network.go.clear()
        first = pool.submit(client.write, "first")
        wait_until(lambda: client.network.calls)
        others = [
            pool.submit(client.write, f"text {n}", **more)
            for n, more in enumerate([{}, {"hand": 2}, {}, {"seed": 1}, {}, {}])
        ]
        wait_until(lambda: json.loads(client.ask("/health", method="GET")[2])["waiting"] == 6)
        status, _, content = client.write("too many")
        assert (status, json.loads(content)["error"]) == (
            503,
            "as many requests wait as may; try again later",
        )
        client.network.go.set()
        assert [f.result()[0] for f in (first, *others)] == [200] * 7
        drawn = [(hand, seed, sorted(texts)) for hand, seed, _, texts in client.network.calls[1:]]
        waited = {0, 1, 2, 3, 4, 5}
        alike = sorted(f"text {n}" for n in waited - {1, 3})
        assert sorted(drawn, key=str) == sorted(
            [(None, None, alike), (2, None, ["text 1"]), (None, 1, ["text 3"])], key=str
        )
        numbers = sorted(
            (first, first + len(texts)) for _, seed, first, texts in client.network.calls if seed is None
        )
        assert all(end == begin for (_, end), (begin, _) in pairwise(numbers))


def test_who_is_gone_is_not_drawn_and_who_is_slow_stops_nobody():
    body = json.dumps({"text": "slow"}).encode()
    head = b"POST /%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    with serving(seconds=2.0) as client, ThreadPoolExecutor(8) as pool:
        client.network.go.clear()
        first = pool.submit(client.write, "first")
        wait_until(lambda: client.network.calls)
        gone = socket.create_connection(("127.0.0.1", client.port))
        gone.sendall(head % (b"write", len(body)) + body)
        wait_until(lambda: json.loads(client.ask("/health", method="GET")[2])["waiting"] == 1)
        gone.close()
        time.sleep(0.2)
        client.network.go.set()
        assert first.result()[0] == 200
        assert client.write("next")[0] == 200
        assert [texts for *_, texts in client.network.calls] == [["first"], ["next"]]

        half = socket.create_connection(("127.0.0.1", client.port))  # sends half a request
        half.sendall(head % (b"write", len(body)) + body[:3])
        half.settimeout(30)
        assert client.write("meanwhile")[0] == 200
        answer = half.recv(1000)
        assert answer.startswith(b"HTTP/1.1 504")
        assert b"not done in 2 seconds" in answer + half.recv(1000)
        half.close()


def test_what_takes_too_long_ends_and_the_next_is_served():
    with serving(seconds=1.0) as client:
        client.network.go.clear()
        status, _, content = client.write("long")
        assert (status, json.loads(content)["error"]) == (504, "not done in 1 seconds; try later")
        with pytest.raises((http.client.HTTPException, OSError)):  # begun, and cut
            client.ask("/stream", {"text": "long"})
        client.network.go.set()
        assert client.write("next")[0] == 200


def test_a_token_is_needed_where_one_is_set():
    with serving(token="secret-word") as client:
        for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": "secret"}):
            status, _, content = client.ask("/write", {"text": "a"}, **headers)
            assert (status, "Bearer TOKEN" in json.loads(content)["error"]) == (401, True)
        assert client.ask("/write", {"text": "a"}, Authorization="Bearer secret-word")[0] == 200
        assert "security" in json.loads(client.ask("/openapi.json", method="GET")[2])


def test_addresses():
    assert all(map(is_loopback, ("127.0.0.1", "::1", "localhost", "127.1.2.3")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.2", "example.org")))
    with listening("127.0.0.1", 0) as taken, pytest.raises(UserError, match="give another port or host"):
        listening("127.0.0.1", taken.getsockname()[1])


@pytest.mark.slow
def test_the_command_serves_until_it_is_interrupted(tmp_path):
    command = [sys.executable, "-m", "graves_lm.serve", "port=0", "sampler.candidates=1", "sampler.retries=0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(re.search(r":(\d+)/", process.stdout.readline())[1])  # type: ignore[index]
        client = Client(port, Network())
        assert client.write("Dear Ben")[2].startswith(b"<svg")
        assert b"event: end" in client.ask("/stream", {"text": "Hi"})[2]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    refused = subprocess.run(
        [*command[:3], "host=0.0.0.0"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert "host=0.0.0.0: others can reach it, so give token=SECRET" in refused.stderr
