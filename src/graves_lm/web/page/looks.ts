/** What the network sees and foresees while it writes: the window on the text, as in figure 13, and the density of the
 *  next point. */

import { centreLine } from "./curves";
import type { Data, XY } from "./data";
import { densityOf } from "./density";
import type { Line } from "./line";
import { strokesOf } from "./measure";
import { svg } from "./svg";

const ROW = 11,
  GUTTER = 18,
  POINTS_PER_CHARACTER = 26; // CSS pixels, and the columns that are made ready

/** φ over time: a row a character, and which one the pen is at. */
export class WindowView {
  private line: Line | null = null;
  private drawn = 0;
  private columns = 1;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly text: HTMLElement,
  ) {}

  show(line: Line | null): void {
    if (!line || line.waits) return;
    const changed = line !== this.line || line.shown < this.drawn;
    if (changed || line.shown > this.columns) {
      const grown = !changed;
      this.line = line;
      this.columns = Math.max((line.text.length + 1) * POINTS_PER_CHARACTER, grown ? 1.5 * line.shown : 0);
      this.begin();
    }
    this.draw(line);
  }

  /** To be called when colours or sizes have changed. */
  again(): void {
    this.line = null;
  }

  private begin(): void {
    const { text } = this.line!,
      dots = window.devicePixelRatio || 1,
      style = getComputedStyle(this.canvas);
    const width = this.canvas.parentElement!.clientWidth,
      height = ROW * text.length;
    this.canvas.width = width * dots;
    this.canvas.height = height * dots;
    this.canvas.style.height = `${height}px`;
    const draw = this.canvas.getContext("2d")!;
    draw.scale(dots, dots);
    draw.fillStyle = style.color;
    draw.font = `${ROW - 1}px ui-monospace, monospace`;
    draw.textAlign = "center";
    draw.textBaseline = "middle";
    [...text].forEach((character, u) => draw.fillText(character, GUTTER / 2, (u + 0.5) * ROW));
    this.text.replaceChildren(
      ...[...text].map((character) => Object.assign(document.createElement("span"), { textContent: character })),
    );
    this.drawn = 0;
  }

  private draw(line: Line): void {
    const draw = this.canvas.getContext("2d")!,
      width = this.canvas.parentElement!.clientWidth - GUTTER;
    draw.fillStyle = getComputedStyle(this.canvas).getPropertyValue("--accent");
    const step = width / this.columns,
      U = line.text.length;
    for (; this.drawn < line.shown; this.drawn++) {
      const phi = line.looks[this.drawn]?.phi;
      if (!phi) continue;
      const all = phi.reduce((sum, one) => sum + Math.max(one, 0), 1e-9);
      for (let u = 0; u < U; u++) {
        if (phi[u] < 0.02 * all) continue;
        draw.globalAlpha = Math.min(1, phi[u] / all);
        draw.fillRect(GUTTER + this.drawn * step, u * ROW, step + 0.5, ROW);
      }
    }
    draw.globalAlpha = 1;
    const phi = line.looks[line.shown - 1]?.phi;
    if (!phi) return;
    const at = phi.subarray(0, U).indexOf(Math.max(...phi.subarray(0, U)));
    [...this.text.children].forEach((span, u) => span.classList.toggle("at", u === at));
    const frame = this.canvas.parentElement!;
    frame.scrollTop = (at + 0.5) * ROW - frame.clientHeight / 2;
  }
}

const SIDE = 420,
  CALM = 0.12; // data units that are seen, and how quickly they follow the pen
const STROKES = 12; // the last ones, which may be seen

/** The next point's density, under a magnifying glass: a cloud for each component of the mixture. */
export class DensityView {
  private readonly trail = svg("path", { class: "trail" });
  private readonly cloud = svg("g", { class: "density" });
  private readonly nib = svg("circle", { class: "nib", r: 5 });
  private centre: XY | null = null;

  constructor(
    private readonly glass: SVGSVGElement,
    private readonly data: Data,
  ) {
    glass.append(this.trail, this.cloud, this.nib);
  }

  show(line: Line | null, bias: number): void {
    const seen = line ? Math.min(line.shown, line.points.length - 1) : 0; // at the end, what led to its last point
    const next = line && !line.waits ? line.looks[seen]?.y : undefined;
    if (!next || seen < 1) return this.cloud.replaceChildren();
    const strokes = strokesOf(line!.points.slice(0, seen));
    const [x, y] = strokes[strokes.length - 1][strokes[strokes.length - 1].length - 1];
    this.trail.setAttribute("d", strokes.slice(-STROKES).map(centreLine).join(""));
    this.nib.setAttribute("transform", `translate(${x} ${y})`);
    const clouds = densityOf(next, line!.points[seen - 1], bias, this.data);
    this.cloud.replaceChildren(
      ...clouds
        .filter(({ weight }) => weight > 0.01)
        .map(({ weight, centre, radii, angle }) =>
          svg("ellipse", {
            rx: 3 * radii[0] + 4,
            ry: 3 * radii[1] + 4,
            fill: "url(#cloud)",
            opacity: Math.sqrt(weight).toFixed(3),
            transform: `translate(${x + centre[0]} ${y + centre[1]}) rotate(${angle})`,
          }),
        ),
    );
    this.centre = [followed(this.centre?.[0] ?? x, x), followed(this.centre?.[1] ?? y, y)];
    this.glass.setAttribute("viewBox", [this.centre[0] - SIDE / 2, this.centre[1] - SIDE / 2, SIDE, SIDE].join(" "));
    return undefined;
  }
}

/** A step of the view towards the pen, which stays in the middle half of it. */
function followed(from: number, to: number): number {
  const near = Math.min(to + SIDE / 4, Math.max(to - SIDE / 4, from));
  return near + CALM * (to - near);
}
