"""`python -m graves_lm.doctor`: what the machine has that the commands need; how to mend what is missing."""

import sys

from graves_lm.commands.doctor import main

if __name__ == "__main__":
    sys.exit(main())
