"""A trained network from a checkpoint: what samples, without what trains."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch

from graves_lm.runtime.errors import UserError
from graves_lm.trained.checkpoint import (
    PRETRAINED,
    facts_of,
    hand_of,
    make_network,
    read_checkpoint,
    read_metadata,
    refuse_unfit_weights,
    weights_of,
)
from graves_lm.trained.format import METADATA
from graves_lm.trained.kinds import KINDS, Trained
from graves_lm.trained.reader import TrainedReader


def make_trained(checkpoint: Mapping[str, Any]) -> Trained:
    """The network with its weights, on the CPU and in evaluation mode, of what `read_checkpoint` gave.

    Raises UserError for anything that `read_checkpoint` would refuse.
    """
    metadata = read_metadata(checkpoint[METADATA], "the checkpoint")
    checkpoint = {**checkpoint, METADATA: metadata}
    refuse_unfit_weights(checkpoint)
    weights = {name: weight.contiguous() for name, weight in weights_of(checkpoint).items()}
    if metadata["config"]["model"]["network"].get("cell") is None:
        with torch.device("meta"):  # no first weights: orthogonal ones take longer than all else here
            network = make_network(metadata)
        network.load_state_dict(weights, assign=True)
    else:  # a cell from outside may keep tensors that are no parameters
        network = make_network(metadata)
        network.load_state_dict(weights)
    more = {} if (hand := hand_of(metadata)) is None else {"hand": hand}
    trained: Trained = KINDS[metadata["task"]](
        network.eval(), **facts_of(metadata), config=metadata["config"], **more
    )
    return trained


@cache
def packaged_reader() -> TrainedReader | None:
    """The reader that comes with the package; None where it was built without trained weights."""
    return load_reader() if (PRETRAINED / "reader.safetensors").is_file() else None


def load_reader(path: str | Path = "reader") -> TrainedReader:
    """The reader of a checkpoint that `graves_lm.train model=reader` wrote, or of the package's weights.

    Raises UserError for a missing or damaged file and a checkpoint of another task.
    """
    reader = load_trained(path, task="reader")
    assert isinstance(reader, TrainedReader)
    return reader


def load_trained(path: str | Path, task: str | None = None, setting: str = "ckpt") -> Trained:
    """`make_trained` of the checkpoint at `path`, see `read_checkpoint`."""
    return make_trained(read_checkpoint(path, task, setting))


def move(trained: Trained, device: str) -> None:
    """What draws, and what reads it, to a device.

    Raises UserError where it is not there.
    """
    if device == "cpu":
        return
    if not torch.cuda.is_available():
        raise UserError(f"device={device}: torch finds no GPU here; leave device= out")
    trained.network.to(device)
    if (reader := packaged_reader()) is not None:
        reader.network.to(device)
