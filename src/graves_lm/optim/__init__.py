"""How weights move: the paper's rmsprop, and the settings that go with any optimiser."""

from graves_lm.optim.optimization import Optimization
from graves_lm.optim.rmsprop import GravesRMSprop

__all__ = ["GravesRMSprop", "Optimization"]
