"""The line whose style a sample takes on, from wherever it is."""

from pathlib import Path
from typing import Any

from graves_lm.data.ink import read_ink
from graves_lm.data.strokes import StrokeLine
from graves_lm.errors import UserError, near_misses


def find_prime(name: str, text: str | None = None, data: Any = None) -> StrokeLine:
    """A line of handwriting with its text.

    Args:
        name: an ink file, of which the first line is taken, or else the name of a line of `data`.
        text: the line's text, in place of the file's.
        data: a prepared pen data module; None where there is none.

    Raises UserError when there is no such line, or when it has no text.
    """
    if Path(name).expanduser().is_file():
        line = read_ink(name)[0][0]
    elif data is not None:
        if name not in data.store.ids:
            raise UserError(
                f"prime={name}: no such file, and no such line; {near_misses(name, data.store.ids)}"
            )
        line = data.store[data.store.ids.index(name)]
    else:
        raise UserError(f"prime={name}: no such file; for a line of a data set give data.source= as well")
    if text is not None:
        line = line._replace(text=text)
    if not line.text.strip():
        raise UserError(f"prime={name}: it has no text; give it with sampler.prime_text=")
    return line
