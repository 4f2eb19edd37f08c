"""The line whose style a sample takes on, from wherever it is."""

import os
from collections.abc import Callable
from typing import Any

from graves_lm.data.ink.reading import read_ink
from graves_lm.data.strokes import StrokeLine
from graves_lm.runtime.errors import UserError, near_misses


def named_prime(
    sampler: Any, spell: Callable[[str], str], open_data: Callable[[], Any] | None = None
) -> StrokeLine | None:
    """The line that the settings of a sampler name, its `prime` with its `prime_text`; None: it names none.

    Args:
        spell: the text in characters that the network knows.
        open_data: as in `find_prime`.

    Raises UserError as `find_prime` does, and for the text of no line.
    """
    name, text = getattr(sampler, "prime", None), getattr(sampler, "prime_text", None)
    if name is None:
        if text is not None:
            raise UserError("sampler.prime_text: the text of which line? give it with sampler.prime=")
        return None
    return find_prime(name, None if text is None else spell(text).replace("\n", " "), open_data)


def find_prime(name: str, text: str | None = None, open_data: Callable[[], Any] | None = None) -> StrokeLine:
    """A line of handwriting with its text.

    Args:
        name: an ink file, of which the first line is taken, or else the name of a line of the data.
        text: the line's text, in place of the file's.
        open_data: gives a corpus of a pen that is open; asked only where `name` is not a file. None: there is
            none.

    Raises UserError when there is no such line, or when it has no text.
    """
    # Not `Path.is_file`, which fails on a name that is too long for a file, as the name of a line may be.
    if os.path.isfile(os.path.expanduser(name)):
        line = read_ink(name)[0][0]
    elif open_data is None:
        raise UserError(f"prime={name}: no such file")
    else:
        try:
            data = open_data()
        except UserError as error:
            raise UserError(
                f"prime={name}: no such file; to look for a line of that name: {error}"
            ) from error
        if name not in data.store.ids:
            raise UserError(
                f"prime={name}: no such file, and no such line; {near_misses(name, data.store.ids)}"
            )
        line = data.store[data.store.ids.index(name)]
    if text is not None:
        line = line._replace(text=text)
    if not line.text.strip():
        raise UserError(f"prime={name}: it has no text; give it with sampler.prime_text=")
    return line
