"""What a checkpoint would put back into a run, compared with what the run itself would save.

It comes before anything is put back: a wrong shape in an optimiser's state ends a process, and a wrong name
changes its code.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from graves_lm.learning.private import counts_of_steps
from graves_lm.runtime.errors import UserError, first_line

_MOST = 10**15  # steps and batches
_AVERAGING = {"n_averaged": torch.zeros((), dtype=torch.int64)}


def keep_own_state(checkpoint: dict[str, Any], callbacks: Iterable[Callback]) -> None:
    """Leave out the state of callbacks that this run does not have, and of those that name files.

    Raises UserError for state that is not of a callback's own form.
    """
    found = checkpoint.get("callbacks")
    if not isinstance(found, dict):
        raise UserError("the checkpoint has no state of callbacks: it was not saved by a run")
    kept = {}
    for callback in callbacks:
        own = callback.state_dict()
        if callback.state_key not in found or any("path" in key or "dir" in key for key in own):
            continue
        refuse_other_form(found[callback.state_key], own, f"state of {type(callback).__name__}")
        kept[callback.state_key] = found[callback.state_key]
    checkpoint["callbacks"] = kept


def refuse_other_progress(checkpoint: Mapping[str, Any], trainer: Trainer, position: Iterable[str]) -> None:
    """Raises UserError where the counts of steps and epochs are not those that this trainer keeps, and those
    of `position` in the data."""
    for key in ("epoch", "global_step"):
        refuse_other_form(checkpoint.get(key), 0, key)
    loops: Any = checkpoint.get("loops")
    if not isinstance(loops, dict):
        raise UserError("the checkpoint has no loops: it was not saved by a run")
    own = {
        "fit_loop": trainer.fit_loop.state_dict(),
        "validate_loop": trainer.validate_loop.state_dict(),
        "test_loop": trainer.test_loop.state_dict(),
        "predict_loop": trainer.predict_loop.state_dict(),
    }
    fit: Any = loops.get("fit_loop")
    loader = fit["state_dict"].get("combined_loader") if _has_dict(fit, "state_dict") else None
    if loader:
        own["fit_loop"]["state_dict"] = {"combined_loader": [dict.fromkeys(position, 0)]}
    elif loader is not None:
        own["fit_loop"]["state_dict"] = {"combined_loader": []}
    refuse_other_form(loops, own, "progress")
    steps, stepped = counts_of_steps(fit)
    if not 0 <= stepped <= steps == checkpoint["global_step"]:
        raise UserError("the checkpoint's progress is damaged: its counts of steps differ")
    if loader and loader[0]["next_batch"] > loader[0]["batches"]:
        raise UserError("the checkpoint's progress is damaged: its next batch lies past the epoch's end")


def refuse_other_optimizer(
    checkpoint: Mapping[str, Any], parameters: list[nn.Parameter], make: Callable[..., Optimizer]
) -> None:
    """Raises UserError where the optimiser's state is not of the names, shapes and types that `make`'s has.

    They are learned from one step of a parameter of one number.
    """
    states: Any = checkpoint.get("optimizer_states")
    if not isinstance(states, list) or len(states) != 1 or not _has_dict(states[0], "state"):
        raise UserError("the checkpoint has no state of its optimiser: it was not saved by a run")
    one = nn.Parameter(torch.zeros(1))
    probe = make([one])
    one.grad = torch.zeros(1)
    probe.step()
    form = probe.state_dict()
    group = {**form["param_groups"][0], "params": list(range(len(parameters)))}
    found: Any = states[0]["state"]
    for index in found:
        if type(index) is not int or not 0 <= index < len(parameters):
            raise UserError(
                f"the checkpoint's optimiser has a state of weight {str(index)[:40]}, which is none"
            )
    own = {
        index: {
            name: torch.empty((), dtype=part.dtype)
            if part.ndim == 0
            else torch.empty_like(parameters[index], device="meta")
            for name, part in form["state"].get(0, {}).items()
            if isinstance(part, Tensor)
        }
        for index in found
    }
    schedulers = checkpoint.get("lr_schedulers")
    if schedulers:
        group["initial_lr"] = group["lr"]
    refuse_other_form(states[0], {"state": own, "param_groups": [group]}, "optimiser")
    refuse_other_form(schedulers, [_schedule()] if schedulers else [], "schedule")
    for state in found.values():
        if "step" in state and not float(state["step"]) >= 0:
            raise UserError("the checkpoint's optimiser is damaged: it counts steps below 0")
    theirs = states[0]["param_groups"][0]
    if schedulers:  # which moves the rate itself
        group["lr"] = theirs["lr"]
        if schedulers[0]["base_lrs"] != [group["initial_lr"]] or schedulers[0]["lr_lambdas"] != [None]:
            raise UserError(f"the checkpoint's schedule is not of optimizer.lr={group['initial_lr']:g}")
    for name, value in group.items():
        if theirs[name] != value:
            raise UserError(
                f"the checkpoint's optimiser has {name}={theirs[name]}, this run's {value}: resume with the "
                "same optimizer settings, or begin a new run with init="
            )
    if not 0 <= theirs["lr"] <= 1e3:
        raise UserError(f"the checkpoint's optimiser is damaged: lr={theirs['lr']}")


def _schedule() -> dict[str, Any]:
    """The state of a schedule of the learning rate, as `Optimization` makes it."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    return LambdaLR(optimizer, lambda step: 1.0).state_dict()


