/** A pad for the visitor's own pen: mouse, finger or stylus. */

import type { Point, XY } from "./data";
import { InkLine, offsets } from "./ink";
import { measure } from "./measure";
import { RATE } from "./pen";

/** What the pointer said, and when. */
export interface Sample {
  x: number; // CSS pixels
  y: number;
  t: number; // milliseconds
  pressure: number;
}

const ROOM = 0.6; // of the pad's width that it moves by
export const LETTER = 130; // the data's height of an x
const LONGEST_REST = 100; // milliseconds; a pen that rests longer tells nothing more
const MOST_PER_CHARACTER = 30; // points: a mouse is slower than a pen, and time passes quicker for it

export class Pad {
  private strokes: Sample[][] = [];
  private pointer: number | null = null;
  private stylus = false; // then a palm is no finger
  private left = 0; // what of the line is left of the pad: a phone is narrower than a line

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly changed: () => void,
  ) {
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.moved(event));
    for (const over of ["pointerup", "pointercancel", "lostpointercapture"] as const) {
      canvas.addEventListener(over, (event) => event.pointerId === this.pointer && this.up());
    }
    new ResizeObserver(() => this.redraw()).observe(canvas);
  }

  get empty(): boolean {
    return this.strokes.length === 0;
  }

  undo(): void {
    this.strokes.pop();
    this.redraw();
    this.changed();
  }

  clear(): void {
    this.strokes = [];
    this.left = 0;
    this.redraw();
    this.changed();
  }

  /** All that was written, as it was recorded. */
  get recorded(): readonly (readonly Sample[])[] {
    return this.strokes;
  }

  /** Other strokes in place of those that are there. */
  show(strokes: readonly (readonly Sample[])[]): void {
    this.strokes = strokes.map((stroke) => [...stroke]);
    this.left = 0;
    this.pointer = null;
    this.redraw();
  }

  /** Shows more room to the right, or what is to the left. */
  move(way: 1 | -1): void {
    this.left = Math.max(0, this.left + way * Math.round(ROOM * this.canvas.clientWidth));
    this.redraw();
  }

  /** What is written as a line with this text, in the data's size and at its pace. */
  line(text: string): InkLine {
    const lasted = this.strokes.reduce((sum, stroke) => sum + stroke[stroke.length - 1].t - stroke[0].t, 0);
    const step = Math.max(1000 / RATE, lasted / (MOST_PER_CHARACTER * Math.max(1, text.trim().length)));
    const strokes = this.strokes.map((stroke) => resampled(stroke, step));
    const places = strokes.map((stroke) => stroke.map(({ x, y }): XY => [x, y]));
    const { xHeight } = measure(places);
    const points: Point[] = offsets(places).map(([dx, dy, end]) => {
      const scale = xHeight ? LETTER / xHeight : 1;
      return [dx * scale, dy * scale, end];
    });
    return { text, points, pressure: strokes.flat().map(({ pressure }) => pressure) };
  }

  private sample(event: PointerEvent): Sample {
    const box = this.canvas.getBoundingClientRect();
    return {
      x: event.clientX - box.left + this.left,
      y: event.clientY - box.top,
      t: event.timeStamp,
      pressure: event.pressure,
    };
  }

  private down(event: PointerEvent): void {
    if (this.pointer !== null || event.button !== 0) return;
    this.stylus ||= event.pointerType === "pen";
    if (this.stylus && event.pointerType === "touch") return;
    event.preventDefault();
    this.pointer = event.pointerId;
    try {
      this.canvas.setPointerCapture(event.pointerId);
    } catch {
      // A pointer that is gone already.
    }
    this.strokes.push([this.sample(event)]);
    this.ink(this.strokes[this.strokes.length - 1], 0);
  }

  private moved(event: PointerEvent): void {
    if (event.pointerId !== this.pointer) return;
    const stroke = this.strokes[this.strokes.length - 1],
      from = stroke.length;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length ? events : [event]) {
      const sample = this.sample(one),
        last = stroke[stroke.length - 1];
      if (sample.t > last.t) stroke.push(sample);
    }
    this.ink(stroke, from);
  }

  private up(): void {
    this.pointer = null;
    this.changed();
  }

  private redraw(): void {
    const dots = window.devicePixelRatio || 1;
    this.canvas.width = this.canvas.clientWidth * dots;
    this.canvas.height = this.canvas.clientHeight * dots;
    for (const stroke of this.strokes) this.ink(stroke, 0);
  }

  /** The stroke from its sample `from` on. */
  private ink(stroke: Sample[], from: number): void {
    const draw = this.canvas.getContext("2d")!,
      dots = window.devicePixelRatio || 1;
    draw.setTransform(dots, 0, 0, dots, -this.left * dots, 0);
    draw.strokeStyle = getComputedStyle(this.canvas).color;
    draw.lineCap = draw.lineJoin = "round";
    for (let i = Math.max(from, Number(stroke.length > 1)); i < stroke.length; i++) {
      const a = stroke[i - 1] ?? stroke[i],
        b = stroke[i];
      draw.lineWidth = 1.6 + 2.4 * (b.pressure || 0.5);
      draw.beginPath();
      draw.moveTo(a.x, a.y);
      draw.lineTo(b.x, b.y + (a === b ? 0.01 : 0));
      draw.stroke();
    }
  }
}

/** Samples every `step` milliseconds and the last one, whatever times they came at. A pixel's steps are smoothed. */
function resampled(stroke: readonly Sample[], step: number): Sample[] {
  const times = [0];
  for (let i = 1; i < stroke.length; i++)
    times.push(times[i - 1] + Math.min(stroke[i].t - stroke[i - 1].t, LONGEST_REST));
  const all = times[times.length - 1],
    found: Sample[] = [];
  for (let t = 0, i = 0; t < all; t += step) {
    while (times[i + 1] <= t) i++;
    found.push(between(stroke[i], stroke[i + 1], (t - times[i]) / (times[i + 1] - times[i]), t));
  }
  found.push({ ...stroke[stroke.length - 1], t: all });
  return found.map((sample, i) => {
    const before = found[i - 1],
      after = found[i + 1];
    if (!before || !after) return sample;
    return { ...sample, x: (before.x + 2 * sample.x + after.x) / 4, y: (before.y + 2 * sample.y + after.y) / 4 };
  });
}

function between(a: Sample, b: Sample, share: number, t: number): Sample {
  const mix = (from: number, to: number): number => from + share * (to - from);
  return { x: mix(a.x, b.x), y: mix(a.y, b.y), t, pressure: mix(a.pressure, b.pressure) };
}
