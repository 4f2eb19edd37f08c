"""Text, one symbol at a time: each drawn from the network's distribution, then fed back as its input."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from graves_lm.errors import UserError
from graves_lm.models.character import CharacterState
from graves_lm.tasks.character import CharacterTask


@dataclass(frozen=True)
class TextSampler:
    """Settings of a text sample.

    Attributes:
        temperature: divides the logits; 1 samples the model, towards 0 takes the likeliest symbol.
        length: symbols to write after the prompt.
    """

    temperature: float = 1.0
    length: int = 500

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise UserError(f"sampler.temperature={self.temperature}: a positive number is needed")
        if self.length < 1:
            raise UserError(f"sampler.length={self.length}: at least 1 symbol")

    @torch.inference_mode()
    def stream(self, task: CharacterTask, prompt: str = "", seed: int = 0) -> Iterator[int]:
        """Symbol indices one after the other, as they are drawn; the prompt is read but not repeated.

        Reproducible from `seed` on one machine. Raises UserError for a prompt with unknown symbols.
        """
        network = task.network
        training, _ = network.training, network.eval()
        generator = torch.Generator().manual_seed(seed)
        state = network.initial_state(1)
        if prompt:
            prompt_TB = torch.from_numpy(task.symbols.encode(prompt, where="prompt").astype("int64"))[:, None]
            _, state = network(prompt_TB.to(state.last_B.device), state)
        try:
            for _ in range(self.length):
                logits_1K, layers = network.step(state)
                chances = torch.softmax(logits_1K[0].double().cpu() / self.temperature, dim=-1)
                index = torch.multinomial(chances, 1, generator=generator)
                state = CharacterState(layers, index.to(state.last_B.device))
                yield int(index)
        finally:
            network.train(training)

    def sample(self, task: CharacterTask, prompt: str = "", seed: int = 0) -> str:
        """The whole sample as text, without the prompt."""
        return task.symbols.decode(self.stream(task, prompt, seed))
