/** The visitor's own hands: written on the pad or loaded, named, saved, deleted. */

import { element } from "./element";
import { save } from "./exports";
import type { Hand, Hands } from "./hands";
import { InkLine, inkJson, LARGEST_FILE, readInk, Refusal } from "./ink";
import { notice } from "./notice";
import { Pad } from "./pad";

const SUGGESTED = "the house by the sea";
const MOST_AT_ONCE = 12; // hands of a file

export class OwnPen {
  /** `changed` hears of the hand to choose now; null: the one that was chosen is gone. */
  constructor(
    private readonly hands: Hands,
    private readonly chosen: () => Hand | undefined,
    private readonly changed: (hand: Hand | null) => void,
  ) {
    const dialog = element<HTMLDialogElement>("pad"),
      text = element<HTMLInputElement>("pad-text");
    const pad = new Pad(element<HTMLCanvasElement>("pad-canvas"), () => this.trouble(""));
    text.value = SUGGESTED;
    element("own").onclick = () => dialog.showModal();
    element("pad-close").onclick = () => dialog.close();
    element("pad-left").onclick = () => pad.move(-1);
    element("pad-right").onclick = () => pad.move(1);
    element("pad-undo").onclick = () => pad.undo();
    element("pad-clear").onclick = () => pad.clear();
    element("pad-keep").onclick = () => {
      if (pad.empty) return this.trouble("There is no ink yet: write on the line.");
      const hand = this.hands.add(`My hand ${this.hands.own.length + 1}`, pad.line(text.value));
      if (typeof hand === "string") return this.trouble(`This cannot be a hand: ${hand}.`);
      dialog.close();
      pad.clear();
      return this.added([hand], []);
    };
    const file = element<HTMLInputElement>("file");
    element("load").onclick = () => file.click();
    file.onchange = () => void this.load([...(file.files ?? [])]).finally(() => (file.value = ""));
    this.manage();
  }

  /** Files of ink; also those that are dropped on the page. */
  async load(files: readonly File[]): Promise<void> {
    const added: Hand[] = [],
      refused: string[] = [];
    for (const file of files) {
      try {
        if (file.size > LARGEST_FILE) throw new Refusal("it is larger than 8 MiB");
        const lines = readInk(await file.text());
        for (const line of lines.slice(0, MOST_AT_ONCE))
          this.addLine(line, file.name, lines.length > 1, added, refused);
        if (lines.length > MOST_AT_ONCE)
          refused.push(`${file.name}: only its first ${MOST_AT_ONCE} of ${lines.length} lines are taken`);
      } catch (error) {
        refused.push(`${file.name}: ${error instanceof Refusal ? error.message : "it cannot be read"}`);
      }
    }
    this.added(added, refused);
  }

  private addLine(line: InkLine, file: string, several: boolean, added: Hand[], refused: string[]): void {
    const name = line.name ?? file.replace(/\.\w+$/, "");
    const hand = this.hands.add(name.slice(0, 40), line);
    if (typeof hand === "string") refused.push(`${file}${several ? `, "${line.text.slice(0, 20)}"` : ""}: ${hand}`);
    else added.push(hand);
  }

  private added(hands: Hand[], refused: string[]): void {
    if (refused.length)
      notice(refused.length > 1 ? `${refused[0]}. And ${refused.length - 1} more.` : `${refused[0]}.`);
    if (!hands.length) return;
    this.keep(refused.length > 0);
    this.changed(hands[hands.length - 1]);
  }

  private manage(): void {
    const name = element<HTMLInputElement>("hand-name");
    name.onchange = () => {
      const hand = this.chosen();
      if (!hand) return;
      if (name.value.trim()) hand.name = name.value.trim();
      this.keep();
      this.changed(hand);
    };
    element("save-hand").onclick = () => {
      const hand = this.chosen();
      if (hand)
        save(
          inkJson([{ ...hand.ink, name: hand.name }]),
          `${hand.name.replace(/[^\w-]+/g, "-") || "hand"}.json`,
          "application/json",
        );
    };
    element("delete-hand").onclick = () => {
      const hand = this.chosen();
      if (!hand) return;
      this.hands.remove(hand);
      this.keep();
      this.changed(null);
      notice(`“${hand.name}” is deleted.`, {
        name: "Bring it back",
        do: () => {
          this.hands.putBack(hand);
          this.keep();
          this.changed(hand);
        },
      });
    };
  }

  private keep(quiet = false): void {
    if (!this.hands.keep() && !quiet) {
      notice("This browser keeps nothing more: your hands stay until you leave. Save them as files.");
    }
  }

  private trouble(text: string): void {
    element("pad-trouble").textContent = text;
  }
}
