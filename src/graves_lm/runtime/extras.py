"""Packages that only some of what graves_lm does needs: its extras."""

from importlib.util import find_spec

from graves_lm.runtime.errors import UserError


def require_package(package: str, extra: str, what: str) -> None:
    """Raise UserError where `package`, which the extra brings, is not installed; `what` it is needed for."""
    if find_spec(package) is None:
        raise UserError(f"{what} needs {package}, which is not here: pip install 'graves-lm[{extra}]'")
