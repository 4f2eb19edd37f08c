/** The lines of a text while they are drawn: which there are, and which the worker draws next. */

import { Alphabet, TextLine } from "./alphabet";
import { Line } from "./line";
import type { FromWorker, Prime, ToWorker } from "./protocol";
import { Units } from "./units";

/** What a line's points follow from, beside its text and its number. */
export interface Manner {
  seed: number;
  bias: number;
  prime: Prime | null;
}

const AHEAD = 2; // lines that are drawn before the pen comes to them

export class Writing {
  lines: Line[] = [];
  eager = false; // draw all lines, wherever the pen is
  private manner: Manner = { seed: 0, bias: 0, prime: null };
  private drawn: Line | null = null;
  private job = 0;
  private stopped = true;

  constructor(
    private readonly worker: Worker,
    private readonly alphabet: Alphabet,
    private readonly units: Units,
    private readonly changed: (line: Line) => void,
  ) {}

  /** Lines that are as before stay as they are. */
  set(wrapped: TextLine[], manner: Manner): void {
    this.manner = manner;
    const key = [manner.seed, manner.bias, manner.prime?.hand].join();
    const old = this.lines;
    this.lines = wrapped.map(({ text, blank }, number) => {
      const before: Line | undefined = old[number];
      if (before?.key === key && before.text === text) {
        before.blank = blank;
        return before;
      }
      const line = new Line(text, blank, number, key);
      if (before?.key === key && before.text[0] === text[0] && before.shown) line.replaces(before);
      return line;
    });
    this.goOn();
  }

  goOn(): void {
    this.stopped = false;
    if (this.drawn && !this.lines.includes(this.drawn)) this.abandon();
    this.next();
  }

  stop(): void {
    this.stopped = true;
    if (this.drawn) this.abandon();
  }

  get over(): boolean {
    return this.lines.every((line) => line.done);
  }

  /** To be called when the pen has come to another line. */
  next(): void {
    if (this.drawn || this.stopped) return;
    const number = this.lines.findIndex((line) => !line.done);
    if (number < 0) return;
    const pen = this.lines.findIndex((line) => !line.over);
    if (!this.eager && number > pen + AHEAD) return;
    let line = this.lines[number];
    if (line.points.length) {
      // It was abandoned, and begins again.
      const again = new Line(line.text, line.blank, number, line.key);
      again.replaces(line);
      this.lines[number] = line = again;
    }
    this.drawn = line;
    const order = { job: ++this.job, symbols: this.alphabet.encode(line.text), line: number, ...this.manner };
    this.worker.postMessage({ kind: "draw", order } satisfies ToWorker);
  }

  heard(message: FromWorker): void {
    const line = this.drawn;
    if (message.kind === "failed" || message.kind === "ready" || message.job !== this.job || !line) return;
    if (message.kind === "points") {
      const { points } = message.drawn,
        { prime, bias } = this.manner;
      line.add(this.units.inDataUnits(points, line.points.length > 0, prime !== null, bias), message.drawn);
    } else {
      line.finish();
      this.drawn = null;
    }
    this.changed(line);
    this.next();
  }

  private abandon(): void {
    this.drawn = null;
    this.worker.postMessage({ kind: "stop" } satisfies ToWorker);
  }
}
