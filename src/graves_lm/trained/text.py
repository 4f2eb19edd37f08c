"""A trained network of text: it goes on from a prompt."""

import codecs
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch

from graves_lm.data.symbols import Symbols
from graves_lm.models.character import CharacterNetwork
from graves_lm.sampling.protocols import DrawsText


class TrainedText:
    """A network of symbols with what they stand for.

    Args:
        network: in evaluation mode.
        symbols: what its outputs stand for.
        config: the settings of its training: model, data, optimizer, sampler.
    """

    task_name: ClassVar = "character"
    takes: ClassVar = ("symbols",)
    sampler_kind: ClassVar[type] = DrawsText

    def __init__(self, network: CharacterNetwork, symbols: Symbols, config: Mapping[str, Any]):
        self.network, self.symbols, self.config = network, symbols, config

    def write(self, sampler: DrawsText, prompt: str = "", seed: int = 0) -> Iterator[str]:
        """Pieces of text as they are sampled, without the prompt; the same for the same seed.

        A symbol may be a part of a character (bytes): it is then shown once the whole character has come.
        Raises UserError, before anything is sampled, for a prompt with symbols that were not learned.
        """
        read = self.symbols.encode(prompt, where="prompt").tolist()
        generator = torch.Generator().manual_seed(seed)
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        for index in sampler.symbols(self.network, read, generator):
            yield decoder.decode(self.symbols.piece(index))
        yield decoder.decode(b"", final=True)
