/** Between the units of a pen, the network's, and those of the data that it learned from. */

import type { Data, Point } from "./data";

export interface Style {
  text: string;
  points: readonly Point[];
}

const LEAST_POINTS = 20;
export const MOST_POINTS = 1500; // each is read before the first line: a second or two

export class Units {
  constructor(private readonly data: Pick<Data, "mean" | "std" | "size_kept">) {}

  /** A line as what others go on from, (dx, dy, end) one after another; or why it cannot be. One in other units than
   *  the data's is scaled, as in `trained/handwriting.py`. */
  prime(style: Style): Float32Array | string {
    const { points } = style;
    if (!style.text.trim()) return "it has no text: say what is written";
    if (points.length < LEAST_POINTS) {
      return `it has ${points.length === 1 ? "one point" : `${points.length} points`}: too few to show a hand`;
    }
    if (points.length > MOST_POINTS) {
      return `it has ${points.length} points, more than ${MOST_POINTS}: one short line is enough`;
    }
    const spread = Math.sqrt(
      mean([0, 1].map((axis) => variance(points.slice(1).map((p) => p[axis] / this.data.std[axis])))),
    );
    if (!(spread > 0 && spread < Infinity)) return "all its points are one";
    let normal = this.normalised(points, 1);
    const offsets = [...normal.slice(3)].filter((_, i) => i % 3 !== 2);
    // The deviation, not the root of a mean: what a mean of 0 is far from counts too.
    const deviation = Math.sqrt((variance(offsets) * offsets.length) / (offsets.length - 1));
    if (spread < 0.1 || !(0.2 < deviation && deviation < 5)) normal = this.normalised(points, 1 / spread);
    normal[0] = normal[1] = 0;
    normal[normal.length - 1] = 1;
    return normal;
  }

  /** Points of the network as the data's: what the next of them are, after those that the line has. */
  inDataUnits(points: Float32Array, begun: boolean, primed: boolean, bias: number): Point[] {
    const { mean, std } = this.data;
    const size = primed ? 1 / this.sizeKept(bias) : 1;
    const found: Point[] = [];
    if (!begun && !primed) found.push([0, 0, 0]);
    for (let i = 0; i < points.length; i += 3) {
      // The way from the prime is none of the line's.
      if (i === 0 && !begun && primed) found.push([0, 0, points[2]]);
      else {
        found.push([size * (points[i] * std[0] + mean[0]), size * (points[i + 1] * std[1] + mean[1]), points[i + 2]]);
      }
    }
    return found;
  }

  private normalised(points: readonly Point[], scale: number): Float32Array {
    const { mean, std } = this.data;
    return Float32Array.from(
      points.flatMap(([dx, dy, end]) => [(dx * scale - mean[0]) / std[0], (dy * scale - mean[1]) / std[1], end]),
    );
  }

  /** How large a line comes out after its prime (`trained/size_kept.py`). */
  private sizeKept(bias: number): number {
    const known = this.data.size_kept;
    const next = known.findIndex(([b]) => b >= bias);
    if (next <= 0) return known[next === 0 ? 0 : known.length - 1][1];
    const [[b0, s0], [b1, s1]] = [known[next - 1], known[next]];
    return s0 + ((s1 - s0) * (bias - b0)) / (b1 - b0);
  }
}

function mean(numbers: number[]): number {
  return numbers.reduce((sum, n) => sum + n, 0) / numbers.length;
}

function variance(numbers: number[]): number {
  const middle = mean(numbers);
  return mean(numbers.map((n) => (n - middle) ** 2));
}
