/** The sheet of paper: an SVG in which each line is a group of strokes, each on its baseline. */

import { centreLine, outline } from "./curves";
import type { Point, XY } from "./data";
import type { Line } from "./line";
import { Measure, measure, strokesOf } from "./measure";
import { svg } from "./svg";

// The paper's unit: a tenth of the height of an x. As on the pages of `writing/page.py`.
export const X = 10;
export const LINE = X / 0.28;
const MARGIN = 3 * X;
const ADVANCE = 1.3; // heights of an x that a character takes
const STRAIGHTEN = 0.8; // of a baseline's slope
const ABOVE = 1.1,
  BELOW = 0.9; // of a line's height, over the first and under the last baseline
const PACE = 0.35; // of the height of an x from point to point: a quick pen
const MEASURE_MS = 120; // between two looks at a line that is being written

export interface Ink {
  colour: string;
  width: number; // paper units
  fountain: boolean; // thinner where the pen is quick
}

/** A line where it stands: paper = scale · (x − left, y − level − slope · x) + (margin, baseline), in data units. */
interface Place {
  scale: number;
  left: number;
  level: number;
  slope: number;
  baseline: number;
}

class View {
  readonly group = svg("g", { class: "line" });
  paths: SVGPathElement[] = [];
  strokes: XY[][] = [];
  drawn = 0;
  source: Line | null = null;
  place: Place | null = null;
  measure: Measure | null = null;
  measured = 0; // points of the line when it was measured, and when that was
  measuredAt = -Infinity;
  x = 0;
  y = 0;

  clear(source: Line): void {
    this.paths.forEach((path) => path.remove());
    Object.assign(this, { paths: [], strokes: [], drawn: 0, x: 0, y: 0, measured: 0, source });
  }
}

export class Sheet {
  readonly nib = svg("circle", { class: "nib", r: 0 });
  rows = 3; // for which there is room at least
  private readonly views = new Map<Line, View>();
  private readonly ruling = svg("path", { class: "ruling" });
  private readonly writing = svg("g", { class: "writing" });
  private lines: readonly Line[] = [];
  private hand: Measure | null = null;
  private letters = 1; // of the hand's text
  private width = 40; // characters
  private ink: Ink = { colour: "currentColor", width: 0.9, fountain: true };

  constructor(
    private readonly svg: SVGSVGElement,
    private readonly scroller: HTMLElement,
  ) {
    svg.append(this.ruling, this.writing);
    new ResizeObserver(() => this.fit()).observe(scroller);
  }

  setInk(ink: Ink): void {
    const anew = ink.fountain !== this.ink.fountain || ink.width !== this.ink.width;
    this.ink = ink;
    this.writing.style.color = ink.colour;
    this.writing.classList.toggle("outlined", ink.fountain);
    if (anew) for (const [line, view] of this.views) this.redraw(line, view);
  }

  /** The lines of the sheet, in a hand of this size. */
  show(lines: readonly Line[], width: number, hand: Measure | null, letters: number): void {
    Object.assign(this, { lines, width, hand, letters });
    for (const [line, view] of this.views) {
      if (!lines.includes(line)) {
        view.group.remove();
        this.views.delete(line);
      }
    }
    this.fit();
    for (const line of lines) this.update(line, true);
  }

  /** More of the line is to be seen. */
  update(line: Line, settled = false): void {
    let view = this.views.get(line);
    if (!view) {
      if (!line.shown) return;
      this.views.set(line, (view = new View()));
    }
    const seen = line.seen;
    if (view.source !== seen || view.drawn > line.shown) view.clear(seen);
    this.draw(view, seen.points, line.shown);
    const now = performance.now(),
      due = settled || line.over || now - view.measuredAt > MEASURE_MS;
    if (due && view.measured !== seen.points.length) {
      Object.assign(view, {
        measuredAt: now,
        measured: seen.points.length,
        measure: measure(strokesOf(seen.points)),
      });
    }
    if (due && view.measure) this.put(view, this.placeOf(line, view.measure));
    if (!view.group.isConnected) this.writing.append(view.group);
  }

  /** The pen's place, or no pen. */
  showNib(line: Line | null): void {
    const view = line && this.views.get(line);
    if (!view?.place) return this.nib.remove();
    this.nib.setAttribute("cx", String(view.x));
    this.nib.setAttribute("cy", String(view.y));
    this.nib.setAttribute("r", String((0.18 * X) / view.place.scale));
    view.group.append(this.nib);
  }

