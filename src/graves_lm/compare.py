"""`python -m graves_lm.compare dir=…`: a folder of training runs as a table, best first, and as a picture."""

from omegaconf import DictConfig

from graves_lm.commands.launch import entry


def compare(cfg: DictConfig) -> None:
    """Print the table; write it as CSV, and the picture."""
    from graves_lm.sweeps.command import run

    run(cfg)


main = entry("compare")(compare)

if __name__ == "__main__":
    main()
