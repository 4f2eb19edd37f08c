/** The view in which one's own hand is recorded, line by line, to a file for training. */

import { element } from "./element";
import { save } from "./exports";
import { inkJson } from "./ink";
import { Pad } from "./pad";
import { PromptData, Prompts } from "./prompts";
import { asCount, Recording } from "./recording";

const MOST_SHOWN = 24; // characters that are still missing

export class Recorder {
  private recording: Recording | null = null; // when it is first looked at
  private readonly pad: Pad;
  private sure = false; // asked once whether all shall go

  constructor(private readonly data: PromptData) {
    const dialog = element<HTMLDialogElement>("recorder");
    this.pad = new Pad(element<HTMLCanvasElement>("rec-canvas"), () => this.changed());
    const click = (id: string, act: () => void): void => {
      element(id).onclick = () => {
        if (id !== "rec-delete") this.calm();
        act();
      };
    };
    click("record", () => this.open(dialog));
    click("rec-close", () => dialog.close());
    click("rec-next", () => this.next());
    click("rec-skip", () => this.skip());
    click("rec-back", () => {
      this.of.back();
      this.show();
    });
    click("rec-undo", () => this.pad.undo());
    click("rec-redo", () => this.pad.clear());
    click("rec-left", () => this.pad.move(-1));
    click("rec-right", () => this.pad.move(1));
    click("rec-save", () => this.save());
    element("rec-delete").onclick = () => this.delete();
    this.listenToFields();
    // A pen in one hand, the other on the keys.
    dialog.addEventListener("keydown", (event) => {
      if (event.target instanceof HTMLInputElement || event.target instanceof HTMLButtonElement) return;
      if (event.key === "Enter") this.next();
      else if (event.key === "Backspace") this.pad.undo();
      else return;
      event.preventDefault();
    });
  }

  private get of(): Recording {
    return (this.recording ??= new Recording(new Prompts(this.data)));
  }

  private open(dialog: HTMLDialogElement): void {
    const { count, characters, name } = this.of.settings;
    this.field("rec-count").value = String(count);
    this.field("rec-characters").value = characters;
    this.field("rec-name").value = name;
    dialog.showModal();
    this.show();
  }

  private listenToFields(): void {
    const count = this.field("rec-count"),
      characters = this.field("rec-characters"),
      name = this.field("rec-name");
    count.onchange = () => {
      this.of.set({ count: asCount(Number(count.value)) });
      count.value = String(this.of.settings.count);
      this.show();
    };
    characters.onchange = () => {
      this.of.set({ characters: characters.value });
      this.show();
    };
    name.onchange = () => {
      const given = name.value.trim().replace(/[^\p{L}\p{N}_-]+/gu, "-");
      if (given) this.of.set({ name: given });
      name.value = this.of.settings.name;
    };
  }

  private changed(): void {
    this.of.change(this.pad.recorded);
    this.calm();
    this.showProgress();
    if (!this.of.kept) this.say("This browser keeps no more of it: save the file before you leave.");
  }

  private next(): void {
    const lacks = this.of.record();
    if (lacks) return this.say(lacks);
    return this.goOn();
  }

  private skip(): void {
    this.of.skip();
    this.goOn();
  }

  private goOn(): void {
    const open = this.of.next();
    this.show();
    if (!open) this.say("No line is left: save the file, go back, or ask for more lines.");
  }

  private save(): void {
    if (this.of.ink.length) this.of.record(); // also the line that is not left yet, if it is one
    const lines = this.of.lines(),
      { name } = this.of.settings;
    this.showProgress();
    if (!lines.length) return this.say("There is nothing to save yet: no line is written.");
    save(inkJson(lines, name), `${name}.json`, "application/json");
    return this.say(`${lines.length === 1 ? "One line is" : `${lines.length} lines are`} in ${name}.json.`);
  }

  /** What cannot be brought back takes two clicks. */
  private delete(): void {
    const { written } = this.of;
    if (!this.sure) {
      this.sure = true;
      const lines = written === 1 ? "the line" : `the ${written} lines`;
      return this.say(`Press once more to delete ${written ? lines : "all"}: a file that you saved stays.`);
    }
    this.calm();
    this.of.clear();
    return this.show();
  }

  /** The line where one is, with its ink. */
  private show(): void {
    this.say("");
    element("rec-prompt").textContent = this.of.text;
    this.pad.show(this.of.ink);
    this.showProgress();
  }

  private showProgress(): void {
    const { at, length, written, missing, isWritten } = this.of,
      bar = element<HTMLProgressElement>("rec-bar");
    element("rec-progress").textContent =
      `Line ${at + 1} of ${length}${isWritten ? ", which is written" : ""}. Written: ${written}.`;
    [bar.max, bar.value] = [length, written];
    const some = missing.slice(0, MOST_SHOWN).join(" "),
      more = missing.length - MOST_SHOWN;
    element("rec-missing").textContent = missing.length
      ? `Still missing: ${some}${more > 0 ? ` and ${more} more` : ""}`
      : "Every character is there.";
    element<HTMLButtonElement>("rec-back").disabled = at === 0;
  }

  private calm(): void {
    this.sure = false;
    this.say("");
  }

  private say(text: string): void {
    element("rec-trouble").textContent = text;
  }

  private field(id: string): HTMLInputElement {
    return element<HTMLInputElement>(id);
  }
}
