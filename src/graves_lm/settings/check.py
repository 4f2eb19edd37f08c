"""Settings held to their declarations.

A declaration is the annotation of a parameter: `bias: Bias = 0.0`. msgspec does the comparing; what a person
is told is said here, from the same annotation.
"""

import functools
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from numbers import Integral, Real
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from graves_lm.runtime.errors import UserError, near_misses

C = TypeVar("C", bound=Callable[..., Any])
_PLAIN = (bool, int, float, str, Path, type(None))
_NUMBERS = {int: "whole number", float: "number"}
FAR = 10**6  # a bound so far off that it is not worth a word


def declared(group: str = "") -> Callable[[C], C]:
    """Decorator of a class or a function: its plain settings are checked before it, or the constructor, runs.

    It then raises UserError for a value that its parameter's annotation does not allow, before it does
    anything with it. `group` is where the settings stand in the configuration: messages name them so.
    """

    def decorate(taker: C) -> C:
        if not isinstance(taker, type):
            return _checked(taker, taker, group)
        taker.__init__ = _checked(taker, taker.__init__, group)  # type: ignore[misc]
        return taker

    return decorate


def _checked(taker: Any, function: Any, group: str) -> Any:
    own = inspect.signature(function)
    rest = next((name for name, p in own.parameters.items() if p.kind == p.VAR_KEYWORD), "")

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        try:
            given = own.bind(*args, **kwargs).arguments
        except TypeError:
            return function(*args, **kwargs)  # which says what is wrong with the call
        given |= given.pop(rest, {})
        kinds = settings_of(taker)
        for name, value in given.items():
            if name in kinds:
                check_value(value, kinds[name], f"{group}.{name}" if group else name)
        return function(*args, **kwargs)

    return checked


@cache
def settings_of(cls: Any) -> dict[str, Any]:
    """The declared types of a class's or function's plain settings by name, those that go on to its bases
    by ** included."""
    return {name: kind for name, kind in _hints(cls).items() if _is_plain(kind)}


@cache
def parts_of(cls: Any) -> frozenset[str]:
    """The names of its settings that are objects, with settings of their own."""
    return frozenset(name for name, kind in _hints(cls).items() if kind is not Any and not _is_plain(kind))


def _hints(cls: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for taken in _constructors(cls):
        try:
            hints = get_type_hints(taken, include_extras=True)
        except NameError:  # other libraries name types that they import for type checkers alone
            if taken.__module__.startswith("graves_lm."):
                raise
            hints = {}
        for name, parameter in inspect.signature(taken).parameters.items():
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY) and name in hints:
                found.setdefault(name, hints[name])
    return found


@cache
def parameters_of(cls: Any) -> frozenset[str] | None:
    """The names of all parameters, plain or not; None where any name is taken."""
    names: set[str] = set()
    for taken in _constructors(cls):
        kinds = inspect.signature(taken).parameters
        names |= {name for name, p in kinds.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        if not any(p.kind == p.VAR_KEYWORD for p in kinds.values()):
            return frozenset(names - {"self"})
    return None


def _constructors(cls: Any) -> list[Callable[..., Any]]:
    """What takes a class's settings: its constructor, and while these take any names, those of its bases."""
    if not isinstance(cls, type):
        return [cls]
    return [base.__dict__["__init__"] for base in cls.__mro__[:-1] if "__init__" in base.__dict__]


def _is_plain(kind: Any) -> bool:
    origin = get_origin(kind)
    if origin is Annotated:
        return _is_plain(get_args(kind)[0])
    if origin in (Union, types.UnionType):
        return all(_is_plain(part) for part in get_args(kind))
    if origin in (list, tuple, dict, Sequence):
        return all(part is Ellipsis or _is_plain(part) for part in get_args(kind))
    return kind in _PLAIN or origin is Literal


def check_value(value: Any, kind: Any, where: str) -> None:
    """Raises UserError where `value` is not of the declared `kind`; `where` names it."""
    try:
        msgspec.convert(_as_builtin(value), _as_msgspec(kind))
    except msgspec.ValidationError:
        near = get_close_matches(value, _options(kind), n=1) if isinstance(value, str) else []
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UserError(f"{where}={_shown(value)}: {describe(kind)} is needed{hint}") from None


def _options(kind: Any) -> list[str]:
    """The words that a kind names one by one."""
    if get_origin(kind) is Literal:
        return [option for option in get_args(kind) if isinstance(option, str)]
    return [word for part in get_args(kind) if get_origin(part) is Literal for word in _options(part)]


def _as_builtin(value: Any) -> Any:
    """Numbers of numpy, paths and other lists as the built-in types that a declaration names."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_as_builtin(part) for part in value]
    return value


@cache
def _as_msgspec(kind: Any) -> Any:
    """The kind in what msgspec knows: a path is a text."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return Union[tuple(_as_msgspec(p) for p in parts if p is not Path)]  # noqa: UP007
    if origin is Sequence:
        return list[_as_msgspec(parts[0])]  # type: ignore[misc]
    return kind


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return "null" if value is None else text if len(text) <= 60 else text[:57] + "…"


def describe(kind: Any) -> str:
    """What a kind allows, for people: "a whole number from 1 to 100, or null"."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        said = [describe(p) for p in parts if p not in (type(None), Path)]
        if type(None) in parts:
            said.append("null")
        return " or ".join(said)
    if origin is Literal:
        return (f"one of {', '.join(map(str, parts))}") if len(parts) > 1 else str(parts[0])
    if origin in (list, Sequence):
        return f"a list, each {describe(parts[0])}"
    if origin is tuple:
        return f"a list of {len(parts)}, each {describe(parts[0])}"
    if origin is Annotated:
        return _described(parts[0], next((m for m in parts[1:] if isinstance(m, Meta)), Meta()))
    return _described(kind, Meta())


def _described(base: Any, meta: Meta) -> str:
    if meta.description:
        return meta.description
    if base is bool:
        return "true or false"
    if base is str:
        return "a text" + (" that is not empty" if meta.min_length else "")
    if base not in _NUMBERS:
        return f"a list of {meta.min_length} to {meta.max_length}, each {describe(get_args(base)[0])}"
    low, high = meta.gt if meta.ge is None else meta.ge, meta.lt if meta.le is None else meta.le
    if low is None:
        return f"a {_NUMBERS[base]}"
    if high is None or high >= FAR:
        said = f" above {low:g}" if meta.ge is None else f", at least {low:g},"
        return f"a {_NUMBERS[base]}{said}"
    if meta.ge is None or meta.le is None:
        return f"a {_NUMBERS[base]} {'above' if meta.ge is None else 'of at least'} {low:g} and " + (
            f"below {high:g}" if meta.le is None else f"at most {high:g}"
        )
    return f"a {_NUMBERS[base]} from {low:g} to {high:g}"


def check_settings(cls: Any, settings: Mapping[str, Any], where: str) -> None:
    """Raises UserError for a name that `cls` does not take, and for a value that is not as declared."""
    types_of, parts, known = settings_of(cls), parts_of(cls), parameters_of(cls)
    for name, value in settings.items():
        if known is not None and name not in known:
            near = near_misses(str(name), known)
            raise UserError(f"{where}.{name}: no such setting of {cls.__name__}; {near}")
        if name in types_of:
            check_value(value, types_of[name], f"{where}.{name}")
        elif name in parts and value is not None and not isinstance(value, dict | list):
            raise UserError(f"{where}.{name}={_shown(value)}: a part with settings of its own is needed")