  /** Scrolls so far that the line is seen, if the one before it is. */
  follow(line: Line): void {
    const at = this.baseline(line) / this.size.height,
      all = this.svg.getBoundingClientRect();
    const box = this.scroller.getBoundingClientRect(),
      line_px = (LINE / this.size.height) * all.height;
    const y = all.top + at * all.height;
    const below = y + line_px - box.bottom;
    if (below > 0 && below < 3 * line_px)
      this.scroller.scrollBy({ top: Math.min(below + 2 * line_px, y - box.top - line_px) });
  }

  /** All strokes that are seen, in paper units. */
  placed(): XY[][] {
    return this.lines.flatMap((line) => {
      const view = this.views.get(line),
        place = view?.place;
      if (!view || !place) return [];
      return view.strokes.map((stroke) =>
        stroke.map(
          ([x, y]): XY => [
            MARGIN + place.scale * (x - place.left),
            place.baseline + place.scale * (y - place.level - place.slope * x),
          ],
        ),
      );
    });
  }

  get size(): { width: number; height: number } {
    const written = this.lines.length ? this.baseline(this.lines[this.lines.length - 1]) + BELOW * LINE : 0;
    return { width: this.paperWidth, height: Math.max(written, (this.rows - 1 + ABOVE + BELOW) * LINE) };
  }

  get pen(): Ink {
    return this.ink;
  }

  /** The outline or the centre line of a stroke whose unit is `scale` of the paper's. */
  path(stroke: readonly XY[], scale = 1): string {
    const { fountain, width } = this.ink;
    return fountain ? outline(stroke, (1.25 * width) / scale, (PACE * X) / scale) : centreLine(stroke);
  }

  private get paperWidth(): number {
    return this.width * ADVANCE * X + 2 * MARGIN;
  }

  private baseline(line: Line): number {
    let rows = 0;
    for (const one of this.lines) {
      if (one !== this.lines[0]) rows += 1 + one.blank;
      if (one === line) break;
    }
    return (ABOVE + rows) * LINE;
  }

  private draw(view: View, points: readonly Point[], shown: number): void {
    const touched = new Set<number>();
    for (let i = view.drawn; i < shown; i++) {
      const [dx, dy] = points[i];
      view.x += dx;
      view.y += dy;
      if (i === 0 || points[i - 1][2] > 0.5) view.strokes.push([]);
      const last = view.strokes.length - 1;
      view.strokes[last].push([view.x, view.y]);
      touched.add(last);
    }
    view.drawn = shown;
    for (const i of touched) {
      if (!view.paths[i]) view.group.append((view.paths[i] = svg("path")));
      view.paths[i].setAttribute("d", this.path(view.strokes[i], view.place?.scale ?? this.scale));
    }
  }

  private redraw(line: Line, view: View): void {
    view.clear(line.seen);
    this.draw(view, line.seen.points, line.shown);
    if (view.place) this.put(view, view.place);
  }

  /** Paper units a data unit: so that an x has its height, or smaller, so that lines fit. */
  private get scale(): number {
    const { xHeight, width } = this.hand ?? { xHeight: 0, width: 0 };
    const byHeight = X / (xHeight || 130);
    return width ? Math.min(byHeight, (ADVANCE * X * this.letters) / width) : byHeight;
  }

  private placeOf(line: Line, { left, width, level, rise }: Measure): Place {
    const room = this.paperWidth - 1.5 * MARGIN;
    const scale = Math.min(this.scale, width ? room / width : Infinity);
    const slope = STRAIGHTEN * rise,
      middle = level + (rise - slope) * (left + width / 2);
    return { scale, left, level: middle, slope, baseline: this.baseline(line) };
  }

  private put(view: View, place: Place): void {
    view.place = place;
    const { scale, left, level, slope, baseline } = place;
    const move: XY = [MARGIN - scale * left, baseline - scale * level];
    view.group.style.transform = `matrix(${scale}, ${-scale * slope}, 0, ${scale}, ${move[0]}, ${move[1]})`;
    view.group.style.strokeWidth = this.ink.fountain ? "" : String(this.ink.width / scale);
  }

  /** The paper is as high as its lines, and fills what is seen. */
  private fit(): void {
    const { width, height } = this.size;
    const zoom = Number(this.svg.style.getPropertyValue("--zoom")) || 1;
    const seen = (this.scroller.clientHeight / (this.scroller.clientWidth || 1)) * (width / zoom);
    const all = Math.max(height, seen || 0);
    this.svg.setAttribute("viewBox", `0 0 ${width.toFixed(2)} ${all.toFixed(2)}`);
    let rules = "";
    for (let y = ABOVE * LINE; y < all; y += LINE) rules += `M0 ${y.toFixed(2)}H${width}`;
    this.ruling.setAttribute("d", rules);
  }

  /** `times` the width of what is seen. */
  setZoom(times: number): void {
    this.svg.style.setProperty("--zoom", String(times));
    this.fit();
  }
}
