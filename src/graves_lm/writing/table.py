"""A table whose rows are letters and whose columns are their fields."""

import csv
import io
from collections import Counter
from pathlib import Path

from graves_lm.data.text_file import read_text_file
from graves_lm.runtime.errors import UserError

_DELIMITERS = ",;\t"


def read_table(path: str | Path) -> list[dict[str, str]]:
    """The rows of a CSV file, whose first row names the columns. Empty rows are left out.

    Between cells are commas, semicolons or tabs, whichever the first row has most of.

    Raises UserError for a file that cannot be read, no rows, and rows of another length than the first.
    """
    where = f"table={path}"
    text = read_text_file(str(path), "table")
    first = io.StringIO(text, newline=None).readline()
    delimiter = max(_DELIMITERS, key=first.count)
    rows: list[dict[str, str]] = []
    try:
        reader = csv.reader(io.StringIO(text, newline=None), delimiter=delimiter, strict=True)
        names = [" ".join(name.split()) for name in next(reader, [])]
        if not all(names) or not names:
            raise UserError(f"{where}: its first row names the columns, each by a word that is not empty")
        if again := [name for name, count in Counter(names).items() if count > 1]:
            raise UserError(f"{where}: two columns are named {again[0]}; give each its own name")
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(names):
                raise UserError(
                    f"{where}: line {reader.line_num} has {len(cells)} cells, the first {len(names)}; "
                    f"a cell with {delimiter!r} in it stands between quotes"
                )
            rows.append(dict(zip(names, cells, strict=True)))
    except csv.Error as error:
        raise UserError(f"{where}: line {reader.line_num}: {error}; correct it") from error
    if not rows:
        raise UserError(f"{where}: there is no row under the names of its columns")
    return rows
