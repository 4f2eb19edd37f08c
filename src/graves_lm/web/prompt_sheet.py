"""Prompts as a list, and as a sheet to print for those who write on paper or on a tablet of their own."""

import html
from pathlib import Path

from graves_lm.data.prompts.choice import prompts
from graves_lm.runtime import files
from graves_lm.runtime.errors import UserError

_STYLE = """
@page { size: A4; margin: 14mm 15mm; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 180mm; font: 10pt/1.3 system-ui, sans-serif; }
body { color: #24231f; background: #fff; }
p { margin: 0 0 4mm; color: #5c5950; }
ol { margin: 0; padding: 0; list-style: none; counter-reset: line; }
li { break-inside: avoid; height: 21mm; display: grid; grid-template: auto 1fr / 9mm 1fr; }
li::before { content: counter(line); counter-increment: line; color: #5c5950; }
.rule { grid-column: 1 / -1; position: relative; border-bottom: 0.3mm solid #7c8896; margin-bottom: 5mm; }
.rule::before { content: ""; position: absolute; inset: auto 0 4mm; border-bottom: 0.2mm dashed #b9c4d0; }
@media screen { body { padding: 10mm; } }
"""


def write_prompts(count: int, characters: str, output: str | None) -> None:
    """Print `count` lines for a hand, or write them as .txt, a line each, or .html, a sheet to print.

    Raises UserError for another ending, and for what `prompts` and `files.write` refuse.
    """
    ending = Path(output).suffix.lower() if output is not None else ".txt"
    if ending not in (".txt", ".html"):
        raise UserError(
            f"output={output}: give a name ending in .txt or .html (a browser prints .html to PDF)"
        )
    if output is not None:
        files.check(output)
    lines = prompts(count, characters)
    if output is None:
        print("\n".join(lines))
        return
    files.write(output, sheet(lines) if ending == ".html" else "\n".join(lines) + "\n")
    print(output)


def sheet(lines: list[str]) -> str:
    """A4 pages of HTML: each line's text, and under it a rule to write on."""
    rows = "\n".join(f'<li><span>{html.escape(line)}</span><div class="rule"></div></li>' for line in lines)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Lines to write by hand</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        "<p>Write each line on the rule below it, as you usually write.</p>\n"
        f"<ol>\n{rows}\n</ol>\n</body>\n</html>\n"
    )
