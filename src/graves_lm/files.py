"""Files written wholly or not at all."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from graves_lm.errors import UserError


def write(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write the content and make the folders that are missing.

    It is written beside the path and moved there: nobody reads half a file, and a write that fails leaves
    what was there.
    """
    path = Path(path)
    beside = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(beside, path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}; choose another path") from None
    finally:
        with suppress(OSError):  # the folder itself may be out of reach, as the error says
            beside.unlink(missing_ok=True)


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """`write` of plain containers."""
    write(path, json.dumps(content, indent=2) + "\n")
