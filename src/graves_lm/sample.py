"""`python -m graves_lm.sample ckpt=…`: text or handwriting from a trained network."""

import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from graves_lm.launch import entry


def sample(cfg: DictConfig) -> None:
    """Draw a sample with the checkpoint's sampler, as `cfg` (conf/sample.yaml) changes it."""
    from graves_lm.errors import UserError
    from graves_lm.sampling.settings import make_sampler
    from graves_lm.tasks.character import CharacterTask
    from graves_lm.tasks.loading import load_task, read_checkpoint
    from graves_lm.tasks.stroke import StrokeTask

    if cfg.ckpt is None:
        raise UserError("give ckpt=PATH, a checkpoint that graves_lm.train wrote")
    if cfg.output is not None and not Path(cfg.output).absolute().parent.is_dir():
        raise UserError(f"output={cfg.output}: its folder does not exist; make it first")
    if not isinstance(cfg.seed, int):
        raise UserError(f"seed={cfg.seed}: a whole number is needed")
    task = load_task(read_checkpoint(cfg.ckpt))
    sampler = make_sampler(task.config["sampler"], cfg.sampler, task.sampler_kind)
    if isinstance(task, CharacterTask):
        write_text(task, sampler, cfg)
    elif isinstance(task, StrokeTask):
        draw_handwriting(task, sampler, cfg)


def write_text(task: Any, sampler: Any, cfg: DictConfig) -> None:
    """Stream a sample to the terminal, and to `output` when one is given."""
    task.symbols.encode(cfg.prompt, where="prompt")  # an unknown symbol is found before anything is shown
    # Bytes of the command line that are not UTF-8 arrive as lone surrogates, which no terminal can show.
    written = [cfg.prompt.encode(errors="surrogateescape").decode(errors="replace")]
    sys.stdout.write(written[0])
    for piece in task.write(sampler, prompt=cfg.prompt, seed=cfg.seed):
        written.append(piece)
        sys.stdout.write(piece)
        sys.stdout.flush()
    sys.stdout.write("\n")
    if cfg.output is not None:
        Path(cfg.output).write_text("".join(written), encoding="utf-8")


def draw_handwriting(task: Any, sampler: Any, cfg: DictConfig) -> None:
    """Draw lines, and write them to `output`; in every format, to the run directory, when none is given."""
    from graves_lm.errors import UserError
    from graves_lm.rendering.handwriting import FORMATS, format_of, write_handwriting

    if cfg.prompt:
        raise UserError("prompt= begins a text; this checkpoint is of handwriting without one (model=stroke)")
    outputs = [Path(cfg.run_dir) / f"handwriting{suffix}" for suffix in FORMATS]
    if cfg.output is not None:
        format_of(cfg.output)
        outputs = [Path(cfg.output)]
    lines = task.write(sampler, cfg.seed)
    for path in outputs:
        write_handwriting(path, lines)
        print(path)


main = entry("sample", literal=["prompt"])(sample)

if __name__ == "__main__":
    main()
