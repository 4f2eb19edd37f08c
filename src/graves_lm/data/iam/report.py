"""What happened to every line of the database on its way into the cache."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple


class ReportRow(NamedTuple):
    """One line or file: its name, what was done to it and why.

    Actions: "repaired", "repaired file" (a form's texts), "dropped", "unreadable".
    """

    name: str
    action: str
    reason: str


@dataclass
class SetCounts:
    """Sizes of one split, as shipped (`read`) and after repairs (`kept`)."""

    lines_read: int = 0
    strokes_read: int = 0
    points_read: int = 0
    lines_kept: int = 0
    strokes_kept: int = 0
    points_kept: int = 0


@dataclass
class IamReport:
    """Rows by name, counts by split, repairs and characters by frequency; `table()` and `listing()` are for
    people."""

    rows: list[ReportRow] = field(default_factory=list)
    sets: dict[str, SetCounts] = field(default_factory=dict)
    repairs: Counter[str] = field(default_factory=Counter)
    characters: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, action: str, reason: str) -> None:
        self.rows.append(ReportRow(name, action, reason))

    def count(self, action: str) -> int:
        """How many different lines or files have a row with this action."""
        return len({row.name for row in self.rows if row.action == action})

    def summary(self) -> str:
        """One line for the terminal."""
        read = sum(s.lines_read for s in self.sets.values())
        kept = sum(s.lines_kept for s in self.sets.values())
        return (
            f"{read:,} lines read, {kept:,} kept, {self.count('repaired'):,} of them repaired, "
            f"{self.count('dropped'):,} dropped, {self.count('unreadable'):,} files unreadable"
        )

    def table(self) -> str:
        """Sizes by split, repairs, reasons and characters, as text."""
        columns = ("lines", "strokes", "points")
        head = f"{'split':<12}" + "".join(f"{c + ' read':>14}{c + ' kept':>14}" for c in columns)
        lines = [self.summary(), "", head]
        total = SetCounts()
        for name, counts in self.sets.items():
            lines.append(_set_row(name, counts))
            for key, value in vars(counts).items():
                setattr(total, key, getattr(total, key) + value)
        lines.append(_set_row("all", total))

        lines += ["", "repairs of strokes and texts (kept lines)"]
        lines += [f"{number:>10,}  {what}" for what, number in self.repairs.most_common()]
        reasons = Counter(
            (row.action, row.reason) for row in self.rows if not row.action.startswith("repaired")
        )
        lines += ["", "lines dropped and files unreadable, by reason"]
        lines += [f"{number:>10,}  {action}: {reason}" for (action, reason), number in reasons.most_common()]
        lines += ["", f"{len(self.characters)} characters of the kept lines by frequency"]
        lines += [f"{number:>10,}  {character!r}" for character, number in self.characters.most_common()]
        return "\n".join(lines) + "\n"

    def listing(self) -> str:
        """Every line or file that was touched, by name, as text."""
        rows = [f"{row.name:<24}{row.action:<15}{row.reason}" for row in sorted(self.rows)]
        return "\n".join(["every line or file that was touched", *rows]) + "\n"


def _set_row(name: str, c: SetCounts) -> str:
    numbers = (c.lines_read, c.lines_kept, c.strokes_read, c.strokes_kept, c.points_read, c.points_kept)
    return f"{name:<12}" + "".join(f"{n:>14,}" for n in numbers)
