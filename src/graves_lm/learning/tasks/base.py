"""What the three tasks share: the unit of the loss, noise, optimiser, resumable randomness and the
metadata."""

import logging
import math
import socket
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from graves_lm.learning import resuming
from graves_lm.learning.growing import CHARACTERS, entries_but
from graves_lm.learning.optim import Optimization
from graves_lm.nn.noise import NoNoise
from graves_lm.runtime.errors import UserError
from graves_lm.runtime.memory import give_back_free_memory
from graves_lm.settings import stored
from graves_lm.trained.format import METADATA
from graves_lm.trained.kinds import Trained
from graves_lm.trained.tensors import refuse_other_tensors

log = logging.getLogger(__name__)
_STEPS_BETWEEN_TRIMS = 100  # refilling the heap takes a fraction of a second


class SequenceTask(LightningModule):
    """A thin shell around a network. Subclasses compute nats; all else about training is here.

    A subclass names the facts of the data that it takes (`takes`), what its sequences consist of (`unit`),
    what a place in its data's epochs is made of (`position`) and what takes its samples (`sampler_kind`), and
    adds to its `metrics`, which give `figure_names`, in `validation_step`. Its `training_step` returns,
    through `training_loss`, nats *summed* over the batch (the unit of the paper's gradient clips); before
    each optimiser step the gradients are divided by the number of sequences or points that went into them,
    as `optimization.unit` says.

    `also_from` names tasks whose networks have the same stack, so that this one can begin with their weights.

    Args:
        network: the task's network.
        metrics: the metrics of a validation, by name.
        facts: what the task knows of its data (see `takes`), with `to_plain` and `from_plain`.
        optimization: see `Optimization`; None for a task that is not trained.
        noise: weight noise, a factory taking the network; None: no noise.
        recompute: steps of the segments that a training sequence is run in, and run again in the backward
            pass, to save memory (`nn.segments`); None: all is kept.
    """

    task_name: ClassVar[str]
    takes: ClassVar[tuple[str, ...]]
    unit: ClassVar[str]
    position: ClassVar[tuple[str, ...]]
    figure_names: ClassVar[tuple[str, ...]]
    sampler_kind: ClassVar[type] = object
    also_from: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        network: nn.Module,
        metrics: Metric | MetricCollection,
        facts: Mapping[str, Any],
        optimization: Optimization | None = None,
        noise: Callable[[nn.Module], NoNoise] | None = None,
        recompute: int | None = None,
    ):
        super().__init__()
        if recompute is not None and recompute < 1:
            raise UserError(f"model.recompute={recompute}: at least one step, or null for none")
        self.recompute = recompute
        self.network = network
        self.metrics = metrics
        self.facts = dict(facts)
        self.optimization = optimization
        self.noise = NoNoise() if noise is None else noise(network)
        self.config: dict[str, Any] = {}
        self.fingerprint: str | None = None  # of the data that it is trained on
        self.rows = 0  # sequences that a process has side by side in training
        self.figures: dict[str, float] = {}  # of the last validation, over all processes
        self.progress: Callable[[int], float] | None = None  # of the schedule, where its end may be moved
        self.stages: Callable[[], dict[str, Any]] | None = None  # what checkpoints are to say of them
        self.new_entries: Callable[[], list[Tensor]] | None = None  # of characters that it begins with
        self._process_state: dict[str, Any] | None = None
        self._units = 0
        # Entries of other characters than those that learn: a weight, and a mask of its shape.
        self._staying: list[tuple[nn.Parameter, Tensor]] = []

    def metadata(self) -> dict[str, Any]:
        """Plain containers from which `trained.checkpoint` makes this network again."""
        facts = {name: fact.to_plain() for name, fact in self.facts.items()}
        known = {"task": self.task_name, "config": stored.without_places(self.config), "facts": facts}
        if self.fingerprint:
            known["data"] = self.fingerprint
        return known | ({"stages": self.stages()} if self.stages else {})

    @abstractmethod
    def trained(self) -> Trained:
        """The network as it is now with what it knows, as a checkpoint of it would be loaded to sample."""

    def weights(self) -> int:
        """How many numbers the network learns."""
        return sum(w.numel() for w in self.network.parameters())

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.global_step % _STEPS_BETWEEN_TRIMS == 0:
            give_back_free_memory()

    # --- what learns ------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Before anything holds the weights: with `optimizer.only_characters` most of them stay."""
        only = self.optimization.only_characters if self.optimization else None
        if stage != "fit" or only is None:
            return
        facts = [self.facts[name] for name in CHARACTERS if name in self.takes]
        if not facts:
            raise UserError(f"optimizer.only_characters={only}: model={self.task_name} has no characters")
        self._staying = entries_but(self.network, facts[0], only)
        learned = {id(weight) for weight, _ in self._staying}
        for weight in self.parameters():
            weight.requires_grad_(id(weight) in learned)

    # --- validation -------------------------------------------------------------------------------

    def on_validation_epoch_end(self) -> None:
        figures = self.metrics.compute()
        self.figures = {name: float(figure) for name, figure in figures.items()}
        self.log_dict({f"val/{name}": figure.float() for name, figure in figures.items()}, prog_bar=True)
        self.metrics.reset()
        give_back_free_memory()  # validation's batches are of other sizes

    # --- loss -------------------------------------------------------------------------------------

    def training_loss(self, nats: Tensor, sequences: int, points: int) -> Tensor:
        """The loss to go back from: `nats` summed over the batch, plus the weights' share of nats.

        Adaptive noise adds KL / (training sequences) for each sequence of the batch.
        """
        assert self.optimization is not None
        self._units += sequences if self.optimization.unit == "sequence" else points
        description = self.noise.description_length(self.network)
        if description is None:
            return nats
        share = description * (sequences / self.trainer.datamodule.training_sequences)  # type: ignore[attr-defined]
        self.log("train/description_nats", description.detach())
        return nats + share

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        grads = [w.grad for w in self.parameters() if w.grad is not None]
        share: float | Tensor = 1 / max(1, self._units)
        if self.trainer.world_size > 1:
            # The gradients are the processes' average: the units must be too, and the same everywhere.
            # A number read on the host would make it wait for the GPU.
            own = torch.full((), float(self._units), device=self.device)
            share = self.trainer.strategy.reduce(own, reduce_op="mean").clamp_min(1).reciprocal()
        torch._foreach_mul_(grads, share)
        self._units = 0
        for weight, staying in self._staying:
            if weight.grad is not None:
                weight.grad.masked_fill_(staying, 0)

    def configure_gradient_clipping(self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None):
        # Clipped here, not by the trainer: its mixed-precision plugin refuses fused optimisers, which
        # would only be in the way of float16 loss scaling, and that is refused in `on_fit_start`.
        assert self.optimization is not None
        if self.optimization.clip_norm is not None:
            norm = nn.utils.clip_grad_norm_(self.parameters(), self.optimization.clip_norm)
        elif self.is_recorded():  # a pass over all weights, for the record alone
            norm = nn.utils.get_total_norm([w.grad for w in self.parameters() if w.grad is not None])
        else:
            return
        self.log("train/gradient_norm", norm)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        # The step of an adaptive rule does not grow with the gradient, so it is the step that is made longer.
        assert self.optimization is not None
        new = self.new_entries() if self.new_entries and self.optimization.new_characters != 1 else []
        before = [entry.clone() for entry in new]
        stayed = [weight.detach()[staying] for weight, staying in self._staying]  # no rule's decay moves them
        super().optimizer_step(*args, **kwargs)
        with torch.no_grad():
            for (weight, staying), old in zip(self._staying, stayed, strict=True):
                weight[staying] = old
        for entry, old in zip(new, before, strict=True):
            entry.copy_(old.lerp(entry, self.optimization.new_characters))

    def is_recorded(self) -> bool:
        """Whether the optimiser step being taken is one that the loggers record."""
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        return every > 0 and (self.global_step + 1) % every == 0

    def configure_optimizers(self):
        assert self.optimization is not None
        optimizer = self.optimization.optimizer(self.parameters())
        scheduler = self.optimization.scheduler(optimizer, self.progress or self._steps_in_run())
        return {"optimizer": optimizer} | ({"lr_scheduler": scheduler} if scheduler else {})

    def _steps_in_run(self) -> float:
        """Optimiser steps from start to end; infinite when no end is set.

        Not `trainer.estimated_stepping_batches`: that sets the trainer's loader up before a checkpoint is
        restored, and the loader would then never get its saved position.
        """
        trainer, limits = self.trainer, []
        if trainer.max_steps is not None and trainer.max_steps >= 0:
            limits.append(trainer.max_steps)
        if trainer.max_epochs is not None and trainer.max_epochs >= 0:
            batches = len(trainer.datamodule.train_dataloader())  # type: ignore[attr-defined]
            limits.append(trainer.max_epochs * math.ceil(batches / trainer.accumulate_grad_batches))
        return min(limits, default=math.inf)

    def on_fit_start(self) -> None:
        if self.trainer.precision == "16-mixed":
            raise UserError(
                "trainer.precision=16-mixed scales the loss, and the per-step gradient clips would then "
                "clip the scaled gradients; use bf16-mixed"
            )

    # --- resuming ---------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[METADATA] = self.metadata()
        checkpoint["process_states"] = self._gather(self.process_state())

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.refuse_unfit(checkpoint, self.trainer)
        self._process_state = checkpoint["process_states"][self.global_rank]

    def refuse_unfit(self, checkpoint: dict[str, Any], trainer: Any) -> None:
        """Raises UserError where a checkpoint (see `trained.checkpoint.read_checkpoint`) would put something
        into this run that is not of the run's own form.

        The state of callbacks that the run lacks is left out.
        """
        assert self.optimization is not None
        refuse_other_tensors(checkpoint.get("state_dict"), self.state_dict(), "weights")
        resuming.refuse_other_averages(checkpoint, self.state_dict(), trainer.callbacks)
        resuming.refuse_other_processes(
            checkpoint.get("process_states"), self.process_state(), self.carried()
        )
        resuming.refuse_other_optimizer(checkpoint, list(self.parameters()), self.optimization.optimizer)
        resuming.refuse_other_progress(checkpoint, trainer, self.position)
        resuming.keep_own_state(checkpoint, trainer.callbacks)
        states = checkpoint["process_states"]
        if len(states) != trainer.world_size:
            raise UserError(
                f"the checkpoint was saved by {len(states)} process(es), this run has "
                f"{trainer.world_size}: resume with the same trainer.devices and num_nodes"
            )

    def carried(self) -> list[Tensor]:
        """What a process carries from batch to batch besides its random numbers, in the form of a first
        batch's."""
        return []

    def on_train_start(self) -> None:
        epochs: Any = self.trainer.fit_loop.epoch_progress.current
        if epochs.ready == epochs.processed:
            # Resumed at the end of an epoch: the next one begins, and Lightning would not count it.
            self.trainer.fit_loop.reset_restart_stage()
        batches = self.trainer.num_training_batches
        self.trainer.train_dataloader.end_epochs_after(batches)  # type: ignore[union-attr]
        # Set last, after everything that may take random numbers while the trainer is put together.
        if self._process_state is not None:
            self.restore_process_state(self._process_state)
            self._process_state = None
        elif self.global_rank > 0:
            torch.manual_seed(torch.initial_seed() + self.global_rank)  # weight noise of its own
        assert self.optimization is not None
        log.info(
            f"rank {self.global_rank} of {self.trainer.world_size} on {socket.gethostname()}: {self.device}, "
            f"{torch.get_num_threads()} thread(s), optimizer.lr={self.optimization.lr}, "
            f"{batches} batches an epoch"
        )

    def process_state(self) -> dict[str, Any]:
        """What every process has of its own, as plain containers of tensors: random numbers, and what
        subclasses carry from batch to batch."""
        state: dict[str, Any] = {"random": torch.get_rng_state()}
        if self.device.type == "cuda":
            state["random_cuda"] = torch.cuda.get_rng_state(self.device)
        return state

    def restore_process_state(self, state: dict[str, Any]) -> None:
        """The inverse of `process_state`, in the process of the same rank."""
        torch.set_rng_state(state["random"].cpu())
        if "random_cuda" in state and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["random_cuda"].cpu(), self.device)

    def _gather(self, state: dict[str, Any]) -> list[dict[str, Any]]:
        """`state` of every process, in the order of their ranks."""
        if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
            return [state]
        states: list[Any] = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(states, state)
        return states
