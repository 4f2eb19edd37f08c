"""Hostile ink files, made from small valid ones: the same for the same random numbers.

for name, content in mutants(random.Random(1), 150):
    (folder / name).write_bytes(content)   # the ending says the format
"""

import codecs
import json
import random
import re
from collections.abc import Callable, Iterator

_ZIG = [(6 * i, 100 + 60 * (i % 2)) for i in range(12)]
_TRACE = ", ".join(f"{x} {y}" for x, y in _ZIG)
_ROWS = "\n".join(f"{x} {y}" for x, y in _ZIG)

SEEDS: dict[str, tuple[str, ...]] = {
    ".inkml": (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ink xmlns="http://www.w3.org/2003/InkML">'
        f'<annotation type="truth">m\u00e9</annotation><trace>{_TRACE}</trace></ink>',
        '<ink><definitions><context xml:id="c"><inkSource xml:id="s"><traceFormat><channel name="T"/>'
        '<channel name="X"/><channel name="Y" orientation="-ve"/><intermittentChannels><channel name="B1"/>'
        '</intermittentChannels></traceFormat></inkSource></context></definitions>'
        '<trace contextRef="#c" xml:id="t">'
        "0 1125 18432, 5'23'43, 9\"7\"-8 T, 9 3-5,9 *-3,9 !#FF !200</trace>"
        '<traceGroup><annotation type="truth">a</annotation><traceView traceDataRef="#t" from="1" to="3"/>'
        '</traceGroup><traceView><annotation type="truth">b</annotation><traceView traceDataRef="#t"/>'
        '</traceView></ink>',
        '<ink><traceFormat><channel name="X"/><channel name="Y"/></traceFormat>'
        '<trace id="a" continuation="begin">'
        f'{_TRACE}</trace><trace continuation="end" priorRef="#a">{_TRACE}</trace>'
        '<trace type="penUp">1 2</trace></ink>',
    ),
    ".unipen": (
        '.VERSION 1.0\n.WRITER_ID w\n.HIERARCHY LINE WORD\n.COORD X Y\n.X_POINTS_PER_INCH 200\n'
        '.Y_POINTS_PER_INCH 200\n.SEGMENT LINE 0-2 OK "caf\u00e9'
        f' \\"x\\""\n.PEN_DOWN\n{_ROWS}\n.PEN_UP\n1 2\n'
        f".PEN_DOWN\n{_ROWS}\n.PEN_UP\n",
        f'.HIERARCHY DIGIT\n.COORD X Y\n.SEGMENT DIGIT ? "8"\n.PEN_DOWN\n{_ROWS}\n.SEGMENT DIGIT'
        ' 1:2-1:5 ? "3"\n'
        f".PEN_DOWN\n{_ROWS}\n",
    ),
    ".json": (
        json.dumps({"format": "graves_lm.strokes", "lines": [{"text": "mm", "strokes": [_ZIG, _ZIG]}] * 2}),
        json.dumps({"text": "mm", "points": [[x, y, int(i in (5, 11))] for i, (x, y) in enumerate(_ZIG)]}),
        json.dumps([[[x for x, _ in _ZIG], [y for _, y in _ZIG]]]),
        json.dumps({"strokes": [{"x": [x for x, _ in _ZIG], "y": [y for _, y in _ZIG]}]}),
    ),
}  # fmt: skip

_NUMBERS = (
    "1e999",
    "-1e300",
    "NaN",
    "Infinity",
    "9" * 400,
    "0x1F",
    "-0",
    "1_0",
    "#FFFFFFFF",
    "''",
    "T",
    "?",
    "*",
    "1e-400",
)
_WORDS = (
    '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>', "&b;", '<!ENTITY x SYSTEM "file:///etc/passwd">',
    "]]>", '<trace contextRef="#c"/>', '<traceView traceDataRef="/etc/passwd#t"/>',
    '<traceView traceDataRef="#t" from="0" to="9:9"/>', ".INCLUDE /etc/passwd\n",
    '.SEGMENT WORD 0-999999999 OK "x"\n', ".COORD\n", ".COORD T X Y\n", '.SEGMENT LINE ? "', '"strokes":',
    '{"points": ', "null", "true", '"\\ud800"', '"lines": 3, ', "\x00", "\ufeff", "\u2028", "\U0001f600",
)  # fmt: skip
_ENCODINGS = (
    "utf-16",
    "utf-16-le",
    "utf-32",
    "utf-8-sig",
    "latin-1",
    "cp037",
    "shift_jis",
    "gb18030",
    "utf-7",
)
_DECLARED = (
    "gb2312",
    "shift_jis",
    "utf-16",
    "ucs-4",
    "punycode",
    "zlib",
    "rot13",
    "none-such",
    "idna",
    "mbcs",
    "x" * 60,
)


