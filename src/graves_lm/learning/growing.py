"""A run that begins with weights of other characters than its data's: what is known stays.

The characters of the run are those of the weights and, after them, those that only the data have. So every
place of a known character is what it was, and its weights are carried over as they are. A new one begins as
its plain form, where that is known (ä as a), else as a new network's would. Where a and the mark of ä are
known, ä is not new.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from unicodedata import combining

import torch
from torch import Tensor, nn

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.base import Corpus
from graves_lm.data.characters import plain_letter
from graves_lm.runtime.errors import UserError
from graves_lm.trained.checkpoint import PRETRAINED, facts_of, read_checkpoint
from graves_lm.trained.format import METADATA

CHARACTERS = ("alphabet", "symbols")
"""The facts that are sets of characters."""


def grow(corpus: Corpus, path: str, takes: Sequence[str], setting: str = "init") -> str | None:
    """From now on, give the data in the characters of the weights at `path` and, after them, their own.

    Returns a line on which are known, new and unused; None where they are the same.

    Args:
        takes: the names of the facts that the run's task knows of its data.
        setting: the one that named the path, for messages.

    Raises UserError where they cannot be had together.
    """
    card = read_checkpoint(path, setting=setting)[METADATA]
    known, own = facts_of(card), corpus.facts()
    for name in CHARACTERS:
        if name not in takes or name not in known or known[name] == own[name]:
            continue
        try:
            union = known[name].union(own[name])
            corpus.read_as(own | {name: union})
        except UserError as error:
            raise UserError(f"{setting}={path}: {error}") from error
        line = f"{setting}={path}: {told(known[name], union, own[name])}"
        new = characters_of(union)[len(characters_of(known[name])) :]
        packaged = (PRETRAINED / f"{path}.safetensors").is_file()
        better = packaged_with(new, card["task"], name) if new and packaged else None
        return line if better is None else f"{line}; {setting}={better} knows them"
    return None


def knowing_most(corpus: Corpus, paths: Sequence[str], takes: Sequence[str]) -> str:
    """Those of several weights that lack the fewest characters of the data, the first of equals."""

    def lacking(path: str) -> int:
        known, own = facts_of(read_checkpoint(path, setting="init")[METADATA]), corpus.facts()
        shared = [name for name in CHARACTERS if name in takes and name in known]
        return sum(not knows(known[name], c) for name in shared for c in characters_of(own[name]))

    return min(paths, key=lacking)


def packaged_with(characters: Sequence[Any], task: str, name: str) -> str | None:
    """The package's weights for a task that know all these characters, the first by their names; None: there
    are none."""
    for file in sorted(PRETRAINED.glob("*.safetensors")):
        card = read_checkpoint(file)[METADATA]
        fact = facts_of(card).get(name) if card["task"] == task else None
        if fact is not None and all(knows(fact, character) for character in characters):
            return file.stem
    return None


def knows(fact: Any, character: Any) -> bool:
    """Whether an alphabet, or a set of symbols, has a character, itself or in parts."""
    return fact.knows(character) if isinstance(fact, Alphabet) else character in characters_of(fact)


def carried(
    weights: Mapping[str, Tensor],
    fresh: Mapping[str, Tensor],
    axes: Mapping[str, int],
    known: Any,
    grown: Any,
) -> dict[str, Tensor]:
    """The weights with room for the characters of `grown`, which begins with those of `known`.

    Args:
        weights: those of the network that knows `known`.
        fresh: those of a new network of the run.
        axes: by name, the axis along which a weight has an entry for each character (see `symbol_axes` of the
            networks); entries behind them, such as a blank, stay behind them.
    """
    old, new = characters_of(known), characters_of(grown)
    place = {character: n for n, character in enumerate(old)}
    places = [place.get(plain, -1) for plain in map(plain_form, new[len(old) :])]
    return {
        name: _with_room(weight, fresh[name], axes[name], len(old), places) if name in axes else weight
        for name, weight in weights.items()
    }


def new_entries(network: Any, known: Any, grown: Any) -> list[Tensor]:
    """Of each weight that has an entry for each character: those that `known` lacks and `grown` has, in the
    weight's memory."""
    new = slice(len(characters_of(known)), len(characters_of(grown)))
    axes, weights = network.symbol_axes(), dict(network.named_parameters())
    return [weights[name].detach().movedim(axis, 0)[new] for name, axis in axes.items()]


def entries_but(network: Any, fact: Any, kept: str) -> list[tuple[nn.Parameter, Tensor]]:
    """Of each weight that has an entry for each character, the entries that belong to none of `kept`: the
    weight, and a mask of its shape.

    Raises UserError for a character that is not among those of `fact`.
    """
    known = characters_of(fact)
    if unknown := [c for c in kept if c not in known]:
        raise UserError(
            f"optimizer.only_characters: {shown(unknown[0])} is none of the characters that the network knows"
        )
    places, weights = [known.index(c) for c in kept], dict(network.named_parameters())
    found = []
    for name, axis in network.symbol_axes().items():
        others = torch.ones_like(weights[name], dtype=torch.bool)
        others.movedim(axis, 0)[places] = False
        found.append((weights[name], others))
    return found


def _with_room(weight: Tensor, fresh: Tensor, axis: int, old: int, places: Sequence[int]) -> Tensor:
    """`places` says for each new entry which known one it begins as; −1: as in a new network."""
    first, last = weight.movedim(axis, 0).split([old, weight.shape[axis] - old])
    if first.shape[1:] != fresh.movedim(axis, 0).shape[1:]:
        return weight  # of another network, which whoever loads it finds
    more = fresh.movedim(axis, 0)[old : old + len(places)].to(weight.dtype).clone()
    for entry, n in zip(more, places, strict=True):
        if n >= 0:
            entry.copy_(first[n])
    return torch.cat([first, more, last]).movedim(0, axis).contiguous()


def told(known: Any, grown: Any, used: Any) -> str:
    """Which characters are known, new and unused."""
    old, new, own = characters_of(known), characters_of(grown), set(characters_of(used))
    begun = ", ".join(
        f"{shown(c)} as {shown(plain_form(c))}" if plain_form(c) in old else shown(c) for c in new[len(old) :]
    )
    unused = sum(c not in own for c in old)
    line = f"{len(old)} characters known, {len(new) - len(old)} new" + (f" ({begun})" if begun else "")
    return f"{line}, {unused} of the known ones not in these data" if unused else line


def characters_of(fact: Any) -> list[Any]:
    """Of an alphabet or a set of symbols."""
    found: list[Any] = fact.characters if hasattr(fact, "characters") else fact.items
    return found


def plain_form(symbol: Any) -> Any:
    """The character that a new one begins as: its own without accents; itself where it has no other."""
    return plain_letter(symbol) if isinstance(symbol, str) and len(symbol) == 1 else symbol


def shown(symbol: Any) -> str:
    if not isinstance(symbol, str) or not symbol.isprintable():
        return repr(symbol)
    return f"\u25cc{symbol}" if combining(symbol[:1] or " ") else symbol
