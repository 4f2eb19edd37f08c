"""torch operators of named arguments: one NamedTuple goes in, another comes out.

torch's own operators take and give flat lists of tensors and numbers. `Operator` is the one place where the
fields of a NamedTuple become such a list, in their order, and a list becomes a NamedTuple again; the schema
follows from the fields' annotations.
"""

import inspect
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar, get_type_hints

import torch
from torch import Tensor
from torch.nn import Parameter

Given = TypeVar("Given", bound=tuple)
Made = TypeVar("Made", bound=tuple)

ANY_DEVICE = "any"
"""The key in `Operator.forms` of the form that serves the devices without one of their own."""


class Operator(Generic[Given, Made]):
    """`graves_lm::NAME`, a function from a `takes` to a `gives`.

    It is registered with torch for each kind of device, `forms` says by what; torch picks the form by the
    device of the tensors. Traced code (`torch.compile`) sees one operator.

    Args:
        name: its name in `torch.ops.graves_lm`.
        takes: a NamedTuple class of `Tensor`, `Tensor | None` and `float`.
        gives: a NamedTuple class of `Tensor`.
        form: what it does on any device.
    """

    def __init__(
        self, name: str, takes: type[Given], gives: type[Made], form: Callable[[Given], Made]
    ) -> None:
        self._takes: Callable[..., Given] = takes
        self._gives: Callable[..., Made] = gives
        self.forms: dict[str, Callable[[Given], Made]] = {ANY_DEVICE: form}
        flat = self._flat(ANY_DEVICE)
        fields = get_type_hints(takes)
        flat.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=fields[n])
                for n in fields
            ],
            return_annotation=tuple[tuple(get_type_hints(gives).values())],  # type: ignore[misc]
        )
        self._operator = torch.library.custom_op(f"graves_lm::{name}", flat, mutates_args=())

    def __call__(self, given: Given) -> Made:
        form = self._untraced_form(given)
        return self._gives(*(self._operator(*given) if form is None else form(given)))

    def on(self, device_type: str, form: Callable[[Given], Made]) -> None:
        """Register what it does on a kind of device ("cpu", "cuda")."""
        self.forms[device_type] = form
        self._operator.register_kernel(device_type, self._flat(device_type))

    def fake(self, form: Callable[[Given], Made]) -> None:
        """Register what makes tensors of the results' shapes without their numbers, for tracing."""
        self._operator.register_fake(lambda *values: tuple(form(self._takes(*values))))

    def differentiable(
        self,
        keep: Callable[[Given, Made], NamedTuple],
        backward: Callable[[Any, Made], Given],
    ) -> None:
        """Register the backward pass. Numbers that are kept are attributes of the graph's node,
        by their names.

        Args:
            keep: what the backward pass needs, a NamedTuple of tensors, None and numbers.
            backward: of what was kept and the gradients of the results (None for those that the loss does not
                depend on), the gradients of the arguments; None for what has none.
        """

        def setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
            kept = keep(self._takes(*inputs), self._gives(*output))
            ctx.set_materialize_grads(False)
            ctx.kind = type(kept)
            for name, value in kept._asdict().items():
                if not isinstance(value, Tensor):
                    setattr(ctx, name, value)
            ctx.save_for_backward(*(v if isinstance(v, Tensor) else None for v in kept))

        def flat_backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
            fields = zip(ctx.kind._fields, ctx.saved_tensors, strict=True)
            kept = ctx.kind(*(getattr(ctx, name) if tensor is None else tensor for name, tensor in fields))
            return tuple(backward(kept, self._gives(*gradients)))

        self._operator.register_autograd(flat_backward, setup_context=setup)

    def _untraced_form(self, given: Given) -> Callable[[Given], Made] | None:
        """The form that torch would pick, where nothing is recorded: in inference mode, not traced.

        Through torch's dispatcher the first call would load its compiler, which takes a second.
        """
        if torch.compiler.is_compiling() or not torch.is_inference_mode_enabled():
            return None
        tensors = [value for value in given if isinstance(value, Tensor)]
        if not all(type(tensor) in (Tensor, Parameter) for tensor in tensors):  # those of a tracer
            return None
        return self.forms.get(tensors[0].device.type, self.forms[ANY_DEVICE])

    def _flat(self, device_type: str) -> Callable[..., tuple[Tensor, ...]]:
        """`forms[device_type]` as torch calls it."""

        def flat(*values: Any) -> tuple[Tensor, ...]:
            return tuple(self.forms[device_type](self._takes(*values)))

        return flat
