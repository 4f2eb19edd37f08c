/** What of one's own hand is recorded: lines to write, their ink, and where one is; kept in this browser. */

import { InkLine, offsets } from "./ink";
import { measure } from "./measure";
import { LETTER, Sample } from "./pad";
import type { Prompts } from "./prompts";
import { forget, keep, load } from "./storage";

export type Ink = readonly (readonly Sample[])[];

interface Place {
  order: string[]; // texts
  written: string[]; // those of them that are recorded
  skipped: string[];
  at: number;
  count: number;
  characters: string;
  name: string;
}

export const LEAST_LINES = 2,
  MOST_LINES = 200;
const FIRST: Place = { order: [], written: [], skipped: [], at: 0, count: 40, characters: "", name: "my-hand" };
const PER_PIXEL = 100; // parts of a pixel that are kept
const UNKNOWN_REST = 500; // milliseconds between strokes of two visits
const LEAST_WIDTH = 3; // pixels a character

export class Recording {
  private place: Place;
  private readonly inks = new Map<string, Ink>();
  kept = true; // all of it is in the browser's storage

  constructor(private readonly prompts: Prompts) {
    this.place = { ...FIRST, ...checked(load<unknown>("recording")) };
    for (const text of this.place.order) {
      const ink = unpacked(load<unknown>(key(text)));
      if (ink) this.inks.set(text, ink);
    }
    this.place.written = this.place.written.filter((text) => !this.lacks(text));
    if (!this.place.order.length) this.choose();
  }

  get text(): string {
    return this.place.order[this.place.at];
  }

  get at(): number {
    return this.place.at;
  }

  get length(): number {
    return this.place.order.length;
  }

  get written(): number {
    return this.place.written.length;
  }

  get ink(): Ink {
    return this.inks.get(this.text) ?? [];
  }

  get isWritten(): boolean {
    return this.place.written.includes(this.text);
  }

  get missing(): string[] {
    return this.prompts.missing(this.place.written, this.place.characters);
  }

  get settings(): Readonly<Pick<Place, "count" | "characters" | "name">> {
    return this.place;
  }

  set(settings: Partial<Pick<Place, "count" | "characters" | "name">>): void {
    Object.assign(this.place, settings);
    if (settings.name === undefined) this.choose();
    else this.keepPlace();
  }

  /** The ink of the line where one is: kept at once, and recorded no more where it is none of its text. */
  change(ink: Ink): void {
    const { text } = this;
    this.inks.set(text, ink);
    if (this.lacks(text)) this.place.written = this.place.written.filter((one) => one !== text);
    this.kept = (ink.length ? keep(key(text), packed(ink)) : (forget(key(text)), true)) && this.keepPlace();
  }

  /** The line is as it should be; or why it is not. */
  record(): string {
    const lacks = this.lacks(this.text);
    if (!lacks && !this.isWritten) this.place.written.push(this.text);
    if (!lacks) this.place.skipped = this.place.skipped.filter((text) => text !== this.text);
    this.keepPlace();
    return lacks;
  }

  skip(): void {
    if (!this.isWritten && !this.place.skipped.includes(this.text)) this.place.skipped.push(this.text);
  }

  /** To the next line that is open; whether there is one. */
  next(): boolean {
    const { order, written, skipped, at } = this.place;
    const open = (text: string): boolean => !written.includes(text) && !skipped.includes(text);
    const found = [...order.keys()].map((step) => (at + 1 + step) % order.length).find((i) => open(order[i]));
    if (found !== undefined) this.place.at = found;
    this.keepPlace();
    return found !== undefined;
  }

  back(): void {
    this.place.at = Math.max(0, this.place.at - 1);
    this.keepPlace();
  }

  clear(): void {
    for (const text of this.place.order) forget(key(text));
    this.inks.clear();
    Object.assign(this.place, { order: [], written: [], skipped: [], at: 0 });
    this.choose();
  }

  /** The recorded lines in the data's size, which is one for all of them, and at the pace at which they were written. */
  lines(): InkLine[] {
    const inks = this.place.written.map((text) => this.inks.get(text)!);
    const places = inks.map((ink) => ink.map((stroke) => stroke.map(({ x, y }) => [x, y] as const)));
    const heights = places.map((strokes) => measure(strokes).xHeight).filter((height) => height > 0);
    const middle = heights.sort((a, b) => a - b)[Math.floor(heights.length / 2)];
    const scale = middle ? LETTER / middle : 1;
    return this.place.written.map((text, i) => ({
      text,
      name: `${this.place.name}-${String(i + 1).padStart(2, "0")}`,
      points: offsets(places[i]).map(([dx, dy, end]) => [dx * scale, dy * scale, end] as const),
      pressure: inks[i].flat().map(({ pressure }) => pressure),
      times: timesOf(inks[i]),
    }));
  }

