"""Symbol sets: exact round trips, and errors that say which symbol, where."""

import numpy as np
import pytest

from graves_lm.data.symbols import Symbols, codes_of, words_of
from graves_lm.runtime.errors import UserError

TEXTS = ["plain", "two\nlines\n", "ünï¢ode 日本 😀", "\x00\t\r\n'\"\\", "nul\u2028sep\x85nel"]


def symbols_of(text: str, unit: str) -> Symbols:
    return Symbols.of(unit, codes_of(text, unit))


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("unit", ["byte", "character"])
def test_decode_is_the_inverse_of_encode(text, unit):
    symbols = symbols_of(text, unit)
    indices = symbols.encode(text)
    assert symbols.decode(indices) == text
    assert len(symbols) == len(set(text.encode() if unit == "byte" else text))
    assert [symbols.items[i] for i in indices] == list(text.encode() if unit == "byte" else text)


def test_items_are_sorted_whatever_the_order_of_the_text():
    assert symbols_of("cabbac", "character").items == ["a", "b", "c"]
    assert symbols_of("cabbac", "character") == symbols_of("abc", "character")
    assert symbols_of("\xff", "byte").items == [0xBF, 0xC3]


def test_symbols_beyond_the_first_chunk_are_found_and_placed():
    # More codes than are looked up at a time.
    codes = np.full((1 << 20) + 3, ord("a"), dtype=np.uint32)
    codes[-1] = ord("é")
    assert Symbols.of("character", codes).items == ["a", "é"]
    assert Symbols.of("character", codes).encode_codes(codes, "text")[-3:].tolist() == [0, 0, 1]
    with pytest.raises(UserError, match=rf"'é' at position {len(codes) - 1} "):
        Symbols("character", ["a", "b"]).encode_codes(codes, "text")


def test_words_and_the_end_of_a_line():
    symbols = Symbols("word", ["<eos>", "<unk>", "cat", "the"])
    indices = symbols.encode("the cat\n the <unk>\n")
    assert [symbols.items[i] for i in indices] == ["the", "cat", "<eos>", "the", "<unk>", "<eos>"]
    assert symbols.decode(indices) == "the cat \nthe <unk> \n"
    assert np.array_equal(symbols.encode(symbols.decode(indices)), indices)
    assert [symbols.items[i] for i in symbols.encode("the cat")] == ["the", "cat"]
    assert words_of(" a  b\n") == ["a", "b", "<eos>"]


@pytest.mark.parametrize(
    ("unit", "known", "text", "named", "position"),
    [
        ("character", "ab é", "a bxéx", "'x'", 3),
        ("character", "ab", "ab\n", "'\\n'", 2),
        ("character", "ab", "😀", "'😀'", 0),  # beyond the end of the table
        ("character", "az", "azb", "'b'", 2),  # inside it
        ("byte", "ab", "abé", "byte 0xc3", 2),
        ("byte", "ab", "ab\n", "byte 0x0a", 2),
    ],
)
def test_an_unknown_symbol_is_named_with_its_position(unit, known, text, named, position):
    with pytest.raises(UserError) as caught:
        symbols_of(known, unit).encode(text, where="prompt")
    message = str(caught.value)
    assert message.startswith(f"prompt: {named} at position {position} ")
    assert "\n" not in message


def test_an_unknown_word_is_named_with_its_position():
    with pytest.raises(UserError, match=r"^valid.txt: word 'dog' at position 4 .*'<unk>'"):
        Symbols("word", ["<eos>", "cat", "the"]).encode("the cat\nthe dog\n", where="valid.txt")


@pytest.mark.parametrize("unit", ["byte", "character", "word"])
def test_an_empty_prompt_is_no_symbols(unit):
    assert len(Symbols(unit, [97, 98] if unit == "byte" else ["a", "b"]).encode("")) == 0


def test_argument_bytes_that_are_not_utf8():
    # Python hands such an argument on with lone surrogates.
    argument = b"a\xff".decode("utf-8", "surrogateescape")
    symbols = Symbols("byte", range(256))
    assert symbols.encode(argument).tolist() == [97, 255]
    assert symbols.decode([97, 255]) == "a\ufffd"
    with pytest.raises(UserError, match=r"'\\udcff' at position 1") as caught:
        Symbols("character", ["a", "b"]).encode(argument)
    assert str(caught.value).encode()  # can be printed


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 65_536, 65_537])
def test_the_dtype_holds_the_last_index_and_no_more(size):
    symbols = Symbols("word", [f"w{i}" for i in range(size)])
    highest = np.iinfo(symbols.dtype)
    assert highest.max >= size - 1
    assert symbols.dtype.itemsize == 1 or np.iinfo(f"u{symbols.dtype.itemsize // 2}").max < size - 1
    assert symbols.encode(f"w{size - 1}").tolist() == [size - 1]


@pytest.mark.parametrize("unit", ["byte", "character"])
def test_plain_form_round_trip(unit):
    symbols = symbols_of("größe\n", unit)
    plain = symbols.to_plain()
    again = Symbols.from_plain(plain)
    assert again == symbols
    assert again != Symbols(unit, symbols.items[:-1])
    assert {type(item) for item in plain["items"]} == {int if unit == "byte" else str}


@pytest.mark.parametrize(
    "plain",
    [
        None,
        [],
        {},
        {"unit": "byte"},
        {"unit": "byte", "items": [1], "more": 1},
        {"unit": ["byte"], "items": [1]},
        {"unit": "glyph", "items": ["a"]},
        {"unit": "byte", "items": []},
        {"unit": "byte", "items": (1, 2)},
        {"unit": "byte", "items": {"a": 1}},
        {"unit": "byte", "items": [256]},
        {"unit": "byte", "items": [-1]},
        {"unit": "byte", "items": [True, 2]},
        {"unit": "byte", "items": [1.0, 2.0]},
        {"unit": "byte", "items": [3, 3]},
        {"unit": "byte", "items": ["a"]},
        {"unit": "character", "items": ["ab"]},
        {"unit": "character", "items": [""]},
        {"unit": "character", "items": ["\ud800"]},
        {"unit": "character", "items": ["a", None]},
        {"unit": "character", "items": ["a", ["b"]]},
        {"unit": "character", "items": ["a", "a"]},
        {"unit": "word", "items": ["two words"]},
        {"unit": "word", "items": ["half\udfff"]},
        {"unit": "word", "items": [str(i) for i in range(65_537)]},
    ],
)
def test_facts_of_strangers_are_refused(plain):
    with pytest.raises(UserError, match=r"^symbols: ") as caught:
        Symbols.from_plain(plain)
    assert len(str(caught.value)) < 200


def test_units_with_the_same_items_differ():
    assert Symbols("word", ["a"]) != Symbols("character", ["a"])
    with pytest.raises(ValueError, match="unit='glyph'"):
        Symbols("glyph", ["a"])


def test_summary_is_printable_and_bounded():
    assert symbols_of("a\nb", "byte").summary() == "\\x0aab"
    assert symbols_of("a\nb", "character").summary() == "\\nab"
    every = Symbols("byte", range(256)).summary(limit=30)
    assert len(every) == 30
    assert every.endswith("…")
    assert every.isprintable()
