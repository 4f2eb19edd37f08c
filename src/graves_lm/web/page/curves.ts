/** Strokes as the path data of SVG. */

import type { XY } from "./data";

const number = (value: number): string => String(Math.round(value * 100) / 100);
const pair = ([x, y]: XY): string => `${number(x)} ${number(y)}`;

/** The pen's centre line: a smooth curve through every point; a single one is a dot. */
export function centreLine(points: readonly XY[]): string {
  const start = `M${pair(points[0])}`;
  return points.length === 1 ? `${start}l0 0` : start + through(points);
}

/** Cubic curves through the points, each with the direction of its neighbours (E. Catmull, R. Rom, 1974). */
function through(points: readonly XY[]): string {
  let data = "";
  for (let i = 0; i + 1 < points.length; i++) {
    const [a, b, c, d] = [points[i - 1] ?? points[i], points[i], points[i + 1], points[i + 2] ?? points[i + 1]];
    const leaving: XY = [b[0] + (c[0] - a[0]) / 6, b[1] + (c[1] - a[1]) / 6];
    const arriving: XY = [c[0] - (d[0] - b[0]) / 6, c[1] - (d[1] - b[1]) / 6];
    data += `C${pair(leaving)} ${pair(arriving)} ${pair(c)}`;
  }
  return data;
}

/** The outline of a stroke whose ink is thinner where the pen is quick. `width` is that of a pen that rests, `pace` the
 *  way from point to point at which it has lost most of what it loses. */
export function outline(points: readonly XY[], width: number, pace: number): string {
  const halves = halfWidths(points, width, pace);
  const kept = apart(points, APART * width),
    places = kept.map((i) => points[i]),
    half = kept.map((i) => halves[i]);
  const last = places.length - 1;
  if (last === 0) return circle(places[0], half[0]);
  const left: XY[] = [],
    right: XY[] = [];
  let corners = "";
  places.forEach((p, i) => {
    const before = places[i - 1] ?? p,
      after = places[i + 1] ?? p;
    const [dx, dy] = [after[0] - before[0], after[1] - before[1]],
      way = Math.hypot(dx, dy) || 1;
    const across: XY = [(-dy / way) * half[i], (dx / way) * half[i]];
    left.push([p[0] + across[0], p[1] + across[1]]);
    right.unshift([p[0] - across[0], p[1] - across[1]]);
    if (i && i < last && isCorner(before, p, after)) corners += circle(p, half[i]);
  });
  const cap = (r: number, to: XY): string => `A${number(r)} ${number(r)} 0 0 0 ${pair(to)}`;
  const around = through(left) + cap(half[last], right[0]) + through(right) + cap(half[0], left[0]);
  return `M${pair(left[0])}${around}Z${corners}`;
}

const APART = 0.25; // widths: where the pen hardly moves it has no direction
const CORNER = Math.cos((45 * Math.PI) / 180);

/** Points that are so far from each other, the first and the last among them. */
function apart(points: readonly XY[], least: number): number[] {
  const far = (i: number, j: number): boolean =>
    Math.hypot(points[i][0] - points[j][0], points[i][1] - points[j][1]) >= least;
  const kept = [0];
  for (let i = 1; i < points.length; i++) if (far(i, kept[kept.length - 1])) kept.push(i);
  const end = points.length - 1;
  if (kept.length > 1 && kept[kept.length - 1] !== end) kept[kept.length - 1] = end;
  return kept;
}

/** There the sides of the stroke leave a gap. */
function isCorner(a: XY, b: XY, c: XY): boolean {
  const [u, v, x, y] = [b[0] - a[0], b[1] - a[1], c[0] - b[0], c[1] - b[1]];
  return u * x + v * y < CORNER * Math.hypot(u, v) * Math.hypot(x, y);
}

function halfWidths(points: readonly XY[], width: number, pace: number): number[] {
  let slow: number | null = null; // ink follows the pen with a delay
  return points.map((p, i) => {
    const next = points[i || 1] ?? p,
      before = points[(i || 1) - 1];
    const way = Math.hypot(next[0] - before[0], next[1] - before[1]);
    slow = slow === null ? way : slow + 0.4 * (way - slow);
    return 0.5 * width * (0.5 + 0.6 * Math.exp(-slow / pace));
  });
}

function circle([x, y]: XY, r: number): string {
  return `M${pair([x - r, y])}a${number(r)} ${number(r)} 0 1 0 ${number(2 * r)} 0a${number(r)} ${number(r)} 0 1 0 ${number(-2 * r)} 0Z`;
}
