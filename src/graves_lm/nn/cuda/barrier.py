"""Where all programs of a launch meet: between two steps of a recurrence, each needs what the others made.

A program says that it is done (`arrive`) and later waits until all have said so (`wait`); a counter in the
GPU's memory holds how often it was said. This is the barrier of a whole grid as CUDA's cooperative groups
make it. Its order is that of PTX's memory model: all threads of a program meet (`debug_barrier`), and what
they wrote before is visible to whoever reads, with acquire, what one of them adds after that with release,
and to all who meet that reader afterwards. No program may wait for one that has not begun: launches must be
cooperative, which CUDA refuses if the programs do not all fit the GPU at once.

What other programs wrote is read from the cache that all share (`.cg`).
"""

import triton
import triton.language as tl


@triton.jit
def arrive(counter):
    """All that this program wrote may be read by those that wait."""
    tl.debug_barrier()
    tl.atomic_add(counter, 1, sem="release")


@triton.jit
def wait(counter, arrivals):
    """Until so many programs, counted from the launch on, have arrived."""
    while tl.atomic_add(counter, 0, sem="acquire") < arrivals:
        pass
    tl.debug_barrier()