def refuse_other_processes(states: Any, own: Mapping[str, Any], streams: list[Tensor]) -> None:
    """Raises UserError where the processes' states are not random numbers and, of text, `streams`."""
    if not isinstance(states, list):
        raise UserError("the checkpoint has no state of its processes: it was not saved by a run")
    for state in states:
        if not isinstance(state, dict) or not set(state) <= {"random", "random_cuda", "streams"}:
            raise UserError("the checkpoint's state of a process has other parts than random numbers")
        refuse_other_form(state.get("random"), own["random"], "random numbers")
        try:
            torch.Generator().set_state(state["random"])
        except RuntimeError as error:
            raise UserError(f"the checkpoint's random numbers are damaged ({first_line(error)})") from error
        if "random_cuda" in state:
            refuse_other_form(
                state["random_cuda"], torch.empty(16, dtype=torch.uint8), "random numbers of CUDA"
            )
        if state.get("streams"):
            refuse_other_form(state["streams"], streams, "state of the text's streams")


def refuse_other_averages(
    checkpoint: Mapping[str, Any], own: Mapping[str, Tensor], callbacks: Iterable[Callback]
) -> None:
    """Raises UserError where averaged weights are not of the network that `own` are the weights of, and where
    the run has nothing that goes on averaging."""
    if "averaging_state" in checkpoint and not any(isinstance(c, WeightAveraging) for c in callbacks):
        raise UserError("the checkpoint has averaged weights: resume with callbacks=ema")
    for key, form in {"current_model_state": own, "averaging_state": _AVERAGING}.items():
        if key in checkpoint:
            refuse_other_form(checkpoint[key], dict(form), key)


def refuse_other_form(found: Any, own: Any, what: str) -> None:
    """Raises UserError where `found` is not of `own`'s form: names, lengths, shapes and types.

    Numbers are to be finite; whole ones from -1 up. Where `own` is None, any number will do.
    """
    if isinstance(own, dict):
        if not isinstance(found, dict) or set(found) != set(own):
            odd = sorted(map(str, set(found) ^ set(own)))[0][:60] if isinstance(found, dict) else "no parts"
            raise UserError(f"the checkpoint's {what} is not of this run's form: {odd}")
        for key, part in own.items():
            refuse_other_form(found[key], part, what)
    elif isinstance(own, list | tuple):
        if type(found) is not type(own) or len(found) != len(own):
            raise UserError(f"the checkpoint's {what} is not of this run's form: a list of another length")
        for one, part in zip(found, own, strict=True):
            refuse_other_form(one, part, what)
    elif isinstance(own, Tensor):
        if not isinstance(found, Tensor) or found.shape != own.shape or found.dtype != own.dtype:
            said = (
                f"{tuple(found.shape)} {found.dtype}" if isinstance(found, Tensor) else type(found).__name__
            )
            raise UserError(
                f"the checkpoint's {what} is not of this run's form: {said} where {tuple(own.shape)} "
                f"{own.dtype} belongs"
            )
        if found.dtype.is_floating_point and not bool(torch.isfinite(found).all()):
            raise UserError(f"the checkpoint's {what} is damaged: not finite everywhere")
    elif not _same_kind(found, own):
        raise UserError(f"the checkpoint's {what} is not of this run's form: {str(found)[:40]!r} in it")


def _same_kind(found: Any, own: Any) -> bool:
    if own is None:
        return found is None or _is_number(found)
    if isinstance(own, bool | str):
        return type(found) is type(own)
    if isinstance(own, int):
        return type(found) is int and -1 <= found <= _MOST
    return _is_number(found)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= _MOST


def _has_dict(node: Any, name: str) -> bool:
    return isinstance(node, dict) and isinstance(node.get(name), dict)
