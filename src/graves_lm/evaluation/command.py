"""The evaluate command: a checkpoint, a text and a rule in; figures out."""

import json
import logging
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from graves_lm.data.streams import StreamLoader
from graves_lm.data.text import SPLITS
from graves_lm.errors import UserError, near_misses
from graves_lm.evaluation.dynamic import evaluate_dynamically
from graves_lm.memory import keep_large_blocks
from graves_lm.metrics import SymbolMetrics
from graves_lm.tasks.character import CharacterTask, score
from graves_lm.tasks.loading import load_task, read_checkpoint
from graves_lm.training import prepare

log = logging.getLogger(__name__)


def run(cfg: DictConfig) -> dict[str, float]:
    """Evaluate as `cfg` (conf/evaluate.yaml) says; prints the figures and writes metrics.json."""
    keep_large_blocks()
    if cfg.ckpt is None:
        raise UserError("give ckpt=PATH, a checkpoint that graves_lm.train wrote")
    if cfg.split not in SPLITS:
        raise UserError(f"split={cfg.split}: {near_misses(cfg.split, SPLITS)}")
    if cfg.precision not in ("32-true", "bf16-mixed"):
        raise UserError(f"precision={cfg.precision}: 32-true or bf16-mixed")
    task = load_task(read_checkpoint(cfg.ckpt, task="character"))
    assert isinstance(task, CharacterTask)
    data: Any = prepare(_data_of(cfg, task))
    data.require_symbols(task.symbols)
    name = f"data={data.name}, {cfg.split} text"
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=cfg.precision == "bf16-mixed"):
        if cfg.dynamic is None:
            batches = data.eval_dataloader(cfg.split)
            figures = evaluate_statically(task, batches)
        else:
            rule = instantiate(cfg.dynamic.rule)
            length, streams = cfg.dynamic.segment, cfg.dynamic.streams
            batches = StreamLoader(data.sequence(cfg.split), streams, length, name=name)
            # Statistics from the same number of streams, so that a segment's derivatives are alike.
            training = StreamLoader(data.sequence("train"), streams, length, name="training text")
            figures = evaluate_dynamically(task, batches, rule, training)
    figures = {f"{cfg.split}/{key}": value for key, value in figures.items()}
    kind = "static" if cfg.dynamic is None else f"dynamic ({cfg.dynamic.rule._target_.rpartition('.')[2]})"
    print(f"{name}, {kind}: " + "  ".join(f"{k} {v:.4f}" for k, v in figures.items()))
    settings: Any = OmegaConf.to_container(cfg, resolve=True)
    record = figures | {"ckpt": str(cfg.ckpt), "dynamic": settings["dynamic"]}
    (Path(cfg.run_dir) / "metrics.json").write_text(json.dumps(record, indent=2) + "\n")
    return figures


def _data_of(cfg: DictConfig, task: CharacterTask) -> DictConfig:
    """The data settings of the command line, filled up with those the checkpoint was trained on."""
    given = {k: v for k, v in OmegaConf.to_container(cfg.data).items() if v is not None}  # type: ignore[union-attr]
    if "_target_" in given:
        return cfg.data
    return OmegaConf.merge(task.config["data"], given)  # type: ignore[return-value]


@torch.inference_mode()
def evaluate_statically(task: CharacterTask, batches: StreamLoader) -> dict[str, float]:
    """Figures over `batches` at fixed weights, the state carried along each stream."""
    metrics, state = SymbolMetrics(), None
    for batch in tqdm(batches, desc="static evaluation", unit="batch"):
        if batch.reset or state is None:
            state = task.network.initial_state(batch.symbol_TB.shape[1])
        logits_TBK, state = task.network(batch.symbol_TB, state)
        nats, missed_TB = score(logits_TBK, batch)
        metrics.update(nats, missed_TB.sum(), batch.scored_TB.sum())
    return {name: float(figure) for name, figure in metrics.compute().items()}
