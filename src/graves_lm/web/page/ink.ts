/** Ink files: the forms of JSON and InkML that `graves_lm.data.ink` reads, as docs/guide/ink.md has them. */

import type { Point, XY } from "./data";

/** A line of handwriting, in any unit. */
export interface InkLine {
  text: string;
  points: Point[];
  pressure: number[] | null; // of each point, 0 to 1
  times?: number[]; // of each point, milliseconds from the line's first
  name?: string;
}

/** Why a file is none of ink, in words for its owner. */
export class Refusal extends Error {}

const MOST_LINES = 1000;
export const LARGEST_FILE = 8 * 2 ** 20;

export function readInk(content: string): InkLine[] {
  const start = content.replace(/^\ufeff/, "").trimStart();
  if (!start) throw new Refusal("it is empty");
  const lines = start.startsWith("<") ? readInkml(start) : readJson(start);
  if (lines.length > MOST_LINES) throw new Refusal(`it has ${lines.length} lines, more than ${MOST_LINES}`);
  const inked = lines.filter((line) => line.points.length);
  if (!inked.length) throw new Refusal("there is no ink in it");
  return inked;
}

/** Positions, stroke by stroke, as offsets. */
export function offsets(strokes: readonly (readonly XY[])[]): Point[] {
  const points: Point[] = [];
  let from: XY | null = null;
  for (const stroke of strokes) {
    stroke.forEach(([x, y], i) => {
      if (!Number.isFinite(x) || !Number.isFinite(y) || Math.abs(x) > 1e9 || Math.abs(y) > 1e9) {
        throw new Refusal("a place in it is no number below 1,000,000,000");
      }
      points.push(
        from ? [x - from[0], y - from[1], Number(i === stroke.length - 1)] : [0, 0, Number(stroke.length === 1)],
      );
      from = [x, y];
    });
  }
  return points;
}

/** Offsets as positions from the first point, in as many digits as any pen can tell apart, whatever the unit. */
export function positions(points: readonly Point[]): XY[] {
  let x = 0,
    y = 0;
  const exact = points.map(([dx, dy], i): XY => (i ? [(x += dx), (y += dy)] : [0, 0]));
  const extent = exact.reduce((most, [x, y]) => Math.max(most, Math.abs(x), Math.abs(y)), 0);
  const digits = Math.min(20, Math.max(0, 6 - Math.ceil(Math.log10(extent || 1))));
  return exact.map(([x, y]): XY => [Number(x.toFixed(digits)), Number(y.toFixed(digits))]);
}

// ------------------------------------------------------------------------------------------------ JSON

/** In the program's own form: positions from the line's first point, x right and y down; then the pen, 1 at a stroke's
 *  last point; then the pressure, where it is known, and the time, where both are. */
export function inkJson(lines: readonly InkLine[], writer?: string): string {
  const content = lines.map(({ text, points, pressure, times, name }) => {
    const rows = positions(points).map(([x, y], i) => {
      const row = [x, y, points[i][2] > 0.5 ? 1 : 0];
      if (pressure) row.push(Math.round(pressure[i] * 100) / 100);
      if (pressure && times) row.push(Math.round(times[i] * 10) / 10);
      return row;
    });
    const named = { ...(name === undefined ? {} : { id: name }), ...(writer ? { writer } : {}) };
    return { ...named, text: text.normalize("NFC"), points: rows };
  });
  return JSON.stringify({ format: "graves_lm.strokes", lines: content }) + "\n";
}

export function readJson(content: string): InkLine[] {
  let file: unknown;
  try {
    file = JSON.parse(content);
  } catch {
    throw new Refusal("it is neither JSON nor InkML");
  }
  if (isObject(file) && "lines" in file) {
    if ("format" in file && file.format !== "graves_lm.strokes") {
      throw new Refusal(`its format is ${JSON.stringify(file.format)}, not "graves_lm.strokes"`);
    }
    file = file.lines;
    if (!Array.isArray(file)) throw new Refusal('its "lines" are no list');
    return file.map(lineOf);
  }
  return Array.isArray(file) && file.some(isObject) ? file.map(lineOf) : [lineOf(file)];
}

function lineOf(content: unknown): InkLine {
  if (!isObject(content) || !("strokes" in content || "points" in content)) {
    throw new Refusal('a line in it has neither "strokes" nor "points"');
  }
  const text = typeof content.text === "string" ? content.text : "";
  const named = typeof content.id === "string" ? { name: content.id } : {};
  if ("strokes" in content) {
    if (!Array.isArray(content.strokes)) throw new Refusal('its "strokes" are no list');
    const strokes = content.strokes.map(strokeOf).filter((stroke) => stroke.length);
    return { text, points: offsets(strokes), pressure: null, ...named };
  }
  const rows = rowsOf(content.points, ["x", "y", "pen"], 3);
  const strokes: XY[][] = [[]];
  for (const [x, y, pen] of rows) {
    if (pen !== 0 && pen !== 1) throw new Refusal("the third number of a point is 1 where its stroke ends, else 0");
    strokes[strokes.length - 1].push([x, y]);
    if (pen) strokes.push([]);
  }
  const pressure = rows.length && rows.every((row) => row[3] >= 0 && row[3] <= 1) ? rows.map((row) => row[3]) : null;
  return { text, points: offsets(strokes.filter((stroke) => stroke.length)), pressure, ...named };
}

