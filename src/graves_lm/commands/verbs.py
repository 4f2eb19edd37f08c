"""What one can type: `graves-lm VERB …`, which is `python -m graves_lm.VERB …`.

A verb is a module of the package with a `main()`; it is imported when it is called, so that the list is there
at once.
"""

import sys
from importlib import import_module

from graves_lm.runtime import terminal
from graves_lm.runtime.errors import brief, near_misses, visible

VERBS = {
    "train": "train a network to predict text or strokes, or to write by hand",
    "evaluate": "metrics of a checkpoint, also while it goes on learning",
    "sample": "text, or pages of handwriting, from a trained network",
    "hands": "the hands that there are to write in, as a table and a picture",
    "page": "a page that writes by hand, for any browser, in one file",
    "serve": "an address at which programs have texts written by hand",
    "prompts": "lines to write by hand, from which your hand can be learned",
    "read": "the text of handwriting, from files of ink",
    "compress": "a file as few bytes, by what a text model predicts of it",
    "decompress": "the file back, from what compress wrote",
    "prepare": "build a data set's cache, and see what is in it",
    "compare": "a folder of runs as a table, best first, and as a picture",
    "export": "a checkpoint's weights as a small file to pass on",
    "dashboard": "the team's dashboard in Weights & Biases",
    "doctor": "what this machine has for all that, and how to mend what is not",
}


def main() -> int:
    """Call the verb that the command line begins with; without one, list them. Returns the exit status."""
    name, *rest = sys.argv[1:] or ["--help"]
    if name in VERBS:
        verb = import_module(f"graves_lm.{name}")
        sys.argv = [str(verb.__file__), *rest]
        return int(verb.main() or 0)
    if name in ("--help", "-h", "help"):
        with terminal.command("help"):
            print(listed())
        return 0
    with terminal.command("help"):
        terminal.say(brief(visible(name), 40), f"no such verb; {near_misses(name, VERBS)}")
    return 2


def listed() -> str:
    """The verbs, a line each."""
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {name:<{width}}  {what}" for name, what in VERBS.items())
    return f"graves-lm VERB [--help] [KEY=VALUE …]\n\n{verbs}"
