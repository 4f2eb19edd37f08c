"""`python -m graves_lm.sample ckpt=…`: text or handwriting from a trained network."""

from omegaconf import DictConfig

from graves_lm.commands.launch import entry
from graves_lm.runtime.threads import sleep_soon


def sample(cfg: DictConfig) -> None:
    """Draw a sample with the checkpoint's sampler, as `cfg` (conf/sample.yaml) changes it."""
    sleep_soon()
    from graves_lm.writing.command import run

    run(cfg)


main = entry("sample")(sample)

if __name__ == "__main__":
    main()
