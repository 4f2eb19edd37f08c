"""The loop over time on a GPU: a few steps as one CUDA graph, replayed until the sequence is done.

Each step is a handful of small kernels, and launching one from Python takes longer than running it. A CUDA
graph is launched as a whole, but what it does, and at which addresses, is fixed when it is captured. So that
one graph serves sequences of all lengths, wherever they lie, kernels find the addresses and the number of the
step in a table in the GPU's memory. It is written before the first replay, and the graph counts on in it.

Nothing here makes the host wait for the GPU, but for the capture itself, once for each size of batch.
"""

import contextlib
import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import Any, ClassVar

import torch
from torch import Tensor

STEPS = 10
"""Steps in a graph. The last replay runs idle past the end of a sequence whose length is no multiple."""

ROWS = 16
"""Batches are given rows up to a multiple of this, idle ones, so that few graphs serve all sizes."""

LARGEST_NUMBER = 64
"""Graphs that are kept; a training and its validation need eight or so. None is ever given up: some releases
of torch free cuBLAS's workspace with a graph, though others use it too. Past this number steps are launched
one by one, slowly."""


class Loop(ABC):
    """One direction of a recurrence for batches of up to `rows` rows: buffers that stay, and a step's work.

    Hold `lock` from the filling of the buffers to the reading of what `run` left in them.
    """

    sequences: ClassVar[int]
    """How many addresses and numbers the table holds."""

    def __init__(self, device: torch.device, rows: int):
        self.device, self.rows = device, rows
        self.lock = threading.Lock()
        self.table = self.buffer(3 + self.sequences, dtype=torch.int64)
        self.graph: torch.cuda.CUDAGraph | None = None

    def buffer(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        with torch.inference_mode(False):  # it must be writable outside of it too
            return torch.zeros(shape, dtype=dtype, device=self.device)

    @abstractmethod
    def step(self, k: int) -> None:
        """Launch the work of step k after those that the table says are done."""

    def _steps(self) -> None:
        for k in range(STEPS):
            self.step(k)
        self.table[:1].add_(STEPS)

    def capture(self, stream: torch.cuda.Stream) -> None:
        """Make the graph. Steps are launched once before, on a table that says there are none to do: Triton
        compiles, and cuBLAS sets itself up, where that is allowed."""
        self._steps()
        graph = torch.cuda.CUDAGraph()
        # Other threads (a loader that pins memory) may go on using the GPU meanwhile.
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            self._steps()
        self.graph = graph

    def run(self, steps: int, rows: int, *sequences: Tensor | int) -> None:
        """All steps of so many rows, on contiguous tensors and numbers in the order that the kernels know."""
        entries = [s if isinstance(s, int) else s.data_ptr() for s in sequences]
        table = torch.tensor([0, steps, rows, *entries])
        self.table.copy_(table.pin_memory() if self.device.type == "cuda" else table, non_blocking=True)
        for _ in range(0, steps, STEPS):
            if self.graph is None:
                self._steps()
            else:
                self.graph.replay()


_loops: dict[Hashable, Loop] = {}
_streams: dict[torch.device, torch.cuda.Stream] = {}
_making = threading.Lock()


def loop_for(kind: type[Loop], device: torch.device, rows: int, *settings: Any) -> Any:
    """The `kind` of loop with these settings, made when it is first asked for, and captured, on a GPU."""
    rows, on_gpu = math.ceil(rows / ROWS) * ROWS, device.type == "cuda"
    # Work on another stream may overlap, and a graph keeps to the precision that it was captured with.
    stream = torch.cuda.current_stream(device).cuda_stream if on_gpu else None
    key = (kind, device, rows, settings, stream, torch.backends.cuda.matmul.fp32_precision)
    with _making:
        loop = _loops.get(key)
        if loop is None:
            loop = kind(device, rows, *settings)
            if len(_loops) < LARGEST_NUMBER:
                if on_gpu:
                    loop.capture(_streams.setdefault(device, torch.cuda.Stream(device)))
                _loops[key] = loop
    return loop


def on(device: torch.device) -> contextlib.AbstractContextManager[None]:
    """Makes `device` the one that Triton launches on."""
    return torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()
