/** The buttons that save what is written as a file. */

import { element } from "./element";
import { save, toAnimatedSvg, toInkml, toPng, toSvg } from "./exports";
import { InkLine, inkJson } from "./ink";
import { notice } from "./notice";
import type { Sheet } from "./sheet";

/** `whenWritten` calls back when all of the text is on the sheet. */
export function listenToSaving(
  sheet: Sheet,
  lines: () => InkLine[],
  colour: () => string,
  whenWritten: (act: () => void) => void,
): void {
  const click = (id: string, act: () => void): void =>
    element(id).addEventListener("click", () =>
      whenWritten(() => (lines().length ? act() : notice("There is nothing to save yet: no line is written."))),
    );
  const text = (id: string, ending: string, type: string, content: () => string): void =>
    click(id, () => save(content(), `handwriting.${ending}`, type));
  text("save-svg", "svg", "image/svg+xml", () => toSvg(sheet, colour()));
  text("save-animated", "moving.svg", "image/svg+xml", () => toAnimatedSvg(sheet, colour()));
  text("save-inkml", "inkml", "application/inkml+xml", () => toInkml(lines()));
  text("save-json", "json", "application/json", () => inkJson(lines()));
  click("save-png", () => {
    toPng(sheet, colour()).then(
      (blob) => save(blob, "handwriting.png", "image/png"),
      (error: unknown) => notice(`No PNG: ${error instanceof Error ? error.message : String(error)}.`),
    );
  });
}
