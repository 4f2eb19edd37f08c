"""`python -m graves_lm.export CHECKPOINT FILE …`: a checkpoint's weights as a small file to pass on."""

from graves_lm.commands.export import main

if __name__ == "__main__":
    main()
