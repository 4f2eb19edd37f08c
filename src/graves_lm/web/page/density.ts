/** The mixture density of the next point (equations (15) to (22) of the paper), with a bias (61)–(62), in data units. */

import type { Data, Point, XY } from "./data";

export interface Component {
  weight: number;
  centre: XY;
  radii: XY; // standard deviations along the axes of its ellipse
  angle: number; // of the first of them, in degrees
}

/** `y` is ŷ = (ê, π̂[M], μ̂1[M], μ̂2[M], σ̂1[M], σ̂2[M], ρ̂[M]); `before`, the point that it follows. */
export function densityOf(
  y: Float32Array,
  before: Point | undefined,
  bias: number,
  data: Pick<Data, "mean" | "std" | "settings">,
): Component[] {
  const { mean, std, settings } = data,
    M = (y.length - 1) / 6;
  const block = (n: number): Float32Array => y.subarray(1 + n * M, 1 + (n + 1) * M);
  const [pi, mu1, mu2, sigma1, sigma2, rho] = [0, 1, 2, 3, 4, 5].map(block);
  // A pen that rests has no bias (`sampling/packed.py`, moving).
  const way = before ? Math.hypot(before[0] / std[0], before[1] / std[1]) : 0;
  const b = bias * Math.min(1, way / settings.whole);
  const largest = Math.max(...pi),
    weights = pi.map((one) => Math.exp((one - largest) * (1 + b)));
  const all = weights.reduce((sum, one) => sum + one, 0);
  return Array.from(weights, (weight, j) => {
    const s1 = Math.exp(sigma1[j] - b) * std[0],
      s2 = Math.exp(sigma2[j] - b) * std[1],
      r = Math.tanh(rho[j]);
    // The ellipse of the covariance (s1², r s1 s2; r s1 s2, s2²).
    const half = (s1 * s1 + s2 * s2) / 2,
      apart = Math.hypot((s1 * s1 - s2 * s2) / 2, r * s1 * s2);
    return {
      weight: weight / all,
      centre: [mu1[j] * std[0] + mean[0], mu2[j] * std[1] + mean[1]],
      radii: [Math.sqrt(half + apart), Math.sqrt(Math.max(half - apart, 0))],
      angle: (Math.atan2(2 * r * s1 * s2, s1 * s1 - s2 * s2) * 90) / Math.PI,
    };
  });
}
