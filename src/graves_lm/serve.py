"""`python -m graves_lm.serve`: an address at which texts are written by hand."""

from omegaconf import DictConfig

from graves_lm.commands.launch import entry
from graves_lm.runtime.extras import require_package
from graves_lm.runtime.threads import sleep_soon


def serve(cfg: DictConfig) -> None:
    """Serve until Ctrl-C."""
    for package in ("starlette", "uvicorn"):
        require_package(package, "serve", "serve")
    sleep_soon()
    from graves_lm.serving.command import run

    run(cfg)


main = entry("serve")(serve)

if __name__ == "__main__":
    main()
