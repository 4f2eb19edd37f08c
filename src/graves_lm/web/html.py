"""The page: one HTML file with the engine, the weights and the program inside.

`page/` has its sources; what they become stands in `page/built`, and the engine in `engine/engine.wasm`, so
that a machine without their compilers can make the page (docs/adr/0029-page.md).
"""

import json
import zlib
from base64 import b64encode
from dataclasses import astuple
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.prompts.choice import prompt_data
from graves_lm.data.strokes import StrokeLine
from graves_lm.models.synthesis import SynthesisNetwork
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.end_of_line import EndSettings
from graves_lm.sampling.pens import FULL_BIAS
from graves_lm.trained.blend import Style
from graves_lm.trained.checkpoint import PRETRAINED
from graves_lm.trained.handwriting import TrainedHandwriting
from graves_lm.trained.loading import load_trained
from graves_lm.trained.size_kept import MEASURED
from graves_lm.web.weights import engine_weights
from graves_lm.writing.hands import hands_of

HERE = Path(__file__).parent
_REPLACEABLE = (range(0xA0, 0x250), range(0x1E00, 0x1F00), range(0x2010, 0x2070), range(0xFB00, 0xFB07))
"""Characters of which the page is told what replaces them: accented Latin, punctuation, ligatures."""


def page(ckpt: str, weights: str = "int8") -> str:
    """The page with the weights of a checkpoint of model=synthesis. Raises UserError for any other."""
    trained = load_trained(ckpt, task="synthesis")
    assert isinstance(trained, TrainedHandwriting)
    data = {"ckpt": Path(ckpt).name, "licence": licence(ckpt)} | page_data(trained, weights, Path(ckpt).stem)
    plain = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    parts = {
        "STYLE": f"<style>\n{_source('page.css')}</style>",
        "DATA": f'<script type="application/json" id="data">{_within(plain)}</script>',
        "WORKER": f'<script type="text/plain" id="worker">{_within(_source("built/worker.js"))}</script>',
        "SCRIPT": f'<script type="module">{_within(_source("built/page.js"))}</script>',
    }
    html = _source("page.html")
    for mark, part in parts.items():
        before, found, after = html.partition(f"<!-- {mark} -->")
        assert found, f"page.html has no mark {mark}"
        html = before + part + after
    return html


def page_data(trained: TrainedHandwriting, weights: str, name: str = "") -> dict[str, Any]:
    """What the page knows of a network of that name: `page/data.ts` says what each of it is."""
    of, network = trained.normalisation, trained.network
    assert isinstance(network, SynthesisNetwork)
    bias = trained.config["sampler"].get("bias", 0.0)
    return {
        "version": version("graves-lm"),
        "engine": _base64((HERE / "engine" / "engine.wasm").read_bytes()),
        "weights": _base64(_deflated(engine_weights(network, weights))),
        "characters": list(trained.alphabet.characters),
        "plain": plain_forms(trained.alphabet),
        "mean": of.mean,
        "std": of.std,
        "settings": {"whole": FULL_BIAS, "still": of.still, "end": astuple(EndSettings())},
        "bias": bias if isinstance(bias, float | int) else bias[0],
        "size_kept": list(MEASURED.items()),
        "prompts": prompt_data(),
        "hands": [
            {"text": hand.text, "points": _base64(np.rint(hand.strokes).astype("<i2").tobytes())}
            for hand in hands_of(of, trained.alphabet)
        ],
        "carried": None if trained.hand is None else carried(trained.hand, name, trained.alphabet),
    }


def carried(hand: Style, name: str, alphabet: Alphabet) -> dict[str, Any]:
    """The hand that comes with the weights, under their name; of a blend, which no file has, the first."""
    line = hand if isinstance(hand, StrokeLine) else hand.lines[0]
    return {"name": name, "text": alphabet.parted(line.text), "points": line.strokes.tolist()}


def plain_forms(alphabet: Alphabet) -> dict[str, str]:
    """What stands for characters that are not known themselves: for é e and its accent, or e."""
    forms = {}
    for character in (chr(code) for codes in _REPLACEABLE for code in codes):
        if character in alphabet:
            continue
        try:
            forms[character] = alphabet.spell(character, "replace")
        except UserError:
            continue
    return forms


def licence(ckpt: str) -> str:
    """Of the weights, by the metadata beside them; "" where there is none."""
    for card in (Path(ckpt).with_suffix(".json"), PRETRAINED / f"{ckpt}.json"):
        try:
            return str(json.loads(card.read_text(encoding="utf-8"))["licence"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return ""


def _source(name: str) -> str:
    return (HERE / "page" / name).read_text(encoding="utf-8")


def _within(text: str) -> str:
    """A text that does not end the script that it is in: `\\/` is a slash, in JSON and in JavaScript."""
    return text.replace("</script", "<\\/script").replace("<!--", "<\\u0021--")


def _deflated(content: bytes) -> bytes:
    """As `DecompressionStream("deflate-raw")` takes it."""
    compressor = zlib.compressobj(9, wbits=-15)
    return compressor.compress(content) + compressor.flush()


def _base64(content: bytes) -> str:
    return b64encode(content).decode("ascii")
