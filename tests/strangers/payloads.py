"""Checkpoints that a stranger could send: a real one's content, changed, and files that are no checkpoint.

`CONTENT` changes what is in the file; `FILES` writes bytes of its own. None may do anything but be refused.
"""

import copy
import io
import json
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

Content = dict[str, Any]

SHELL = "touch {mark}"
"""What a payload that ran would leave behind: a file."""


def targets(mark: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Nodes that name something to call, each of which would leave the mark."""
    shell = SHELL.format(mark=mark)
    yield "a shell", {"_target_": "os.system", "command": shell}
    yield "our writer", {"_target_": "graves_lm.runtime.files.write", "path": str(mark), "content": "x"}
    yield "our worker", {"_target_": "graves_lm.commands.ddp.call", "name": "os.system", "_args_": [shell]}
    yield "our compiler", {"_target_": "graves_lm.nn.native._compiled", "_args_": [shell]}
    yield "a walk", {"_target_": "torch.optim.adam.torch.load", "f": str(mark)}
    yield (
        "a walk of ours",
        {"_target_": "graves_lm.runtime.run_folder.subprocess.run", "args": ["touch", str(mark)]},
    )
    yield "hydra", {"_target_": "hydra.utils.call", "config": {"_target_": "os.system", "command": shell}}


def is_ours(node: dict[str, Any]) -> bool:
    return str(node["_target_"]).startswith("graves_lm.")


def data(mark: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Settings of data that name what is not of this package, as those of another's data set do."""
    yield from ((what, node) for what, node in targets(mark) if not is_ours(node))


def interpolations(mark: Path) -> Iterator[tuple[str, str]]:
    yield "environment", "${oc.env:HOME}"
    yield "created", "${oc.create:{_target_:os.system,command:'" + SHELL.format(mark=mark) + "'}}"
    yield "decoded", '${oc.decode:"{_target_: os.system}"}'
    yield "selected", "${oc.select:data.source}"
    yield "now", "${now:%Y}"


def content(mark: Path) -> Iterator[tuple[str, Callable[[Content], Any]]]:
    """(name, what changes the content of a checkpoint of characters in place)."""

    def card(path: str, value: Any) -> Callable[[Content], Any]:
        def change(found: Content) -> None:
            *parents, last = path.split(".")
            node = found["graves_lm"]
            for key in parents:
                node = node[key]
            node[last] = copy.deepcopy(value)

        return change

    for what, node in targets(mark):
        for place in ("model.noise", "model.network", "model", "sampler", "optimizer.algorithm", "data"):
            if place != "data" or is_ours(node):  # of other data nothing is made, see `data`
                yield f"{place} is {what}", card(f"config.{place}", node)
        yield f"{what} in a tuple", card("config.sampler.temperature", (node,))
        yield f"{what} in a list", card("config.data.shares", [0.9, 0.05, node])
        yield f"{what} beside", card("config.sampler.more", node)
        yield f"{what} among the facts", card("facts.symbols", node)
    for what, text in interpolations(mark):
        for place in (
            "sampler.temperature",
            "model.network.clip",
            "data.unit",
            "model.noise",
            "optimizer.unit",
        ):
            yield f"{place} is {what}", card(f"config.{place}", text)
    for value in (10**7, 10**30, -1, 0, 1.5, True, None, "two", [1], float("nan"), {}):
        for place in ("model.network.layers", "model.network.hidden_size"):
            yield f"{place} is {value!r}", card(f"config.{place}", value)
    for value in (0, -1, float("nan"), float("inf"), "hot", None, 10**400):
        yield f"temperature is {value!r:.20}", card("config.sampler.temperature", value)
    yield "no settings", card("config", None)
    yield (
        "settings of another task",
        card("config.model._target_", "graves_lm.learning.tasks.stroke.StrokeTask"),
    )
    yield "another task", card("task", "stroke")
    yield "no task", card("task", ["character"])
    yield "no symbols", card("facts", {})
    yield "symbols that are none", card("facts.symbols.items", [1, 2, 3])
    yield "a symbol twice", card("facts.symbols.items", ["a"] * 17)
    yield "many symbols", card("facts.symbols.items", [str(i) for i in range(200_000)])
    yield "a card that is a list", lambda found: found.update(graves_lm=[1])
    yield "a card that is deep", lambda found: found.update(graves_lm=nested(100))
    first = "network.stack.recurrences.0.weight"

    def weight(value: Any, name: str = first) -> Callable[[Content], Any]:
        return lambda found: found["state_dict"].update({name: value})

    yield "no weights", lambda found: found.pop("state_dict")
    yield "weights in a list", lambda found: found.update(state_dict=[torch.zeros(3)])
    yield "a weight too few", lambda found: found["state_dict"].pop(first)
    yield "a weight too many", weight(torch.zeros(1), "network.more")
    yield "a weight of another shape", weight(torch.zeros(5, 5))
    yield "a weight of another type", weight(torch.zeros(32, 8, dtype=torch.float64))
    yield "a weight of whole numbers", weight(torch.zeros(32, 8, dtype=torch.int64))
    yield "a weight that is a text", weight("weight")
    yield "a weight that is no number", weight(torch.full((32, 8), float("nan")))
    yield "a weight without end", weight(torch.full((32, 8), float("inf")))
    yield "a weight of one number", weight(torch.zeros(1).expand(32, 8))


def state(mark: Path) -> Iterator[tuple[str, Callable[[Content], Any]]]:
    """(name, what changes the state that a run would take over)."""

    def optimizer(name: str, value: Any) -> Callable[[Content], Any]:
        return lambda found: found["optimizer_states"][0]["state"][0].update({name: value})

    def group(**changes: Any) -> Callable[[Content], Any]:
        return lambda found: found["optimizer_states"][0]["param_groups"][0].update(changes)

    def schedule(**changes: Any) -> Callable[[Content], Any]:
        return lambda found: found["lr_schedulers"][0].update(changes)

    def random(value: Any) -> Callable[[Content], Any]:
        return lambda found: found["process_states"][0].update(random=value)

    yield "a moment of another shape", optimizer("exp_avg", torch.zeros(3))
    yield "a moment of another type", optimizer("exp_avg_sq", torch.zeros(32, 8, dtype=torch.int64))
    yield "a moment more", optimizer("more", torch.zeros(32, 8))
    yield "steps that are a table", optimizer("step", torch.zeros(32, 8))
    yield "moments of nothing", lambda found: found["optimizer_states"][0]["state"].update({99: {}})
    yield "no optimiser", lambda found: found.update(optimizer_states=[])
    yield "two optimisers", lambda found: found["optimizer_states"].append({})
    yield "an optimiser that is a text", lambda found: found.update(optimizer_states="adam")
    yield "no rate", group(lr=None)
    yield "a rate below 0", group(lr=-1.0)
    yield "no decay", group(eps=None)
    yield "betas that are none", group(betas=(None, None))
    yield "betas of another size", group(betas=(5.0, 5.0))
    yield "a descent that climbs", group(maximize=True)
    yield "a form of steps that is none", group(foreach=7)
    yield "moments that are no numbers", optimizer("exp_avg", torch.full((48, 12), float("nan")))
    yield "steps below 0", optimizer("step", torch.tensor(-1.0))
    yield "rates that are none", schedule(base_lrs=[None])
    yield "a function of rates", schedule(lr_lambdas=[5])
    yield "a step far off", lambda found: found.update(global_step=10**15)
    yield (
        "averages that nothing goes on with",
        lambda found: found.update(averaging_state={"n_averaged": torch.tensor(3)}),
    )
    yield "a rate that is a text", group(lr="fast")
    yield "a rate without end", group(lr=float("inf"))
    yield "a setting more", group(step="x")
    yield "weights in another order", group(params=[1, 0, 2, 3, 4, 5])
    yield "a weight twice", group(params=[0, 0, 0, 0, 0, 0])
    yield "a schedule that steps otherwise", schedule(step="x")
    yield "a schedule that calls", schedule(lr_lambdas=[{"_target_": "os.system"}])
    yield "a schedule of many rates", schedule(base_lrs=[0.1] * 1000)
    yield "a schedule without steps", schedule(last_epoch=None)
    yield "random numbers too few", random(torch.zeros(3, dtype=torch.uint8))
    yield "random numbers too many", random(torch.zeros(50_000, dtype=torch.uint8))
    yield "random numbers that are none", random("dice")
    yield "random numbers that are damaged", random(torch.full((5056,), 255, dtype=torch.uint8))
    yield "no processes", lambda found: found.update(process_states=[])
    yield "many processes", lambda found: found.update(process_states=found["process_states"] * 5)
    yield (
        "streams of another width",
        lambda found: found["process_states"][0].update(
            streams=[torch.zeros(9, 9), torch.zeros(9, 9), torch.zeros(9, dtype=torch.int64)]
        ),
    )
    yield "a step that is a text", lambda found: found.update(global_step="many")
    yield "a step below 0", lambda found: found.update(global_step=-5)
    yield "an epoch far off", lambda found: found.update(epoch=10**30)
    yield "no loops", lambda found: found.update(loops={})
    yield "a loop more", lambda found: found["loops"].update(more={})
    yield (
        "loops of texts",
        lambda found: found["loops"]["fit_loop"]["epoch_progress"]["total"].update(ready="x"),
    )
    yield (
        "a place past the end",
        lambda found: found["loops"]["fit_loop"]["state_dict"].update(
            combined_loader=[{"next_batch": 10**9, "batches": 30}]
        ),
    )
    yield (
        "a place that is none",
        lambda found: found["loops"]["fit_loop"]["state_dict"].update(
            combined_loader=[{"_target_": "os.system"}]
        ),
    )
    yield "a best figure that is a text", lambda found: found["callbacks"]["Checkpoints"].update(best="good")
    yield "a debt that is a text", lambda found: found["callbacks"]["Checkpoints"].update(owed="all")
    yield "patience that is a list", lambda found: found["callbacks"]["EarlyStopping"].update(waited=[1])
    yield "a callback's state more", lambda found: found["callbacks"]["Checkpoints"].update(folder="/")


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


class _Reduced:
    """What pickles as a call."""

    def __init__(self, function: Any, *arguments: Any):
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def files(mark: Path, real: bytes) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) in place of those of a real checkpoint."""
    import os

    shell = SHELL.format(mark=mark)
    calls = {
        "a shell": _Reduced(os.system, shell),
        "an evaluation": _Reduced(eval, f"open({str(mark)!r}, 'w')"),
        "much memory": _Reduced(bytearray, 10**12),
        "an import": _Reduced(__import__, "antigravity"),
        "a file": _Reduced(open, str(mark), "w"),
    }
    for name, call in calls.items():
        buffer = io.BytesIO()
        torch.save({"graves_lm": call}, buffer)
        yield f"{name} in torch's form", buffer.getvalue()
        yield f"{name} as a bare pickle", pickle.dumps(call)
    whole = zipfile.ZipFile(io.BytesIO(real))
    parts = {info.filename: whole.read(info) for info in whole.infolist()}
    pickled = next(name for name in parts if name.endswith("data.pkl"))
    numbers = next(name for name in parts if name.endswith("data/0"))

    def packed(changes: dict[str, bytes | None], compression: int = zipfile.ZIP_STORED) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", compression) as archive:
            for name, data in {**parts, **changes}.items():
                if data is not None:
                    archive.writestr(name, data)
        return buffer.getvalue()

    yield "compressed", packed({}, zipfile.ZIP_DEFLATED)
    yield "without its pickle", packed({pickled: None})
    yield "without its numbers", packed({numbers: None})
    yield "with numbers too few", packed({numbers: parts[numbers][:-4]})
    yield "with numbers too many", packed({numbers: parts[numbers] * 3})
    yield "with a pickle of a million containers", packed({pickled: b"\x80\x02(" + b"]" * 10**6 + b"l."})
    yield "with a pickle nested deep", packed({pickled: b"\x80\x02" + b"(" * 10**5 + b"t" * 10**5 + b"."})
    yield "with a pickle that stops", packed({pickled: parts[pickled][:200]})
    yield "with an endless text", packed({pickled: b"\x80\x02X\xff\xff\xff\x7fabc."})
    yield "big-endian", packed({name: b"big" for name in parts if name.endswith("byteorder")})
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w") as archive:
        for name, data in [*parts.items(), *parts.items()]:
            archive.writestr(name, data)
    yield "with each part twice", twice.getvalue()
    for keep in (0, 1, 4, 100, len(real) // 2, len(real) - 30):
        yield f"cut to {keep} bytes", real[:keep]
    at = real.index(parts[numbers][:64])
    for offset in (0, 17, 63):
        flipped = bytearray(real)
        flipped[at + offset] ^= 1
        yield f"with a bit turned at {offset}", bytes(flipped)
    yield "a text", b"not a checkpoint\n" * 100
    yield "zeros", bytes(10_000)


def exported(card: dict[str, Any], **changes: Any) -> bytes:
    """A .safetensors file of the given card and one number, whatever they say."""
    header: dict[str, Any] = {
        "__metadata__": {"graves_lm": json.dumps(card)},
        "network.x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
    }
    header |= changes
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(4)
