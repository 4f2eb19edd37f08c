"""Whether a wheel has the trained weights, and so what its licence is.

With GRAVES_LM_WITHOUT_WEIGHTS=1 in the environment they are left out, and what is left is under the MIT
licence alone (`make wheel-without-weights`).
"""

import os
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

WEIGHTS = "graves_lm/pretrained"
WITHOUT = os.environ.get("GRAVES_LM_WITHOUT_WEIGHTS", "0") not in ("", "0")


class Weights(BuildHookInterface):
    """Puts them into the wheel, which has none by itself."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "editable" and not WITHOUT:
            build_data["force_include"][str(Path(self.root) / "src" / WEIGHTS)] = WEIGHTS


class Licence(MetadataHookInterface):
    """Names the licences of what is in it."""

    def update(self, metadata: dict[str, Any]) -> None:
        metadata["license"] = "MIT" if WITHOUT else "MIT AND LicenseRef-graves-lm-weights"
        metadata["license-files"] = ["LICENSE"] if WITHOUT else ["LICENSE", "LICENSE-WEIGHTS"]
