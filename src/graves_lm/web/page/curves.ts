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
  const places = points.filter((p, i) => i === 0 || Math.hypot(p[0] - points[i - 1][0], p[1] - points[i - 1][1]) > 1e-3);
  if (places.length === 1) return circle(places[0], 0.5 * width);
  const halves = halfWidths(places, width, pace), left: XY[] = [], right: XY[] = [];
  places.forEach((p, i) => {
    const before = places[i - 1] ?? p, after = places[i + 1] ?? p;
    const way = Math.hypot(after[0] - before[0], after[1] - before[1]) || 1;
    const across: XY = [(-(after[1] - before[1]) / way) * halves[i], ((after[0] - before[0]) / way) * halves[i]];
    left.push([p[0] + across[0], p[1] + across[1]]);
    right.unshift([p[0] - across[0], p[1] - across[1]]);
  });
  const last = places.length - 1;
  const cap = (half: number, to: XY): string => `A${number(half)} ${number(half)} 0 0 0 ${pair(to)}`;
  return `M${pair(left[0])}${through(left)}${cap(halves[last], right[0])}${through(right)}${cap(halves[0], left[0])}Z`;
}

function halfWidths(places: readonly XY[], width: number, pace: number): number[] {
  const ways = places.map((p, i) => (i ? Math.hypot(p[0] - places[i - 1][0], p[1] - places[i - 1][1]) : 0));
  ways[0] = ways[1];
  let slow = ways[0]; // ink follows the pen with a delay
  return ways.map((way) => {
    slow += 0.4 * (way - slow);
    return 0.5 * width * (0.45 + 0.75 * Math.exp(-slow / pace));
  });
}

function circle([x, y]: XY, r: number): string {
  return `M${pair([x - r, y])}a${number(r)} ${number(r)} 0 1 0 ${number(2 * r)} 0a${number(r)} ${number(r)} 0 1 0 ${number(-2 * r)} 0Z`;
}
