"""What a compressed file says of how it was made: all that a decoder needs besides the model.

It is a file of a stranger: plain data of declared kinds within bounds, and no name in it is imported.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from graves_lm.evaluation.dynamic import DynamicAdam, DynamicRMS, DynamicSGD
from graves_lm.runtime.errors import UserError, visible

RULES: dict[str, type[Any]] = {"sgd": DynamicSGD, "rms": DynamicRMS, "adam": DynamicAdam}
"""By the names that files know them by."""

MOST_STREAMS = 1024
MOST_UNITS = 2048
"""Layers times hidden units of a network from nothing."""
MOST_AT_ONCE = 1 << 14
"""Symbols of a segment, of all streams, whose gradients are made together: 1.5 GB with as many units."""
MOST_DRAWN = 10**6
"""Symbols that a rule has drawn before the first is read."""


class Fresh(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename={"layers": "l", "hidden_size": "h"},
):
    """A network from nothing, of bytes."""

    layers: Annotated[int, Meta(ge=1, le=8)] = 2
    hidden_size: Annotated[int, Meta(ge=1, le=MOST_UNITS)] = 128

    def __post_init__(self) -> None:
        if self.layers * self.hidden_size > MOST_UNITS:
            raise UserError(f"layers × hidden_size are more than {MOST_UNITS:,}; take less")


class Rule(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename={"name": "n", "settings": "s", "segment": "t"},
):
    """How the network goes on learning. `settings` are those that are not the defaults."""

    name: str
    settings: dict[str, int | float | None] = {}
    segment: Annotated[int, Meta(ge=1, le=10_000)] = 20

    def made(self) -> Any:
        """The rule. Raises UserError for one that there is not, or settings that it refuses."""
        if self.name not in RULES:
            raise UserError(
                f"it was made with a rule of learning that this version does not know: {visible(self.name)}"
            )
        try:
            rule = RULES[self.name](**self.settings)
        except TypeError as error:
            raise UserError(f"it was made with settings that this version does not know: {error}") from error
        if rule.needs_text and rule.segments * self.segment > MOST_DRAWN:
            raise UserError(
                f"dynamic.rule.segments × dynamic.segment are more than {MOST_DRAWN:,}; take less"
            )
        return rule


class Method(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename={
        "length": "l",
        "content_crc": "c",
        "model": "m",
        "portable": "p",
        "kernel": "k",
        "streams": "s",
        "counts": "o",
        "rule": "r",
        "fresh": "f",
    },
):
    """How a file was made. The defaults are part of the format: a file leaves them out.

    length, content_crc: bytes of the content and their CRC-32.
    model: checksum of the network and its symbols; none where `fresh` is given.
    portable: whether the network was read in whole numbers, which are the same on every machine.
    kernel: where it was not, whether by the compiled kernel.
    streams: how many parts of the content were read side by side.
    counts: the highest order of the counts that are mixed in; 0: none.
    rule: how the network went on learning; None: not at all.
    fresh: the network that began with nothing.
    """

    length: Annotated[int, Meta(ge=0, le=2**62)]
    content_crc: Annotated[int, Meta(ge=0, lt=2**32)]
    model: Annotated[bytes, Meta(max_length=6)] = b""
    portable: bool = False
    kernel: bool = True
    streams: Annotated[int, Meta(ge=1, le=MOST_STREAMS)] = 1
    counts: Annotated[int, Meta(ge=0, le=8)] = 0
    rule: Rule | None = None
    fresh: Fresh | None = None

    def __post_init__(self) -> None:
        if self.rule is not None and self.streams * self.rule.segment > MOST_AT_ONCE:
            raise UserError(f"streams × dynamic.segment are more than {MOST_AT_ONCE:,}; take less")
        if self.portable and (self.rule is not None or self.fresh is not None):
            raise UserError("no network learns in whole numbers")

    def packed(self) -> bytes:
        """For the header of a file."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def unpacked(cls, data: bytes) -> "Method":
        """The inverse. Raises UserError for anything else."""
        try:
            method = msgspec.msgpack.decode(data, type=cls)
        except msgspec.MsgspecError as error:
            raise UserError(f"made by another version, or damaged ({error})") from error
        if method.rule is not None:
            method.rule.made()
        return method
