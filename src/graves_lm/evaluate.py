"""`python -m graves_lm.evaluate ckpt=…`: the metrics of a checkpoint, static or with dynamic evaluation."""

from omegaconf import DictConfig

from graves_lm.commands.launch import entry


def evaluate(cfg: DictConfig) -> None:
    """Print the metrics and write them to metrics.json in the run directory."""
    from graves_lm.commands.evaluate import run

    run(cfg)


main = entry("evaluate")(evaluate)

if __name__ == "__main__":
    main()
