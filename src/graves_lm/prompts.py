"""`python -m graves_lm.prompts count=40`: lines to write by hand, from which a hand can be learned."""

from omegaconf import DictConfig

from graves_lm.commands.launch import entry


def prompts(cfg: DictConfig) -> None:
    """Print the lines, or write them to a file."""
    from graves_lm.web.prompt_sheet import write_prompts

    write_prompts(cfg.count, cfg.characters, cfg.output)


main = entry("prompts")(prompts)

if __name__ == "__main__":
    main()
