"""`python -m graves_lm.hands`: the hands that `hand=` can name, as a table and as a picture."""

from omegaconf import DictConfig

from graves_lm.commands.launch import entry
from graves_lm.runtime.threads import sleep_soon


def hands(cfg: DictConfig) -> None:
    """List the hands of the package and of a folder, and draw them (conf/hands.yaml)."""
    sleep_soon()
    from graves_lm.writing.hand_list import run

    run(cfg)


main = entry("hands")(hands)

if __name__ == "__main__":
    main()
