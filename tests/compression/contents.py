"""Twenty contents that a compressor may meet, and a tiny byte model to meet them with."""

import zlib
from pathlib import Path

import numpy as np
import torch

from graves_lm.data.symbols import Symbols
from graves_lm.learning.tasks.character import CharacterTask
from graves_lm.models.character import CharacterNetwork
from tests.runs import TEXT


def contents() -> dict[str, bytes]:
    """By name; none longer than 3000 bytes."""
    random = np.random.default_rng(0)
    text = (TEXT * 9).encode()
    return {
        "empty": b"",
        "one byte": b"a",
        "one unknown byte": b"\xff",
        "two bytes": b"ab",
        "all bytes": bytes(range(256)),
        "all bytes backwards": bytes(range(255, -1, -1)),
        "zeros": bytes(1000),
        "one letter": b"e" * 1000,
        "random": random.integers(0, 256, 600, dtype=np.uint8).tobytes(),
        "text": text,
        "text with an unknown byte at its end": text[:100] + b"\x00",
        "unknown bytes at its beginning": b"\xef\xbb\xbf" + text[:200],
        "other lines' ends": text[:300].replace(b"\n", b"\r\n"),
        "German": "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.\n".encode() * 5,
        "UTF-16": TEXT.encode("utf-16") * 3,
        "Greek": "ξεσκεπάζω την ψυχοφθόρα βδελυγμία\n".encode() * 6,
        "compressed": zlib.compress(text + bytes(range(256))),
        "numbers": np.linspace(0, 1, 100).tobytes(),
        "source": Path(__file__).read_bytes()[:1500],
        "prime length": text[:509],
    }


def byte_task(
    seed: int = 0, hidden: int = 12, symbols: bytes = bytes(sorted(set(TEXT.encode())))
) -> CharacterTask:
    """A network of few bytes whose weights are far from even."""
    torch.manual_seed(seed)
    task = CharacterTask(
        lambda symbols: CharacterNetwork(symbols, layers=1, hidden_size=hidden), Symbols("byte", symbols)
    )
    with torch.no_grad():
        for weight in task.network.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return task.eval()
