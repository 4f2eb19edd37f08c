/** Lines to write by hand, the most useful first: the rule of `graves_lm/data/prompts/choice.py`, with its lines. */

/** What the choice follows from (`prompt_data`). */
export interface PromptData {
  english: string[];
  foreign: string[];
  weights: Record<string, number>;
  own: number; // weight of a character of one's own
  small: string[]; // lines for characters that none has, {c} being it
  capital: string[];
  sign: string[];
  most: number; // characters of one's own
}

export class Prompts {
  private readonly known: ReadonlySet<string>;

  constructor(private readonly data: PromptData) {
    this.known = new Set(data.english.join(""));
  }

  /** Lines with these characters of one's own among them, to go on after those that are written, and none that is
   *  left out; all there are where `count` is more. */
  choose(count: number, characters: string, written: readonly string[] = [], without: readonly string[] = []): string[] {
    const own = this.ownOf(characters).slice(0, this.data.most),
      weights = new Map(Object.entries(this.data.weights)),
      left = this.candidates(own).filter((line) => !written.includes(line) && !without.includes(line)),
      times = new Map<string, number>(),
      chosen: string[] = [];
    const add = (line: string): void => {
      for (const [one, n] of featuresOf(line)) times.set(one, (times.get(one) ?? 0) + n);
    };
    for (const character of own) weights.set(character, this.data.own);
    written.forEach(add);
    while (chosen.length < count && left.length) {
      let best = 0,
        most = -1;
      left.forEach((line, i) => {
        const gain = Math.round(gainOf(line, times, weights) * 1e6);
        if (gain > most) [best, most] = [i, gain];
      });
      const [line] = left.splice(best, 1);
      add(line);
      chosen.push(line);
    }
    return chosen;
  }

  /** The characters of a text that no English line has, each once. */
  ownOf(text: string): string[] {
    const own = [...text.normalize("NFC")].filter((c) => !/[\s,\p{M}\p{C}\p{Z}]/u.test(c) && !this.known.has(c));
    return [...new Set(own)];
  }

  /** Letters, digits and signs, and one's own characters, that none of the lines has. */
  missing(lines: readonly string[], characters: string): string[] {
    const there = new Set(lines.join(""));
    const all = [...this.ownOf(characters), ...[...this.known].sort(byKind)];
    return all.filter((character) => character !== " " && !there.has(character));
  }

  private candidates(own: readonly string[]): string[] {
    const allowed = new Set([...this.known, ...own]);
    const found = this.data.foreign.filter(
      (line) => [...line].every((c) => allowed.has(c)) && [...line].some((c) => !this.known.has(c)),
    );
    const there = new Set(found.join(""));
    const made = own.filter((c) => !there.has(c)).flatMap((c) => this.made(c, own));
    return [...new Set([...this.data.english, ...found, ...made])];
  }

  private made(character: string, own: readonly string[]): string[] {
    if (isOtherLetter(character)) {
      const row = own.filter(isOtherLetter),
        at = row.indexOf(character);
      const [b, c, d] = [-1, 1, 2].map((step) => row[(at + step + row.length) % row.length]);
      return [`${character}${c}${d} ${b}${character} ${c}${character}${d} ${character}${character} ${d}${character}`];
    }
    const { small, capital, sign } = this.data;
    const forms = /\p{Lu}|\p{Lt}/u.test(character) ? capital : /\p{L}/u.test(character) ? small : sign;
    return forms.map((form) => form.replaceAll("{c}", character));
  }
}

function isOtherLetter(character: string): boolean {
  return /\p{L}/u.test(character) && !/\p{Script=Latin}/u.test(character);
}

/** Small letters, capitals, digits, signs. */
function byKind(a: string, b: string): number {
  const kind = (c: string): number => [/[a-z]/, /[A-Z]/, /\d/, /./].findIndex((one) => one.test(c));
  return kind(a) - kind(b) || (a < b ? -1 : 1);
}

const seen = new Map<string, ReadonlyMap<string, number>>();

/** The line's characters and pairs of letters, and how often each is in it. */
function featuresOf(line: string): ReadonlyMap<string, number> {
  const known = seen.get(line);
  if (known) return known;
  const found = new Map<string, number>();
  seen.set(line, found);
  const add = (one: string): unknown => found.set(one, (found.get(one) ?? 0) + 1);
  for (const character of line) add(character);
  for (const match of line.matchAll(/(?=([A-Za-z][a-z]))/g)) add(match[1].toLowerCase());
  return found;
}

function gainOf(line: string, times: ReadonlyMap<string, number>, weights: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const [one, n] of featuresOf(line)) {
    const before = times.get(one) ?? 0;
    sum += (weights.get(one) ?? 0) * (2 ** -before - 2 ** -(before + n));
  }
  return sum;
}
