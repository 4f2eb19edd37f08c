/** A line of the sheet: its text, the points that the network has drawn, and how many of them the pen has shown. */

import type { Point } from "./data";
import type { Drawn } from "./protocol";
import { surplus } from "./surplus";

/** What the network saw and foresaw at a point: φ over the line's characters and one past them, and ŷ. */
export interface Look {
  phi: Float32Array;
  y: Float32Array;
}

export class Line {
  points: Point[] = [];
  looks: Look[] = []; // of each point; empty again once the pen has left the line
  done = false; // the network has drawn all of it
  private written = 0;
  private before: Line | null = null;
  private alike = 0;

  /** `key` names all that its points follow from but the text. */
  constructor(
    readonly text: string,
    public blank: number,
    readonly number: number,
    readonly key: string,
  ) {}

  /** The line is drawn anew after a change of its text. As far as it comes out as it was, the pen has written it
   *  already; until that is known the old one is seen. */
  replaces(old: Line): void {
    this.before = old.before ?? old;
  }

  get seen(): Line {
    return this.before ?? this;
  }

  get shown(): number {
    return this.seen.written;
  }

  get waits(): boolean {
    return this.before !== null;
  }

  get over(): boolean {
    return this.done && !this.waits && this.written === this.points.length;
  }

  show(points: number): void {
    this.written = Math.min(points, this.points.length);
  }

  add(points: Point[], drawn: Drawn): void {
    const skipped = points.length - drawn.count; // a line without a prime begins with a point of its own
    const U = drawn.phi.length / drawn.count,
      Y = drawn.y.length / drawn.count;
    points.forEach((point, i) => {
      const n = Math.max(0, i - skipped);
      this.points.push(point);
      this.looks.push({ phi: drawn.phi.subarray(n * U, (n + 1) * U), y: drawn.y.subarray(n * Y, (n + 1) * Y) });
    });
    this.catchUp();
  }

  finish(): void {
    const whole = this.points.length - surplus(this.points, this.text);
    this.points.length = this.looks.length = whole;
    this.show(this.written);
    const last = this.points.pop();
    if (last) this.points.push([last[0], last[1], 1]);
    this.done = true;
    this.catchUp();
  }

  private catchUp(): void {
    const old = this.before;
    if (!old) return;
    const most = Math.min(old.written, this.points.length);
    while (this.alike < most && near(this.points[this.alike], old.points[this.alike])) this.alike++;
    if (this.alike === this.points.length && !this.done && this.alike < old.written) return;
    this.before = null;
    this.written = this.alike;
  }
}

function near(a: Point, b: Point): boolean {
  return Math.abs(a[0] - b[0]) < 0.5 && Math.abs(a[1] - b[1]) < 0.5;
}
