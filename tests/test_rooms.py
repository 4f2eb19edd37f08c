"""Which room imports which: what the code does, held to the table in docs/architecture.md."""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
PACKAGE = "graves_lm"
ABOVE = (
    "lightning",
    "pytorch_lightning",
    "torchmetrics",
    "hydra",
    "wandb",
)  # what learning/ may, none below it
NAME = re.compile(rf"{PACKAGE}(\.[a-z_][a-z_0-9]*)+(\.[A-Za-z_]\w*)?")


class Import(NamedTuple):
    """A module imports another, of this package or of others, in a statement or by its name in a text."""

    module: str
    imported: str
    by_name: bool


class Room(NamedTuple):
    """A line of the table. `others` are packages; those of one of its files or folders stand in `only`."""

    rank: int
    rooms: frozenset[str]
    by_name: frozenset[str]
    others: frozenset[str]
    only: dict[str, frozenset[str]]


# --- the table ------------------------------------------------------------------------------------


@cache
def rooms() -> dict[str, Room]:
    """The rooms of docs/architecture.md, the highest first."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.partition("## Rooms\n")[2].partition("\n## ")[0]
    found = {}
    for rank, line in enumerate(line for line in table.splitlines() if line.startswith("| `")):
        names, _, package, others = (cell.strip() for cell in line.strip("|").split("|"))
        imported, _, by_name = package.partition("by name")
        everywhere, *rest = others.split(";")
        only = dict(re.fullmatch(r"in `([\w./]+)` (.*)", part.strip()).groups() for part in rest)
        for name in quoted(names):
            found[name.removesuffix("/").removesuffix(".py")] = Room(
                rank,
                frozenset(quoted(imported)),
                frozenset(quoted(by_name)),
                words(everywhere),
                {place: words(packages) for place, packages in only.items()},
            )
    return found


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([\w./]+)`", cell)


def words(cell: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", cell))


# --- the code -------------------------------------------------------------------------------------


@cache
def modules() -> dict[str, Path]:
    """The package's modules."""
    found = {}
    for path in sorted((SOURCE / PACKAGE).rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def module_of(name: str) -> str:
    """The module that a full name of this package is, or is in."""
    while name not in modules():
        name = name.rpartition(".")[0]
    return name


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def is_name(value: object) -> bool:
    """Whether a constant is the full name of a module of this package, or of what is in one."""
    return isinstance(value, str) and NAME.fullmatch(value) is not None and module_of(value) != PACKAGE


def imports_of(module: str, tree: ast.AST) -> Iterator[Import]:
    """Every import of a module, wherever in it, and every text that is the name of a module or class here."""
    texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(module, alias.name, False) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            yield from (Import(module, f"{node.module}.{alias.name}", False) for alias in node.names)
        elif isinstance(node, ast.Constant) and id(node) not in texts and is_name(node.value):
            yield Import(module, node.value, True)


@cache
def all_imports() -> tuple[Import, ...]:
    return tuple(
        i for m, p in modules().items() for i in imports_of(m, ast.parse(p.read_text(encoding="utf-8")))
    )


def inside() -> list[Import]:
    """The imports of this package's own modules."""
    return [i._replace(imported=module_of(i.imported)) for i in all_imports() if is_own(i.imported)]


def is_own(name: str) -> bool:
    return name.partition(".")[0] == PACKAGE


def outside() -> list[tuple[str, str]]:
    """Module and other package."""
    pairs = {(i.module, i.imported.partition(".")[0]) for i in all_imports() if not is_own(i.imported)}
    return sorted((m, package) for m, package in pairs if package not in sys.stdlib_module_names)


def may(module: str, package: str) -> bool:
    """Whether the table lets a module import another package."""
    room = rooms()[room_of(module)]
    path = modules()[module].relative_to(SOURCE / PACKAGE)
    places = {path.name, *(f"{part}/" for part in path.parts[1:-1])}
    return package in room.others or any(package in room.only.get(place, ()) for place in places)


# --- the rules ------------------------------------------------------------------------------------


def test_every_room_stands_in_the_table():
    assert {room_of(module) for module in modules()} == set(rooms())


def test_the_table_points_down():
    for name, room in rooms().items():
        for other in room.rooms:
            assert rooms()[other].rank > room.rank, f"{name} may import {other}, which is not below it"


def test_imports_are_those_of_the_table():
    wrong = {
        f"{i.module} imports {i.imported}"
        for i in inside()
        if not i.by_name
        and room_of(i.imported) not in (room_of(i.module), *rooms()[room_of(i.module)].rooms)
        and not (i.imported == f"{PACKAGE}.runtime.errors" and room_of(i.module) != "nn")
    }
    assert not wrong, "\n".join(sorted(wrong))


def test_classes_are_named_as_the_table_says():
    wrong = {
        f"{i.module} names {i.imported}"
        for i in inside()
        if i.by_name
        and room_of(i.imported)
        not in (
            room_of(i.module),
            *rooms()[room_of(i.module)].rooms,
            *rooms()[room_of(i.module)].by_name,
        )
    }
    assert not wrong, "\n".join(sorted(wrong))


def test_other_packages_are_those_of_the_table():
    wrong = [f"{module} imports {package}" for module, package in outside() if not may(module, package)]
    assert not wrong, "\n".join(wrong)


def test_what_is_below_learning_knows_no_trainer_and_no_tracker():
    lowest = rooms()["learning"].rank
    wrong = [
        f"{module} imports {package}"
        for module, package in outside()
        if package in ABOVE and rooms()[room_of(module)].rank > lowest
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("package", ["lightning", "torchmetrics", "wandb", "wandb_workspaces"])
def test_it_is_imported_in_learning_and_nowhere_else(package):
    assert {room_of(module) for module, found in outside() if found == package} == {"learning"}


def test_the_mathematics_imports_torch_alone():
    found = {(module, package) for module, package in outside() if room_of(module) == "nn"}
    assert {package for _, package in found} == {"torch", "triton"}
    assert all(module.startswith(f"{PACKAGE}.nn.cuda") for module, package in found if package == "triton")
    assert {room_of(i.imported) for i in inside() if room_of(i.module) == "nn"} == {"nn", "distributions"}


def test_no_modules_import_each_other_in_a_circle():
    above: dict[str, set[str]] = {module: set() for module in modules()}
    for i in inside():
        if not i.by_name and i.imported != i.module:
            above[i.module].add(i.imported)
    while free := [module for module, imported in above.items() if not imported & above.keys()]:
        for module in free:
            del above[module]
    while leaves := [m for m in above if not any(m in imported for imported in above.values())]:
        for module in leaves:
            del above[module]
    circle = {module: sorted(imported & above.keys()) for module, imported in above.items()}
    assert not circle


def test_the_plugin_that_hydra_finds_calls_sweeps():
    found = {
        i.imported
        for path in (SOURCE / "hydra_plugins").rglob("*.py")
        for i in imports_of("plugin", ast.parse(path.read_text(encoding="utf-8")))
        if is_own(i.imported)
    }
    assert {room_of(module_of(name)) for name in found} <= {"sweeps", "runtime"}


# --- the reading ----------------------------------------------------------------------------------


def test_imports_are_found_wherever_they_stand():
    code = '''
"""graves_lm.writing.wrap"""
import torch.nn as tn
from graves_lm.nn import lstm
def f():
    from graves_lm.runtime.errors import UserError
    if True:
        import graves_lm.data.pen
    return get("graves_lm.learning.training.run"), "graves_lm.cache", "graves_lm.data is a folder"
'''
    found = [i[1:] for i in imports_of("here", ast.parse(code))]
    assert sorted(found) == [
        ("graves_lm.data.pen", False),
        ("graves_lm.learning.training.run", True),
        ("graves_lm.nn.lstm", False),
        ("graves_lm.runtime.errors.UserError", False),
        ("torch.nn", False),
    ]
    assert [module_of(name) for name, _ in sorted(found)[:4]] == [
        "graves_lm.data.pen",
        "graves_lm.learning.training",
        "graves_lm.nn.lstm",
        "graves_lm.runtime.errors",
    ]
