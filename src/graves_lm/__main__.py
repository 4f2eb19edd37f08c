"""`python -m graves_lm VERB …`: `graves-lm VERB …`."""

import sys

from graves_lm.commands.verbs import main

if __name__ == "__main__":
    sys.exit(main())
