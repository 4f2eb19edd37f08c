"""`python -m graves_lm.decompress FILE.glm`: the file back, from what compress wrote."""

import sys

from omegaconf import DictConfig

from graves_lm.commands.arguments import with_file
from graves_lm.commands.launch import entry
from graves_lm.runtime.threads import sleep_soon


def decompress(cfg: DictConfig) -> None:
    """Bring a file back as `cfg` (conf/decompress.yaml) says."""
    sleep_soon()
    from graves_lm.compression.command import decompress as run

    run(cfg)


def main() -> None:
    """The command."""
    sys.argv = [sys.argv[0], *with_file(sys.argv[1:])]
    entry("decompress")(decompress)()


if __name__ == "__main__":
    main()
