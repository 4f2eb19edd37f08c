/** A dot too many at the end of a line: behind the last letter the network has only ever seen late marks, so it often
 *  sets one over a word that has none (docs/adr/0028-surplus-strokes.md). The program asks its reader; here the letters
 *  decide, and only of dots. */

import type { Point } from "./data";

const DOTTED = /[ij?!:;.,'"]/;

/** How many points at the end of a line are none of its text's. */
export function surplus(points: readonly Point[], text: string): number {
  const word = text.trim().split(" ").at(-1) ?? "";
  if (DOTTED.test(word) || /\p{M}/u.test(word.normalize("NFD"))) return 0;
  let first = points.length - 1; // of the last stroke
  while (first > 0 && points[first - 1][2] <= 0.5) first--;
  if (first <= 0) return 0;
  let x = 0,
    y = 0;
  const places = points.map(([dx, dy]) => [(x += dx), (y += dy)] as const);
  const before = places.slice(0, first),
    last = places.slice(first);
  const adds = Math.max(...last.map((p) => p[0])) > Math.max(...before.map((p) => p[0]));
  const extent = Math.hypot(range(last.map((p) => p[0])), range(last.map((p) => p[1])));
  return !adds && extent < spread(places) ? last.length : 0;
}

function range(numbers: number[]): number {
  return Math.max(...numbers) - Math.min(...numbers);
}

/** The standard deviation of the heights about the straight line fitted to them. */
function spread(places: readonly (readonly [number, number])[]): number {
  const mean = (numbers: number[]): number => numbers.reduce((sum, n) => sum + n, 0) / numbers.length;
  const mx = mean(places.map((p) => p[0])),
    my = mean(places.map((p) => p[1]));
  const xx = mean(places.map((p) => (p[0] - mx) ** 2)),
    xy = mean(places.map((p) => (p[0] - mx) * (p[1] - my)));
  const slope = xx > 0 ? xy / xx : 0;
  return Math.sqrt(mean(places.map((p) => (p[1] - my - slope * (p[0] - mx)) ** 2)));
}
