"""`python -m graves_lm.train`: train one of the tasks; see conf/train.yaml for what can be set."""

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from graves_lm.launch import entry


def train(cfg: DictConfig) -> float | None:
    """Train, write metrics.json, and return the figure that sweeps minimise."""
    from graves_lm.training import run

    if HydraConfig.get().mode == RunMode.MULTIRUN:
        cfg.run_dir = HydraConfig.get().runtime.output_dir  # each job of a sweep has its own
    return run(cfg)


main = entry("train")(train)

if __name__ == "__main__":
    main()
