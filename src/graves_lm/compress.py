"""`python -m graves_lm.compress FILE`: a file as few bytes, by what a text model predicts of it."""

import sys

from omegaconf import DictConfig

from graves_lm.commands.arguments import with_file
from graves_lm.commands.launch import entry
from graves_lm.runtime.threads import sleep_soon


def compress(cfg: DictConfig) -> None:
    """Compress a file as `cfg` (conf/compress.yaml) says."""
    sleep_soon()
    from graves_lm.compression.command import compress as run

    run(cfg)


def main() -> None:
    """The command."""
    sys.argv = [sys.argv[0], *with_file(sys.argv[1:])]
    entry("compress")(compress)()


if __name__ == "__main__":
    main()
