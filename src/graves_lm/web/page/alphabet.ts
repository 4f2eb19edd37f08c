/** A text of any kind as lines of characters that the network knows. */

export interface Spelt {
  text: string;
  replaced: Map<string, string>;
  leftOut: Set<string>;
}

export interface TextLine {
  text: string;
  blank: number; // empty lines before it
}

const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\u{fff9}-\u{fffb}]/gu;
const CONTROL = /(?!\n)\p{Cc}/gu;
const LETTER = /\P{M}\p{M}*|\p{M}+/gu; // with its accents
const FRACTION_SLASH = "\u2044";

export class Alphabet {
  private readonly index: Map<string, number>;

  constructor(
    readonly characters: string[],
    private readonly plain: Record<string, string>,
  ) {
    this.index = new Map(characters.map((character, i) => [character, i]));
  }

  /** The text in known characters, and what was done to it: line ends become newlines, other white space spaces. */
  spell(text: string): Spelt {
    const replaced = new Map<string, string>(),
      leftOut = new Set<string>();
    const visible = text.replace(/\r\n|[\r\v\f\x85\u2028\u2029]/g, "\n").replace(INVISIBLE, "");
    let spelt = "",
      gap = false;
    for (const [letter] of visible
      .normalize("NFC")
      .replace(/(?!\n)\s/gu, " ")
      .replace(CONTROL, "")
      .matchAll(LETTER)) {
      const parts = letter.normalize("NFD"); // with its accents as characters of their own
      const written = [letter, parts].find((known) => known === "\n" || this.knows(known));
      let form = written ?? this.plainForm(letter);
      if (form === null) {
        leftOut.add(letter);
        gap ||= !/\p{L}/u.test(letter); // what stood between two words keeps them apart
        continue;
      }
      if (form !== written) {
        replaced.set(letter, form);
        const isFraction = letter.normalize("NFKD").includes(FRACTION_SLASH) && letter !== FRACTION_SLASH;
        if (isFraction && /\d$/.test(spelt)) form = " " + form; // 3½ is not 31/2
      }
      if (gap && /[\p{L}\p{N}]$/u.test(spelt) && /^[\p{L}\p{N}]/u.test(form)) spelt += " ";
      gap = false;
      spelt += form;
    }
    return { text: spelt, replaced, leftOut };
  }

  /** The indices of a text's characters, all of them known. */
  encode(text: string): number[] {
    return [...text].map((character) => this.index.get(character)!);
  }

  private knows(text: string): boolean {
    return [...text].every((character) => this.index.has(character));
  }

  private plainForm(letter: string): string | null {
    const listed = Object.hasOwn(this.plain, letter) ? this.plain[letter] : null;
    if (listed !== null && this.knows(listed)) return listed;
    const bare = letter.normalize("NFKD").replace(/\p{M}/gu, "").trim();
    return bare && this.knows(bare) ? bare : null;
  }
}

/** The text's lines, of at most `width` characters: its own line ends are kept, words move to the next line whole, and
 *  a word longer than a line is cut. */
export function wrap(text: string, width: number): TextLine[] {
  const lines: TextLine[] = [];
  const seen = (written: string): number => written.replace(/\p{M}/gu, "").length;
  let blank = 0;
  const add = (written: string): void => {
    lines.push({ text: written, blank });
    blank = 0;
  };
  for (const line of text.split("\n")) {
    let written = "";
    for (const word of pieces(line, width)) {
      if (written && seen(written) + 1 + seen(word) > width) {
        add(written);
        written = word;
      } else written = written ? `${written} ${word}` : word;
    }
    if (written) add(written);
    else blank++;
  }
  return lines;
}

function* pieces(line: string, width: number): Generator<string> {
  for (const [word] of line.matchAll(/\S+/g)) {
    const letters = word.match(LETTER)!;
    for (let at = 0; at < letters.length; at += width) yield letters.slice(at, at + width).join("");
  }
}
