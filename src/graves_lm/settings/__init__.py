"""What a setting may be: its type and bounds, declared once in the signature that takes it.

`declared` makes a class refuse other values however it is called; `check.check_node` asks the same of a
composed configuration before any work; `stored` of what a file says.
"""

from graves_lm.settings.check import declared

__all__ = ["declared"]
