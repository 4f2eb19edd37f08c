"""`python -m graves_lm.read FILE …`: handwriting in, its text out."""

from graves_lm.commands.read import main

if __name__ == "__main__":
    main()
