"""Text, one symbol at a time: each drawn from the network's distribution, then fed back as its input."""

import math
from collections.abc import Iterator, Sequence

import torch

from graves_lm.errors import UserError
from graves_lm.models.character import CharacterNetwork
from graves_lm.sampling.packed import PackedNetwork
from graves_lm.sampling.weights import check_kind


class TextSampler:
    """Settings of a text sample, and the loop that draws it.

    Args:
        temperature: divides the logits; 1 samples the model, towards 0 takes the likeliest symbol.
        length: symbols to write after the prompt.
        weights: how the network's weights are read: float32, bf16 or int8, see `sampling.weights`.
    """

    def __init__(self, temperature: float = 1.0, length: int = 500, weights: str = "float32"):
        if not (math.isfinite(temperature) and temperature > 0):
            raise UserError(f"sampler.temperature={temperature}: a positive number is needed")
        if length < 1:
            raise UserError(f"sampler.length={length}: at least 1 symbol")
        self.temperature = temperature
        self.length = length
        self.weights = check_kind(weights)

    @torch.inference_mode()
    def stream(
        self, network: CharacterNetwork, prompt: Sequence[int], generator: torch.Generator
    ) -> Iterator[int]:
        """Symbol indices one after the other, as they are drawn; the prompt is read but not repeated.

        `generator` is a CPU generator, so that a seed gives the same text wherever the network lies.
        """
        state = network.initial_state(1)
        if len(prompt):
            prompt_TB = torch.tensor([[int(index)] for index in prompt], device=state.last_B.device)
            _, state = network(prompt_TB, state)
        packed = PackedNetwork(network, self.weights)
        state_1S, last_1 = packed.pack(state.layers), state.last_B
        for _ in range(self.length):
            logits_1K, state_1S, _ = packed.step(last_1, state_1S)
            chances = torch.softmax(logits_1K[0].double().cpu() / self.temperature, dim=-1)
            last_1 = torch.multinomial(chances, 1, generator=generator).to(last_1.device)
            yield int(last_1)
