"""`python -m graves_lm.train`: train one of the tasks; see conf/train.yaml for what can be set."""

from omegaconf import DictConfig

from graves_lm.commands.launch import entry


def train(cfg: DictConfig) -> float | None:
    """Train, write metrics.json, and return the metric that sweeps minimise."""
    from graves_lm.commands.train import run

    return run(cfg)


main = entry("train")(train)

if __name__ == "__main__":
    main()
