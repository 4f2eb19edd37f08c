"""How weights move: the paper's rmsprop, and the settings that go with any optimiser."""

from graves_lm.learning.optim.optimization import Optimization
from graves_lm.learning.optim.rmsprop import GravesRMSprop

__all__ = ["GravesRMSprop", "Optimization"]
