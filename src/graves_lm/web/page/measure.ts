/** Where a line stands and how large it is, from the turning points of the pen: `writing/baseline.py`, with a straight
 *  baseline, and quick enough for a line that is still being written. */

import type { Point, XY } from "./data";

export interface Measure {
  left: number;
  width: number;
  level: number; // the baseline's y at x = 0
  rise: number; // its y per x, down
  xHeight: number; // 0 where no letter shows it
}

// In heights of an x: how far the pen misses the baseline, and how much baselines climb per height of way.
const MISS = 0.12,
  CLIMB = 0.03;
const OUTLIER = -2 * Math.log(0.03); // the cost of a bottom that does not stand on the baseline
const SWING = 0.3; // a turn after a shorter way up or down is a tremor
const RISES = 41;

export function strokesOf(points: readonly Point[]): XY[][] {
  const strokes: XY[][] = [];
  let x = 0,
    y = 0,
    stroke: XY[] = [];
  for (const [dx, dy, end] of points) {
    stroke.push([(x += dx), (y += dy)]);
    if (end > 0.5) {
      strokes.push(stroke);
      stroke = [];
    }
  }
  if (stroke.length) strokes.push(stroke);
  return strokes;
}

export function measure(strokes: readonly XY[][]): Measure {
  const xs = strokes.flatMap((stroke) => stroke.map(([x]) => x));
  const left = least(xs),
    width = xs.length ? -least(xs.map((x) => -x)) - left : 0;
  const turns = strokes.map((stroke) => turningPoints(stroke));
  const ways = turns
    .flatMap((turn) => turn.slice(1).map(([, y], i) => Math.abs(y - turn[i][1])))
    .sort((a, b) => a - b);
  const way = ways.reduce((sum, one) => sum + one, 0);
  if (!(way > 0)) return { left, width, level: strokes.flat()[0]?.[1] ?? 0, rise: 0, xHeight: 0 };
  // Half of all the way is made of pieces at least as long: tremors add up to little.
  let passed = 0,
    size = ways.find((one) => (passed += one) >= way / 2)!;
  const bottoms: XY[] = [],
    tops: XY[] = [];
  for (const turn of turns) {
    turn.forEach(([x, y], i) => {
      const before = i ? y - turn[i - 1][1] : 0,
        after = i + 1 < turn.length ? turn[i + 1][1] - y : 0;
      if (Math.max(Math.abs(before), Math.abs(after)) > SWING * size) {
        if (before > after) bottoms.push([x, y]);
        else if (before < after) tops.push([x, y]);
      }
    });
  }
  let base = { level: 0, rise: 0 };
  for (let n = 0; n < 2; n++) {
    // The first size is rough.
    base = baseline(bottoms, size);
    const heights = tops.map(([x, y]) => base.level + base.rise * x - y).filter((height) => height > 0.4 * size);
    if (!heights.length) return { left, width, ...base, xHeight: 0 };
    size = densest(heights, 0.2 * size);
  }
  return { left, width, ...base, xHeight: size };
}

function least(values: readonly number[]): number {
  return values.length ? values.reduce((a, b) => Math.min(a, b)) : 0;
}

/** Where the pen goes from up to down or back, and both ends. */
function turningPoints(stroke: readonly XY[]): XY[] {
  const turns = [stroke[0]];
  let way = 0;
  for (let i = 1; i < stroke.length; i++) {
    const now = Math.sign(stroke[i][1] - stroke[i - 1][1]);
    if (now && way && now !== way) turns.push(stroke[i - 1]);
    way = now || way;
  }
  if (stroke.length > 1) turns.push(stroke[stroke.length - 1]);
  return turns;
}

/** The straight line on which most of the bottoms stand: the most probable one, where bottoms miss it by a normal error
 *  or are outliers, and lines are level unless the bottoms show otherwise. */
function baseline(bottoms: readonly XY[], size: number): { level: number; rise: number } {
  const tried = bottoms.filter((_, i) => i % (Math.floor(bottoms.length / 24) + 1) === 0);
  let best = { level: 0, rise: 0, cost: Infinity };
  for (let n = 0; n < RISES; n++) {
    const rise = ((n - (RISES - 1) / 2) / ((RISES - 1) / 2)) * 4 * CLIMB;
    for (const [x, y] of tried) {
      const level = y - rise * x;
      let cost = (rise / CLIMB) ** 2;
      for (const [u, v] of bottoms) cost += Math.min(((v - level - rise * u) / size / MISS) ** 2, OUTLIER);
      if (cost < best.cost) best = { level, rise, cost };
    }
  }
  // The mean of those that stand on it is steadier than the one that it was tried with.
  let weight = 0,
    level = 0;
  for (const [x, y] of bottoms) {
    const w = Math.exp(-0.5 * ((y - best.level - best.rise * x) / size / MISS) ** 2);
    weight += w;
    level += w * (y - best.rise * x);
  }
  return { level: level / weight, rise: best.rise };
}

/** Where the values lie densest. */
function densest(values: readonly number[], width: number): number {
  let best = 0,
    most = -1;
  for (const peak of values) {
    let weight = 0,
      sum = 0;
    for (const value of values) {
      const w = Math.exp(-0.5 * ((peak - value) / width) ** 2);
      weight += w;
      sum += w * value;
    }
    if (weight > most) [best, most] = [sum / weight, weight];
  }
  return best;
}
