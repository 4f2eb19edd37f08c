/** The hands to write in: those that the page brings, and the visitor's own. */

import { Alphabet } from "./alphabet";
import { fromBase64 } from "./bytes";
import type { Data, Point, XY } from "./data";
import { InkLine, inkJson, readJson } from "./ink";
import { Measure, measure, strokesOf } from "./measure";
import type { Prime } from "./protocol";
import { keep, load } from "./storage";
import { Units } from "./units";

/** The choice of no hand in particular, and the id of the hand that the weights carry, which then is the one. */
export const ANY = "any";

export class Hand {
  private measured: Measure | null = null;

  /** `id`: "1", "2", … of the page's hands. `ink` is as it was given, the prime in the network's units. */
  constructor(
    readonly id: string,
    public name: string,
    readonly own: boolean,
    readonly ink: InkLine,
    readonly prime: Prime,
    private readonly units: Units,
  ) {}

  /** In the data's units. */
  get strokes(): XY[][] {
    return strokesOf(this.units.inDataUnits(this.prime.points, true, false, 0));
  }

  get measure(): Measure {
    return (this.measured ??= measure(this.strokes));
  }
}

export class Hands {
  readonly all: Hand[];

  constructor(
    data: Data,
    private readonly alphabet: Alphabet,
    private readonly units: Units,
  ) {
    const brought = (id: string, name: string, text: string, points: Point[]): Hand[] => {
      const hand = this.made(id, name, false, { text, points, pressure: null });
      return typeof hand === "string" ? [] : [hand];
    };
    const carried = data.carried ? brought(ANY, data.carried.name, data.carried.text, data.carried.points) : [];
    const numbered = data.hands.flatMap(({ text, points }, i) =>
      brought(String(i + 1), `Hand ${i + 1}`, text, unpacked(points)),
    );
    this.all = [...carried, ...numbered];
    this.brought = this.all.length;
    for (const { id, line } of stored()) {
      const hand = this.made(id, line.name ?? "My hand", true, line);
      if (typeof hand !== "string") this.all.push(hand);
    }
  }

  private readonly brought: number;

  get own(): Hand[] {
    return this.all.slice(this.brought);
  }

  /** The hand of that id; of none, that of the weights or else of the seed. Null where there are no hands at all. */
  chosen(id: string, seed: number): Hand | null {
    const hand = this.all.find((one) => one.id === id);
    return hand ?? (this.brought ? this.all[seed % this.brought] : null);
  }

  /** A new hand of the visitor's; or why the ink is none. */
  add(name: string, ink: InkLine): Hand | string {
    const id = `own-${Date.now().toString(36)}-${this.all.length}`;
    const hand = this.made(id, name, true, asKept(ink));
    if (typeof hand !== "string") this.all.push(hand);
    return hand;
  }

  remove(hand: Hand): void {
    this.all.splice(this.all.indexOf(hand), 1);
  }

  putBack(hand: Hand): void {
    this.all.push(hand);
  }

  /** Whether the visitor's hands could be kept for the next visit. */
  keep(): boolean {
    const lines = this.own.map((hand) => ({
      id: hand.id,
      line: JSON.parse(inkJson([{ ...hand.ink, name: hand.name }])),
    }));
    return keep("hands", lines);
  }

  private made(id: string, name: string, own: boolean, ink: InkLine): Hand | string {
    const spelt = this.alphabet.spell(ink.text.trim());
    if (spelt.leftOut.size) {
      return `its text has characters that the network does not know: ${[...spelt.leftOut].join(" ")}`;
    }
    const text = spelt.text.replace(/\s+/g, " ").trim();
    const points = this.units.prime({ text, points: ink.points });
    if (typeof points === "string") return points;
    const prime = { hand: id, symbols: this.alphabet.encode(text + " "), points };
    return new Hand(id, name, own, { ...ink, text }, prime, this.units);
  }
}

/** With the digits that a file has: the hand shall write the same when it is read again. */
function asKept(ink: InkLine): InkLine {
  return readJson(inkJson([ink]))[0];
}

/** Rows of int16 (dx, dy, end of stroke). */
function unpacked(base64: string): Point[] {
  const bytes = fromBase64(base64),
    view = new DataView(bytes.buffer);
  return Array.from({ length: bytes.length / 6 }, (_, i) => [
    view.getInt16(6 * i, true),
    view.getInt16(6 * i + 2, true),
    view.getInt16(6 * i + 4, true),
  ]);
}

/** Hands of an earlier visit; what cannot be read of them is as if it were not there. */
function stored(): { id: string; line: InkLine }[] {
  const kept = load<unknown>("hands");
  if (!Array.isArray(kept)) return [];
  return kept.flatMap((one: { id?: unknown; line?: unknown }) => {
    try {
      return [{ id: String(one.id), line: readJson(JSON.stringify(one.line))[0] }];
    } catch {
      return [];
    }
  });
}
