"""graves_lm: generating sequences with recurrent networks, after A. Graves, arXiv:1308.0850 (2013).

Importing the package stays cheap: nothing heavy is loaded until a submodule is asked for.
"""

__version__ = "0.1.0"