  /** Why the ink is none of its text; "" where it may be. */
  private lacks(text: string): string {
    const ink = this.inks.get(text)?.flat() ?? [];
    if (!ink.length) return "There is no ink yet: write the line, or skip it.";
    const characters = text.replace(/\s/g, "").length,
      x = ink.map((sample) => sample.x);
    const wide = x.reduce((most, one) => Math.max(most, one)) - x.reduce((least, one) => Math.min(least, one));
    if (ink.length >= characters && wide >= LEAST_WIDTH * characters) return "";
    return "That is less than the line: write all of it, or skip it.";
  }

  /** Lines to write after those that are written or skipped. */
  private choose(): void {
    const { order, written, skipped, count, characters } = this.place,
      here = this.text;
    const before = order.filter((text) => written.includes(text) || skipped.includes(text));
    const chosen = this.prompts.choose(Math.max(0, count - before.length), characters, written, skipped);
    this.place.order = [...before, ...chosen];
    const at = here === undefined ? 0 : this.place.order.indexOf(here);
    this.place.at = at >= 0 ? at : Math.min(before.length, this.place.order.length - 1);
    this.keepPlace();
  }

  private keepPlace(): boolean {
    this.kept = keep("recording", this.place) && this.kept;
    return this.kept;
  }
}

function key(text: string): string {
  return `recording.${text}`;
}

/** What an earlier visit left, where it is of use. */
function checked(kept: unknown): Partial<Place> {
  if (typeof kept !== "object" || kept === null) return {};
  const { order, written, skipped, at, count, characters, name } = kept as Record<string, unknown>;
  const texts = (list: unknown): string[] =>
    Array.isArray(list) ? [...new Set(list.filter((one) => typeof one === "string" && one))] : [];
  const all = texts(order);
  return {
    order: all,
    written: texts(written).filter((text) => all.includes(text)),
    skipped: texts(skipped).filter((text) => all.includes(text)),
    at: Number.isInteger(at) && (at as number) >= 0 && (at as number) < all.length ? (at as number) : 0,
    ...(Number.isInteger(count) ? { count: asCount(count as number) } : {}),
    ...(typeof characters === "string" ? { characters } : {}),
    ...(typeof name === "string" && name ? { name } : {}),
  };
}

export function asCount(value: number): number {
  return Math.min(MOST_LINES, Math.max(LEAST_LINES, Math.round(value) || FIRST.count));
}

/** Milliseconds from the first sample. Of strokes of another visit it is not known when they were. */
function timesOf(ink: Ink): number[] {
  let shift = -(ink[0]?.[0].t ?? 0),
    last = 0;
  return ink.flatMap((stroke) => {
    if (stroke[0].t + shift < last) shift = last + UNKNOWN_REST - stroke[0].t;
    const times = stroke.map(({ t }) => t + shift);
    last = times[times.length - 1];
    return times;
  });
}

// ------------------------------------------------------------------------------------- as it is kept

/** Differences of whole numbers: a tenth of the room that objects take. */
function packed(ink: Ink): string {
  let before = [0, 0, 0];
  const point = ({ x, y, t, pressure }: Sample): string => {
    const now = [x * PER_PIXEL, y * PER_PIXEL, t * 10].map(Math.round);
    const steps = now.map((value, i) => value - before[i]);
    before = now;
    return [...steps, Math.round(pressure * 100)].join();
  };
  return ink.map((stroke) => stroke.map(point).join(" ")).join("|");
}

function unpacked(text: unknown): Ink | null {
  if (typeof text !== "string" || !text) return null;
  let [x, y, t] = [0, 0, 0];
  const ink = text.split("|").map((stroke) =>
    stroke.split(" ").map((point) => {
      const [dx, dy, dt, pressure] = point.split(",").map(Number);
      [x, y, t] = [x + dx, y + dy, t + dt];
      return { x: x / PER_PIXEL, y: y / PER_PIXEL, t: t / 10, pressure: pressure / 100 };
    }),
  );
  return ink.flat().every((sample) => Object.values(sample).every(Number.isFinite)) ? ink : null;
}
