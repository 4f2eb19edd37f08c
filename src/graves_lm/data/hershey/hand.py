"""A person's handwriting: traits sampled once per writer, and the person's own version of every letter."""

from dataclasses import dataclass, field

import numpy as np

from graves_lm.data.characters import plain_letter
from graves_lm.data.hershey.forms import Glyph, Path
from graves_lm.data.hershey.glyphs import CAP_HEIGHT, CURSIVE_FONT, PRINT_FONTS, X_HEIGHT, glyphs
from graves_lm.data.hershey.motion import Motor


@dataclass
class Hand:
    """Lengths in font units (capitals of the plain font are 21 high), times in seconds."""

    cursive: bool  # joined letters, or print
    size: float  # tablet units per font unit
    width: float  # of letters
    x_height: float
    ascender: float  # above the x-height
    descender: float  # scale of what hangs below the base line
    slant: float  # x per y
    spacing: float  # between letters
    word_space: float
    slope: float  # of the base line
    drift: float  # wander of the base line
    joins: float  # share of the neighbouring print letters written without lifting the pen
    one_stroke: float  # share of print letters written without lifting the pen
    delayed: float  # chance that dots and bars wait for the end of the word
    oddness: float  # how far this person's letters are from the model
    wobble: float  # how far a letter is from the person's usual one
    motor: Motor
    entropy: tuple[int, ...]
    _letters: dict[str, Glyph] = field(default_factory=dict, repr=False)

    @classmethod
    def draw(cls, *entropy: int) -> "Hand":
        """The person with this number; the same numbers give the same person everywhere."""
        rng = np.random.default_rng(np.random.SeedSequence(entropy))
        cursive = bool(rng.random() < 0.4)

        def around(value: float, spread: float) -> float:
            return float(value * np.exp(rng.normal(0, spread)))

        return cls(
            cursive=cursive,
            size=around(12.3, 0.14),
            width=around(0.95 if cursive else 0.9, 0.14),
            x_height=around(12.0, 0.14),
            ascender=around(10.0, 0.18),
            descender=around(1.0, 0.2),
            slant=float(np.clip(rng.normal(0.05 if cursive else 0.08, 0.17), -0.3, 0.55)),
            spacing=float(rng.normal(0.0 if cursive else -1.2, 0.7)),
            word_space=around(11.0, 0.25),
            slope=float(rng.normal(0, 0.012)),
            drift=around(0.5, 0.4),
            joins=float(rng.choice([0.0, 0.35, 0.75])),
            one_stroke=float(rng.choice([0.2, 0.8, 1.0])),
            delayed=float(rng.choice([0.05, 0.7])),
            oddness=around(0.9, 0.3),
            wobble=around(0.36, 0.3),
            motor=Motor(
                tempo=around(0.096, 0.12),
                overlap=float(rng.uniform(0.2, 0.38)),
                roundness=float(rng.uniform(0.4, 0.9) if cursive else rng.uniform(0.6, 1.5)),
                tremor=around(0.1, 0.3),
            ),
            entropy=entropy,
        )

    def letter(self, character: str) -> Glyph:
        """This person's usual form of a character."""
        if character not in self._letters:
            # A generator of its own for each letter: its form does not depend on what was written before, and
            # ä has the form of this person's a.
            rng = np.random.default_rng(np.random.SeedSequence((*self.entropy, ord(plain_letter(character)))))
            self._letters[character] = self._make(character, rng)
        return self._letters[character]

    def vary(self, glyph: Glyph, rng: np.random.Generator) -> Glyph:
        """One instance of a letter: a little larger or smaller, turned, bent."""
        turn, lean = rng.normal(0, 0.025), rng.normal(0, 0.03)
        grow = np.exp(rng.normal(0, 0.045, 2))
        matrix = np.array([[grow[0], turn], [lean - turn, grow[1]]])  # row vectors: (x, y) @ matrix
        bent = _bend([*glyph.body, *glyph.marks], self.wobble, rng)
        moved = [p @ matrix for p in bent]
        shift = rng.normal(0, 0.35, (len(glyph.marks), 2)) * (2.0, 1.0)  # marks land less exactly
        marks = [p + s for p, s in zip(moved[len(glyph.body) :], shift, strict=True)]
        return Glyph(tuple(moved[: len(glyph.body)]), tuple(marks), glyph.width * float(grow[0]))

    def _make(self, character: str, rng: np.random.Generator) -> Glyph:
        cursive = self.cursive and (character.islower() or rng.random() < 0.5)
        font = CURSIVE_FONT if cursive else PRINT_FONTS[int(rng.integers(len(PRINT_FONTS)))]
        model = glyphs(font, bool(rng.random() < self.one_stroke))[character]
        # The script font is small and narrow; bring its letters to the height of the others.
        wide = self.width * (1.25 if cursive and character.islower() else 1.0)
        strokes = _bend([*model.body, *model.marks], self.oddness, rng)
        shaped = [self._proportion(p, character, X_HEIGHT[font]) * (wide, 1.0) for p in strokes]
        slanted = [p - np.stack([p[:, 1] * self.slant, np.zeros(len(p))], axis=1) for p in shaped]
        body, marks = slanted[: len(model.body)], slanted[len(model.body) :]
        return Glyph(tuple(body), tuple(marks), model.width * wide)

    def _proportion(self, path: Path, character: str, x_height: float) -> Path:
        """The model's heights become this person's; y is negative above the base line."""
        y = path[:, 1]
        if character.islower():
            top = (self.ascender / (CAP_HEIGHT - x_height)) * (y + x_height) - self.x_height
            middle = y * (self.x_height / x_height)
            y = np.where(y < -x_height, top, np.where(y > 0, y * self.descender, middle))
        else:
            y = y * ((self.x_height + self.ascender) / CAP_HEIGHT)
        return np.stack([path[:, 0], y], axis=1)


def _bend(paths: list[Path], amount: float, rng: np.random.Generator) -> list[Path]:
    """Moves all points by one smooth random field, so that touching strokes keep touching."""
    waves = rng.normal(0, 1 / 9, (2, 3, 2))  # per axis three plane waves, about 25 to 60 units long
    phases = rng.uniform(0, 2 * np.pi, (2, 3))
    amplitude = amount * rng.normal(0, 1, (2, 3)) / np.sqrt(1.5)
    return [
        p
        + np.stack([(amplitude[a] * np.sin(p @ waves[a].T + phases[a])).sum(axis=1) for a in (0, 1)], axis=1)
        for p in paths
    ]
