"""`python -m graves_lm.sample ckpt=…`: write text with a trained network, shown as it is written."""

import sys

from omegaconf import DictConfig

from graves_lm.launch import entry


def sample(cfg: DictConfig) -> None:
    """Stream a sample to the terminal, and to `output` when one is given."""
    from pathlib import Path

    from hydra.utils import instantiate

    from graves_lm.errors import UserError
    from graves_lm.sampling.text import TextSampler
    from graves_lm.tasks.character import CharacterTask
    from graves_lm.tasks.loading import load_task, read_checkpoint

    if cfg.ckpt is None:
        raise UserError("give ckpt=PATH, a checkpoint that graves_lm.train wrote")
    if cfg.output is not None and not Path(cfg.output).absolute().parent.is_dir():
        raise UserError(f"output={cfg.output}: its folder does not exist; make it first")
    if not isinstance(cfg.seed, int):
        raise UserError(f"seed={cfg.seed}: a whole number is needed")
    sampler: TextSampler = instantiate(cfg.sampler)
    task = load_task(read_checkpoint(cfg.ckpt, task="character"))
    assert isinstance(task, CharacterTask)
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


main = entry("sample", literal=["prompt"])(sample)

if __name__ == "__main__":
    main()
