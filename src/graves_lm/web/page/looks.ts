/** What the network sees and foresees while it writes: the window on the text, as in figure 13, and the density of the
 *  next point. */

import type { Data } from "./data";
import { densityOf } from "./density";
import type { Line } from "./line";
import { Sheet, svg } from "./sheet";

const ROW = 11, GUTTER = 18, POINTS_PER_CHARACTER = 26; // CSS pixels, and the columns that are made ready

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
    const { text } = this.line!, dots = window.devicePixelRatio || 1, style = getComputedStyle(this.canvas);
    const width = this.canvas.parentElement!.clientWidth, height = ROW * text.length;
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
    this.text.replaceChildren(...[...text].map((character) => Object.assign(document.createElement("span"), { textContent: character })));
    this.drawn = 0;
  }

  private draw(line: Line): void {
    const draw = this.canvas.getContext("2d")!, width = this.canvas.parentElement!.clientWidth - GUTTER;
    draw.fillStyle = getComputedStyle(this.canvas).getPropertyValue("--accent");
    const step = width / this.columns, U = line.text.length;
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
  }
}

/** The next point's density: a cloud for each component of the mixture, the denser the likelier it is. */
export class DensityView {
  private readonly cloud = svg("g", { class: "density" });

  constructor(
    private readonly sheet: Sheet,
    private readonly data: Data,
  ) {}

  show(line: Line | null, bias: number): void {
    const next = line && !line.waits ? line.looks[line.shown]?.y : undefined, at = line && this.sheet.at(line);
    if (!next || !at || !line) return this.hide();
    const components = densityOf(next, line.points[line.shown - 1], bias, this.data);
    this.cloud.replaceChildren(
      ...components.filter(({ weight }) => weight > 0.02).map(({ weight, centre, radii, angle }) =>
        svg("ellipse", {
          rx: 3 * radii[0], ry: 3 * radii[1], fill: "url(#cloud)", opacity: Math.sqrt(weight).toFixed(3),
          transform: `translate(${at.x + centre[0]} ${at.y + centre[1]}) rotate(${angle})`,
        })),
    );
    at.group.prepend(this.cloud);
  }

  hide(): void {
    this.cloud.remove();
  }
}
