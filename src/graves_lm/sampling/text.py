"""Text, one symbol at a time: each sampled from the network's distribution, then fed back as its input."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import torch
from msgspec import Meta

from graves_lm.models.character import CharacterNetwork
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.plain import for_drawing
from graves_lm.settings import declared
from graves_lm.settings.kinds import Weights


@declared("sampler")
class TextSampler:
    """Draws text: a `sampling.protocols.DrawsText`.

    Args:
        temperature: divides the logits; 1 samples the model, towards 0 takes the likeliest symbol.
        length: symbols to write after the prompt.
        weights: how the network's weights are read: float32, bf16 or int8, see `sampling.weights`.

    >>> network = CharacterNetwork(symbols=5, layers=1, hidden_size=8)
    >>> len(list(TextSampler(length=3).symbols(network, [0, 1], torch.Generator().manual_seed(0))))
    3
    """

    def __init__(
        self,
        temperature: Annotated[float, Meta(gt=0, le=1e6)] = 1.0,
        length: Annotated[int, Meta(ge=1, le=10**7)] = 500,
        weights: Weights = "float32",
    ):
        self.temperature = temperature
        self.length = length
        self.weights = weights

    @torch.inference_mode()
    def symbols(
        self, network: CharacterNetwork, prompt: Sequence[int], generator: torch.Generator
    ) -> Iterator[int]:
        """Symbol indices one after the other, as they are sampled; the prompt is read but not repeated.

        `generator` is a CPU generator, so that a seed gives the same text wherever the network lies.
        """
        state = network.initial_state(1)
        if len(prompt):
            prompt_TB = torch.tensor([[int(index)] for index in prompt], device=state.last_B.device)
            _, state = network(prompt_TB, state)
        packed = for_drawing(network, self.weights)
        state_1S, last_1 = packed.pack(state.layers), state.last_B
        for _ in range(self.length):
            logits_1K, state_1S, _ = packed.step(last_1, state_1S)
            chances = torch.softmax(logits_1K[0].double().cpu() / self.temperature, dim=-1)
            if not bool(torch.isfinite(chances).all()):
                raise UserError(
                    "the network's answer is not finite: its weights are damaged or far too large"
                )
            last_1 = torch.multinomial(chances, 1, generator=generator).to(last_1.device)
            yield int(last_1)