def mutants(rng: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    """`count` files: a name whose ending says the format, and the content."""
    for number in range(count):
        ending = rng.choice(list(SEEDS))
        content = rng.choice(SEEDS[ending])
        kinds = [rng.choice(_KINDS) for _ in range(rng.choice((0, 1, 1, 1, 2, 3)))]
        for change in kinds:
            content = change(rng, content)
        kind = rng.choice(_AS_BYTES)
        names = "-".join(change.__name__.strip("_") for change in (*kinds, kind))
        yield f"{number:04d}-{names}{ending}", kind(rng, content)


# ------------------------------------------------------------------------------------------ as text


def _place(rng: random.Random, text: str) -> int:
    return rng.randint(0, len(text))


def _cut(rng: random.Random, text: str) -> str:
    return text[: _place(rng, text)]


def _doubled(rng: random.Random, text: str) -> str:
    first, last = sorted((_place(rng, text), _place(rng, text)))
    return text[:last] + text[first:last] * rng.choice((1, 2, 50)) + text[last:]


def _removed(rng: random.Random, text: str) -> str:
    first = _place(rng, text)
    return text[:first] + text[first + rng.randint(1, 40) :]


def _inserted(rng: random.Random, text: str) -> str:
    at = _place(rng, text)
    return text[:at] + rng.choice(_WORDS) + text[at:]


def _numbered(rng: random.Random, text: str) -> str:
    found = list(re.finditer(r"\d+", text))
    if not found:
        return text
    match = rng.choice(found)
    return text[: match.start()] + rng.choice(_NUMBERS) + text[match.end() :]


def _swapped(rng: random.Random, text: str) -> str:
    words = re.split(r"(\W+)", text)
    first, second = rng.randrange(len(words)), rng.randrange(len(words))
    words[first], words[second] = words[second], words[first]
    return "".join(words)


def _nested(rng: random.Random, text: str) -> str:
    opening, closing = rng.choice(
        (("[", "]"), ('{"strokes":', "}"), ("<traceGroup>", "</traceGroup>"), ("<x>", ""))
    )
    depth = rng.choice((3, 300, 30_000))
    at = _place(rng, text)
    return text[:at] + opening * depth + text[at:] + closing * depth


def _longer(rng: random.Random, text: str) -> str:
    at = _place(rng, text)
    return (
        text[:at] + rng.choice((" ", "1 ", "1 2,", "0", "a", "\n", "[],", '<a b="c"/>')) * 50_000 + text[at:]
    )


def _viewed(rng: random.Random, text: str) -> str:
    """Views that double at every level, and one that goes round in a circle."""
    views = "".join(
        f'<traceView xml:id="v{i}"><traceView traceDataRef="#v{i + 1}"/>'
        f'<traceView traceDataRef="#v{i + 1}"/></traceView>'
        for i in range(40)
    )
    circle = rng.choice(('<traceView xml:id="v40" traceDataRef="#v0"/>', '<traceView xml:id="v40"/>'))
    return text.replace("</ink>", f"{views}{circle}</ink>")


def _declared(rng: random.Random, text: str) -> str:
    declaration = f'<?xml version="1.0" encoding="{rng.choice(_DECLARED)}"?>'
    return declaration + re.sub(r"^<\?xml[^>]*>", "", text)


_KINDS: tuple[Callable[[random.Random, str], str], ...] = (
    _cut, _doubled, _removed, _inserted, _numbered, _numbered, _swapped, _nested, _longer, _viewed, _declared,
)  # fmt: skip


# ----------------------------------------------------------------------------------------- as bytes


def _encoded(rng: random.Random, text: str) -> bytes:
    return text.encode(rng.choice(_ENCODINGS), errors="replace")


def _plain(rng: random.Random, text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _flipped(rng: random.Random, text: str) -> bytes:
    content = bytearray(_plain(rng, text))
    for _ in range(rng.randint(1, 20) if content else 0):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(content)


def _marked(rng: random.Random, text: str) -> bytes:
    marks = (
        codecs.BOM_UTF8,
        codecs.BOM_UTF16_LE,
        codecs.BOM_UTF16_BE,
        codecs.BOM_UTF32_LE,
        codecs.BOM_UTF32_BE,
    )
    return rng.choice(marks) + _plain(rng, text)


_AS_BYTES: tuple[Callable[[random.Random, str], bytes], ...] = (
    _plain,
    _plain,
    _plain,
    _encoded,
    _flipped,
    _marked,
)
