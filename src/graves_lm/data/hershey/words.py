"""Sentences for generated handwriting, from what is on every machine.

Three sources: the prose paragraphs of Python's own reference (`pydoc_data.topics`), the Zen of Python
(`this`), and sentences shipped here, which bring the capitals, digits and marks the others lack. The
first source differs a little between Python versions, so lines are the same wherever the version is.
"""

import codecs
import contextlib
import io
import re
from functools import cache

import numpy as np

from graves_lm.data.hershey import european_words
from graves_lm.data.hershey.european import LETTERS, SIGNS

# The characters of the IAM-OnDB transcripts, so that the two kinds of lines can be mixed.
ALPHABET = " !\"#%&'()*+,-./0123456789:;?ABCDEFGHIJKLMNOPQRSTUVWXYZ[]abcdefghijklmnopqrstuvwxyz"
EUROPEAN = ALPHABET + SIGNS + LETTERS
PARTS = {"train": range(0, 18), "val": range(18, 19), "test": range(19, 20)}  # of every 20 paragraphs
SHORTEST, LONGEST = 20, 40  # characters of a line
_SHIPPED = 0.4  # share of lines from the shipped sentences: they have the rare characters

SENTENCES = """
Quick, Zoe: fix the Xerox machine by 6 o'clock!
"Why not?" asked Queen Xenia; nobody in Zurich knew.
Yes, 24 jars of quince jam (at 3.50 each) make 84 in all.
Bring 15 eggs, 2 lemons & 300 g of sugar; then call Eve.
Is it 7 or 8 miles to Quebec? About 76 km, said Hugo.
John Keats lived at No. 26, near the Spanish Steps.
The bill came to 1,049.75 - far too much for soup!
Our train leaves Oxford at 9:40 and gets to York at 13:25.
Jack's uncle (the one from Zagreb) kept 19 bees' nests.
Vera Quill, 33, won the fox race in 58 seconds.
"I never said that," Kate replied. "You did, Max!"
Room 407 is on the fourth floor [turn left twice].
Up to 95% of all mice like cheese; 5% like Bach.
See page 12 [or 13] of the Upper Valley Gazette.
Two plus two: 2+2 is 4, and 4/2 is 2 again.
Mr. Fox & Mrs. Quail met at Dr. Young's on 11/08/1967.
A star * marks words, a hash # marks numbers.
Wait... did Igor really paint 60 zebras in July?
KEEP OUT! WET PAINT, reads the sign by Exit B.
Dear Ursula, thank you for the gloves and the plum cake.
Every Tuesday the harbour smells of tar and oranges.
Grandfather wound the clock and whistled off key.
We walked home slowly, for the moon was out by then.
She keeps her letters in a box under the stairs.
The kettle sang, the cat slept, and nobody hurried.
Nine men pulled at the rope until the boat came free.
If it rains on Friday we shall play chess instead.
Their garden has an old well with a green door.
You can hear the sea from the back of the church.
Some say the bridge was built in a single summer.
My sister draws maps of towns that do not exist.
Please water the ferns twice a week while I am gone.
He sharpened the pencil, looked up, and began again.
The baker knows everybody, and everybody knows her.
Last winter the lake froze as far as the island.
There was ink on his cuff and a stamp on his sleeve.
Don't forget: bread, milk, onions, soap, matches.
It's a long way round, but the view is worth it.
Who left the ladder against the apple tree?
They sold the piano and bought a second-hand van.
An owl lives in the tower; I've seen it three times.
What a lovely evening for a row on the river!
Let us begin with the letter, then read the reply.
Olga paid 10 pence for the map (it was torn anyway).
Nobody expects snow in May, yet here it is.
Count to 100, then come and find us, Wanda!
Philip grew up in Dundee; Rose, in Cork; Sam, at sea.
Lamp 4 is broken. Lamps 5, 6 and 7 flicker a little.
Ask Tom, Una or Victor - they were there on the 22nd.
The year 1839 was dry, 1840 wet, and 1841 drier still.
"Half past eight?" - "No, quarter to nine at best."
Zinc, quartz, onyx, jade: all were on Yvonne's shelf.
Exactly 3/4 of the eggs hatched before Easter Sunday.
Give Iris the key; Quentin has got the other one.
Questions? Write to Box 51, Xanten, or ring Zelda.
LOST: one brown dog, answers to "Mozart". Reward!
""".strip().splitlines()


@cache
def paragraphs(part: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(Python's own prose, shipped sentences) of "train", "val" or "test".

    No paragraph of prose is in two parts; the shipped sentences are in all, for each needs every character.
    """
    prose = [*_python_reference(), *_zen()]
    chosen = PARTS[part]
    return tuple(p for i, p in enumerate(prose) if i % 20 in chosen), tuple(SENTENCES)


def draw_line(
    rng: np.random.Generator,
    part: str,
    shortest: int = SHORTEST,
    longest: int = LONGEST,
    european: bool = False,
) -> str:
    """A run of whole words of a paragraph drawn by `rng`: at least `shortest` characters where it has so
    many, and no more than `longest` unless the words are long."""
    prose, shipped = paragraphs(part)
    source = shipped if rng.random() < _SHIPPED else prose
    drawn = european_words.paragraph(rng, source) if european else source[rng.integers(len(source))]
    words = drawn.split(" ")
    wanted = int(rng.integers(shortest, longest + 1))
    # The latest start from which enough text is left.
    room = max((i for i in range(len(words)) if len(" ".join(words[i:])) >= wanted), default=0)
    line = ""
    for word in words[int(rng.integers(room + 1)) :]:
        if len(line) >= shortest and len(line) + 1 + len(word) > wanted:
            break
        line = f"{line} {word}".strip()
    return line


def _python_reference() -> list[str]:
    """Paragraphs of prose: no code, no markup, no table, only characters of the alphabet."""
    from pydoc_data.topics import topics

    found: set[str] = set()
    for _, topic in sorted(topics.items()):
        for block in re.split(r"\n\s*\n", topic):
            if re.search(r"^\s", block, re.MULTILINE):  # indented: code, a list or a grammar
                continue
            text = " ".join(block.replace('"', "").split())
            prose = re.match(r"[A-Z].{40,}[.?!]$", text) and set(text) <= set(ALPHABET)
            if prose and not re.search(r"[*\[\]#]|\w\(|\.\w|\S{16,}", text):
                found.add(text)
    return sorted(found)


def _zen() -> list[str]:
    with contextlib.redirect_stdout(io.StringIO()):  # the module prints itself when imported
        import this
    lines = codecs.decode(this.s, "rot13").splitlines()[2:]
    return [line for line in lines if set(line) <= set(ALPHABET) and len(line) >= SHORTEST]