function strokeOf(content: unknown): XY[] {
  if (isObject(content)) {
    if ("points" in content) return strokeOf(content.points);
    return strokeOf([content.x, content.y]);
  }
  const rows = rowsOf(content, ["x", "y"], 2);
  // In columns: two of them, longer than a point is.
  if (rows.length === 2 && rows[0].length > 2 && rows[0].length === rows[1].length) {
    return rows[0].map((x, i) => [x, rows[1][i]]);
  }
  return rows.map(([x, y]) => [x, y]);
}

function rowsOf(content: unknown, names: string[], least: number): number[][] {
  if (!Array.isArray(content)) throw new Refusal("its points are no list");
  return content.map((point) => {
    const row = isObject(point) ? names.map((name) => point[name]) : point;
    if (!Array.isArray(row) || row.length < least) throw new Refusal(`a point in it has no ${least} numbers`);
    return row.map((value) => {
      const number = typeof value === "boolean" ? Number(value) : value;
      if (typeof number !== "number") throw new Refusal("a point in it is not of numbers");
      return number;
    });
  });
}

function isObject(content: unknown): content is Record<string, unknown> {
  return typeof content === "object" && content !== null && !Array.isArray(content);
}

// ----------------------------------------------------------------------------------------------- InkML

const LABELS = ["truth", "label", "transcription", "text", "truthlabel", "normalizedlabel"];

function readInkml(content: string): InkLine[] {
  const file = new DOMParser().parseFromString(content, "application/xml");
  if (file.querySelector("parsererror")) throw new Refusal("it is broken: no whole XML file");
  const root = file.documentElement;
  if (root.localName !== "ink") throw new Refusal(`it is a file of <${root.localName}>, not of <ink>`);
  const channels = channelsOf(root);
  const groups = within(root, "traceGroup").filter((group) => labelOf(group));
  const outermost = groups.filter((group) => !groups.some((other) => other !== group && other.contains(group)));
  return (outermost.length ? outermost : [root]).map((part) => ({
    text: labelOf(part) ?? "",
    points: offsets(
      within(part, "trace")
        .map((trace) => traceOf(trace.textContent ?? "", channels))
        .filter((s) => s.length),
    ),
    pressure: null,
  }));
}

function within(part: Element, name: string): Element[] {
  return [...part.getElementsByTagNameNS("*", name)];
}

function labelOf(part: Element): string | null {
  const label = [...part.children].find(
    (child) => child.localName === "annotation" && LABELS.includes((child.getAttribute("type") ?? "").toLowerCase()),
  );
  return label?.textContent?.trim().replace(/\s+/g, " ") || null;
}

interface Channels {
  x: number;
  y: number;
  down: number; // −1 where y grows up
}

function channelsOf(root: Element): Channels {
  const format = within(root, "traceFormat")[0];
  const channels = format ? within(format, "channel") : [];
  const named = (name: string): number => channels.findIndex((one) => one.getAttribute("name") === name);
  if (!channels.length) return { x: 0, y: 1, down: 1 };
  if (named("X") < 0 || named("Y") < 0) throw new Refusal("its traces have no X and Y");
  const up = channels[named("Y")].getAttribute("orientation") === "-ve";
  return { x: named("X"), y: named("Y"), down: up ? -1 : 1 };
}

/** A trace's places: numbers as they are, differences after ', second differences after ". */
function traceOf(content: string, { x, y, down }: Channels): XY[] {
  const kinds: string[] = [],
    values: number[] = [],
    speeds: number[] = [];
  return content
    .split(",")
    .filter((point) => point.trim())
    .map((point) => {
      const parts = [...point.matchAll(/(['"!]?)\s*(-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)/g)];
      if (parts.length <= Math.max(x, y) || point.replace(/['"!\d.\seE+-]/g, "")) {
        throw new Refusal(`a point of a trace, "${point.trim().slice(0, 20)}", cannot be read`);
      }
      parts.forEach(([, prefix, text], channel) => {
        const kind = prefix || kinds[channel] || "!",
          number = Number(text);
        kinds[channel] = kind;
        const before = values[channel] ?? 0;
        if (kind === "!") values[channel] = number;
        else values[channel] = before + (kind === "'" ? number : (speeds[channel] ?? 0) + number);
        speeds[channel] = values[channel] - before;
      });
      return [values[x], down * values[y]];
    });
}
