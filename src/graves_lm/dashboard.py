"""`python -m graves_lm.dashboard entity=…`: the team's dashboard, a saved view of a W&B project."""

from omegaconf import DictConfig

from graves_lm.commands.launch import entry


def dashboard(cfg: DictConfig) -> None:
    """Make the view, or print what it would hold."""
    from graves_lm.learning.dashboard import run

    run(cfg)


main = entry("dashboard")(dashboard)

if __name__ == "__main__":
    main()
