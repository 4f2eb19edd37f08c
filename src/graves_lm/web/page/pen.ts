/** The pen goes over the lines at a human pace: 75 points a second, as many as the data's tablet took, times a speed. */

import type { Line } from "./line";

export const RATE = 75;
const LEAD = 60; // points of a line that are known before the pen begins: where its baseline is
const LIFT = 4; // points of time from stroke to stroke
const LONGEST_STEP = 0.1; // seconds; after a pause of the browser the pen goes on where it was

export class Pen {
  speed = 1; // Infinity: as fast as it goes
  hurries = false; // for now as fast as it goes
  whole = false; // each line appears when all of it is drawn
  private frame = 0;
  private last = 0;
  private owed = 0; // points

  /** `moved` hears of each line of which more is shown, once a frame; `rests`: nothing is left to show. */
  constructor(
    private readonly lines: () => readonly Line[],
    private readonly moved: (line: Line) => void,
    private readonly rests: () => void,
  ) {}

  go(): void {
    if (this.frame) return;
    this.last = performance.now();
    this.frame = requestAnimationFrame(this.step);
  }

  stop(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
  }

  private readonly step = (now: number): void => {
    const passed = Math.min(Math.max(now - this.last, 0) / 1000, LONGEST_STEP);
    this.last = now;
    this.owed =
      this.hurries || this.speed === Infinity ? Infinity : Math.min(this.owed, 0) + passed * RATE * this.speed;
    let line = this.lines().find((one) => !one.over);
    while (line && this.owed > 0) {
      if (!this.advance(line)) break;
      this.moved(line);
      if (!line.over) break;
      line = this.lines().find((one) => !one.over);
    }
    if (!line) {
      this.frame = 0;
      return this.rests();
    }
    this.frame = requestAnimationFrame(this.step);
  };

  /** Whether the line has come further. */
  private advance(line: Line): boolean {
    if (line.waits || (this.whole && !line.done)) return false;
    const from = line.shown;
    let to = from;
    if (this.whole || this.owed === Infinity) to = line.points.length;
    else if (from || line.done || line.points.length >= LEAD) {
      while (to < line.points.length && this.owed > 0) this.owed -= line.points[to++][2] > 0.5 ? LIFT : 1;
    }
    line.show(to);
    return to > from || line.over;
  }
}
