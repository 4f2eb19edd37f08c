"""`python -m graves_lm.page output=page.html`: a page that writes by hand, in any browser."""

from omegaconf import DictConfig

from graves_lm.commands.launch import entry


def page(cfg: DictConfig) -> None:
    """Write the page, or serve it."""
    from graves_lm.web.command import run

    run(cfg)


main = entry("page")(page)

if __name__ == "__main__":
    main()
