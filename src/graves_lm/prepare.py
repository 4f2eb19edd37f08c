"""`python -m graves_lm.prepare data=…`: build a data set's cache and print what is in it."""

from omegaconf import DictConfig

from graves_lm.commands.launch import entry


def prepare(cfg: DictConfig) -> None:
    """Build the cache if it is missing, then print the data set's table."""
    from graves_lm.data.opening import prepare as prepare_data
    from graves_lm.runtime.errors import visible

    print(visible(prepare_data(cfg.data).summary(), keep="\n"))


main = entry("prepare")(prepare)

if __name__ == "__main__":
    main()
