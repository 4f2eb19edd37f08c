/** What is written, as files. */

import { centreLine } from "./curves";
import type { XY } from "./data";
import { InkLine, positions } from "./ink";
import { RATE } from "./pen";
import type { Sheet } from "./sheet";

const DOWN = 1.5; // the animation's speed, times a pen's
// While it is written, a stroke is one long dash that slides in from its start; a viewer without animation, or one who
// wants none, sees the page.
const ANIMATION = `<style>
path{animation:write linear backwards}
.dot{animation-name:land}
@keyframes write{from{stroke-dasharray:1.02 2;stroke-dashoffset:1.03}to{stroke-dasharray:1.02 2}}
@keyframes land{from{stroke-opacity:0}to{stroke-opacity:0}}
@media (prefers-reduced-motion:reduce){path{animation:none}}
</style>`;

export function toSvg(sheet: Sheet, colour: string, paper: string | null = null): string {
  const { fountain, width } = sheet.pen;
  const paths = sheet.placed().map((stroke) => `<path d="${sheet.path(stroke)}"/>`);
  return page(sheet, paper, fountain ? `fill="${colour}"` : lines(colour, width), paths);
}

/** Written before the reader's eyes, with a pen of one width. */
export function toAnimatedSvg(sheet: Sheet, colour: string): string {
  let before = 0;
  const paths = sheet.placed().map((stroke) => {
    const [delay, time] = [before, stroke.length].map((points) => (points / RATE / DOWN).toFixed(3));
    before += stroke.length;
    const kind = stroke.length === 1 ? 'class="dot"' : 'pathLength="1"';
    return `<path ${kind} style="animation-delay:${delay}s;animation-duration:${time}s" d="${centreLine(stroke)}"/>`;
  });
  return page(sheet, null, lines(colour, sheet.pen.width), [ANIMATION, ...paths]);
}

function lines(colour: string, width: number): string {
  return `fill="none" stroke="${colour}" stroke-width="${width}" stroke-linecap="round" stroke-linejoin="round"`;
}

function page(sheet: Sheet, paper: string | null, pen: string, content: string[]): string {
  const { width, height } = sheet.size,
    frame = `${width.toFixed(2)} ${height.toFixed(2)}`;
  const ground = paper ? `<rect width="100%" height="100%" fill="${paper}"/>` : "";
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${frame}">${ground}<g ${pen}>\n${content.join("\n")}\n</g></svg>\n`;
}

const PNG_WIDTH = 2400,
  MOST_PIXELS = 16e6; // what every browser's canvas takes

export async function toPng(sheet: Sheet, colour: string): Promise<Blob> {
  const { width, height } = sheet.size;
  const scale = Math.min(PNG_WIDTH / width, Math.sqrt(MOST_PIXELS / (width * height)));
  const canvas = document.createElement("canvas");
  canvas.width = Math.floor(width * scale);
  canvas.height = Math.floor(height * scale);
  const picture = new Image();
  const sized = toSvg(sheet, colour, "#fff").replace(
    "<svg ",
    `<svg width="${canvas.width}" height="${canvas.height}" `,
  );
  picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(sized)}`;
  await picture.decode();
  canvas.getContext("2d")!.drawImage(picture, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!blob) throw new Error("this browser could not make the picture");
  return blob;
}

export function toInkml(lines: readonly InkLine[]): string {
  const escaped = (text: string): string =>
    text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const groups = lines.map(({ text, points }) => {
    const traces = traced(points).map((trace) => `<trace>${trace.map(([x, y]) => `${x} ${y}`).join(",")}</trace>`);
    return `<traceGroup>\n<annotation type="truth">${escaped(text.normalize("NFC"))}</annotation>\n${traces.join("\n")}\n</traceGroup>`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<ink xmlns="http://www.w3.org/2003/InkML">\n${groups.join("\n")}\n</ink>\n`;
}

function traced(points: InkLine["points"]): XY[][] {
  const traces: XY[][] = [[]];
  positions(points).forEach((place, i) => {
    traces[traces.length - 1].push(place);
    if (points[i][2] > 0.5) traces.push([]);
  });
  return traces.filter((trace) => trace.length);
}

export function save(content: string | Blob, name: string, type: string): void {
  const blob = typeof content === "string" ? new Blob([content], { type }) : content;
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
