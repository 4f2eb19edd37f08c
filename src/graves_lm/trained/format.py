"""The names in a checkpoint."""

METADATA = "graves_lm"
"""The key under which a checkpoint has what is needed to make its network again, as plain containers."""
NETWORK, NOISE = "network.", "noise."
"""What the names of the weights of the network, and of its weight noise, begin with."""
