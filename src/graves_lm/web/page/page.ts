/** The page: a text becomes handwriting as one types. */

import { Alphabet, wrap } from "./alphabet";
import { Controls } from "./controls";
import type { Data, Point } from "./data";
import { element } from "./element";
import { hasSimd } from "./engine";
import { HandList } from "./hand_list";
import { Hand, Hands } from "./hands";
import { History } from "./history";
import type { InkLine } from "./ink";
import type { Line } from "./line";
import { DensityView, WindowView } from "./looks";
import { notice } from "./notice";
import { only } from "./only";
import { OwnPen } from "./own_pen";
import { Pen } from "./pen";
import { Prompts } from "./prompts";
import type { FromWorker, ToWorker } from "./protocol";
import { Recorder } from "./recorder";
import { listenToSaving } from "./saving";
import { INKS, keepSettings, loadSettings, Settings, SPEEDS } from "./settings";
import { Sheet } from "./sheet";
import { Units } from "./units";
import { Manner, Writing } from "./writing";

const TYPING_MS = 350; // after the last key the pen begins
const MOST_LOOKED_AT = 20; // lines of which all that the network saw is kept: a megabyte each
const MOST_NOTES = 6; // characters that are told of
const ZOOMS = [0.5, 0.75, 1, 1.25, 1.5, 2, 3, 4];

class Page {
  private readonly settings: Settings;
  private readonly alphabet: Alphabet;
  private readonly hands: Hands;
  private readonly handList: HandList;
  private readonly controls: Controls;
  private readonly sheet = new Sheet(element<SVGSVGElement>("sheet"), element("scroller"));
  private readonly windowView = new WindowView(element<HTMLCanvasElement>("phi"), element("reading"));
  private readonly densityView: DensityView;
  private readonly worker: Worker;
  private readonly writing: Writing;
  private readonly pen: Pen;
  private readonly history = new History();
  private typing = 0;
  private line: Line | null = null; // that the pen is on
  private state: "loading" | "ready" | "broken" = "loading"; // of the network
  private written: ((error?: Error) => void) | null = null;
  private afterwards: (() => void) | null = null; // when all is written
  private kept = true;
  private begun = false; // a first point has come

  constructor(data: Data, workerText: string) {
    // First of all, for it takes the longest.
    this.worker = new Worker(URL.createObjectURL(new Blob([workerText], { type: "text/javascript" })));
    this.worker.onmessage = (event: MessageEvent<FromWorker>) => this.heard(event.data);
    this.worker.onerror = () => this.failed("the worker could not be started");
    const { engine, weights, settings } = data;
    this.worker.postMessage({ kind: "load", engine, weights, settings } satisfies ToWorker);
    this.settings = { ...loadSettings(data), ...only };
    if (only) this.sheet.rows = 1;
    this.alphabet = new Alphabet(data.characters, data.plain);
    const units = new Units(data);
    this.hands = new Hands(data, this.alphabet, units);
    this.densityView = new DensityView(element<SVGSVGElement>("glass"), data);
    this.writing = new Writing(this.worker, this.alphabet, units, (line) => this.drawn(line));
    this.pen = new Pen(
      () => this.writing.lines,
      (line) => this.moved(line),
      () => this.rests(),
    );
    this.controls = new Controls(this.settings, (setting) => this.changed(setting));
    this.handList = new HandList((id) => {
      this.settings.hand = id;
      this.changed("hand");
    });
    const ownPen = new OwnPen(
      this.hands,
      () => this.ownHand,
      (hand) => {
        this.settings.hand = hand ? hand.id : "any";
        this.showHands();
        this.changed("hand");
      },
    );
    new Recorder(data.prompts);
    // Files of ink may also be dropped on the page.
    document.addEventListener(
      "dragover",
      (event) => event.dataTransfer?.types.includes("Files") && event.preventDefault(),
    );
    document.addEventListener("drop", (event) => {
      if (!event.dataTransfer?.files.length) return;
      event.preventDefault();
      void ownPen.load([...event.dataTransfer.files]);
    });
    const licence = data.licence && `Its weights: ${data.licence}. `;
    element("licence").textContent = `${licence}graves_lm ${data.version}.`;
    this.listen();
    this.setLook();
    this.write();
    setTimeout(() => this.showHands()); // the sheet is seen before
  }

  /** For programs and tests: what the page itself does with a text. Gives the points of each line, (dx, dy, end of
   *  stroke) in the data's units, when the network has drawn them all; the pen may still be on its way. */
  writeAll(text: string, given: { seed?: number; bias?: number; hand?: string | number } = {}): Promise<Point[][]> {
    const { seed, bias, hand } = given;
    Object.assign(this.settings, { text }, seed !== undefined && { seed }, bias !== undefined && { bias });
    if (hand !== undefined) this.settings.hand = String(hand);
    this.controls.show();
    this.handList.choose(this.settings.hand);
    this.write();
    this.writing.eager = true;
    this.writing.goOn();
    return new Promise((resolve, reject) => {
      const all = (): void => resolve(this.writing.lines.map((line) => line.points));
      if (this.writing.over) return all();
      this.written = (error) => (error ? reject(error) : all());
    });
  }

  // -------------------------------------------------------------------------------------- writing

  /** Writes the text as it is now: lines that are as before stay. */
  private write(): void {
    clearTimeout(this.typing);
    this.written?.(new Error("another text was given before this one was written"));
    this.written = null;
    const text = this.spelt();
    this.history.add(this.settings, this.writing.lines);
    const before = this.writing.lines;
    this.calm();
    this.writing.set(wrap(text, this.settings.width), this.manner);
    for (const line of before) if (!this.writing.lines.includes(line)) line.looks = [];
    this.start();
  }

  /** The text in characters that the network knows; what was done to it is said. */
  private spelt(): string {
    const { text, replaced, leftOut } = this.alphabet.spell(this.settings.text);
    const notes = [...replaced].slice(0, MOST_NOTES).map(([from, to]) => `${from} is written as ${to}`);
    if (leftOut.size) notes.push(`left out: ${[...leftOut].slice(0, MOST_NOTES).join(" ")}`);
    element("spelling").textContent = notes.join("; ");
    return text;
  }

  /** The pen is in no hurry any more. */
  private calm(): void {
    this.writing.eager = this.pen.hurries = false;
    this.afterwards = null;
  }

  private start(): void {
    const { hand, settings } = this;
    this.sheet.show(this.writing.lines, settings.width, hand?.measure ?? null, hand?.ink.text.length ?? 1);
    const texts = this.writing.lines.map((line) => line.text.normalize("NFC"));
    element("sheet").setAttribute("aria-label", texts.length ? `Handwriting: ${texts.join(" ")}` : "An empty sheet");
    if (this.state !== "broken") this.go();
    keepSettings(settings) || this.notKept();
  }

  private go(): void {
    this.pen.go();
    const busy = this.writing.lines.some((line) => !line.over);
    this.showBusy(busy);
    if (busy) this.say(this.state === "ready" ? "Writing…" : "Getting the pen…");
  }

  private get manner(): Manner {
    const { seed, bias } = this.settings;
    return { seed, bias, prime: this.hand?.prime ?? null };
  }

  private get hand(): Hand | null {
    return this.hands.chosen(this.settings.hand, this.settings.seed);
  }

  private get ownHand(): Hand | undefined {
    return this.hands.own.find((hand) => hand.id === this.settings.hand);
  }

  private stop(): void {
    clearTimeout(this.typing);
    this.calm();
    this.pen.stop();
    this.writing.stop();
    this.written?.(new Error("it was stopped"));
    this.written = null;
    this.showBusy(false);
    this.say("Stopped.");
  }

  /** Shows again how the text is written, from its first letter on. */
  private again(): void {
    for (const line of this.writing.lines) line.show(0);
    this.start();
  }

  private heard(message: FromWorker): void {
    if (message.kind === "failed") return this.failed(message.reason);
    if (message.kind === "ready") this.state = "ready";
    this.writing.heard(message);
    return undefined;
  }

  private failed(reason: string): void {
    this.state = "broken";
    this.stop();
    this.say("There is no pen.");
    notice(`The network could not be run in this browser: ${reason}.`);
  }

  /** The network has drawn more of a line. */
  private drawn(line: Line): void {
    if (!this.begun) performance.mark("first point"); // for benchmarks/page.py
    this.begun = true;
    if (line.done) this.sheet.update(line);
    if (this.writing.over) {
      this.written?.();
      this.written = null;
    }
  }

  private moved(line: Line): void {
    if (line !== this.line) {
      if (this.line?.over && this.writing.lines.length > MOST_LOOKED_AT) this.line.looks = [];
      this.line = line;
      const lines = this.writing.lines;
      this.sheet.update(line);
      this.sheet.follow(line);
      if (lines.length > 1) this.say(`Writing line ${lines.indexOf(line) + 1} of ${lines.length}…`);
      else this.say("Writing…");
    }
    this.sheet.update(line);
    this.sheet.showNib(line);
    if (this.settings.window) this.windowView.show(line);
    if (this.settings.density) this.densityView.show(line, this.settings.bias);
    if (line.over) this.writing.next();
  }

  private rests(): void {
    const { length } = this.writing.lines;
    this.sheet.showNib(null);
    this.showBusy(false);
    this.say(
      length === 0 ? "There is nothing to write yet." : length === 1 ? "Written." : `Written: ${length} lines.`,
    );
    const act = this.afterwards;
    this.calm();
    act?.();
  }

  private undo(): void {
    this.history.add(this.settings, this.writing.lines); // what was typed just now
    const version = this.history.back();
    if (!version) return;
    Object.assign(this.settings, version.settings);
    this.controls.show();
    this.showHands();
    this.writing.lines = version.lines;
    this.write();
  }

  // ------------------------------------------------------------------------------------- the form

  private changed(setting: keyof Settings): void {
    if (setting === "text") this.spelt();
    switch (setting) {
      case "text":
      case "bias":
      case "width":
        clearTimeout(this.typing);
        this.typing = window.setTimeout(() => this.write(), TYPING_MS);
        break;
      case "hand":
      case "seed":
        this.showOwn();
        this.write();
        break;
      default:
        this.setLook();
        keepSettings(this.settings) || this.notKept();
    }
  }

  /** Ink, paper, pace, zoom, and what is shown of the network. */
  private setLook(): void {
    const { ink, colour, thickness, fountain, speed, zoom } = this.settings;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.pen.speed = SPEEDS[speed];
    this.pen.whole = calm;
    this.sheet.setZoom(zoom);
    this.sheet.setInk({ colour: ink === "own" ? colour : `var(--ink-${ink})`, width: thickness, fountain });
    element("window").hidden = !this.settings.window;
    element("density").hidden = !this.settings.density;
    this.showWindow();
  }

  private showWindow(): void {
    this.windowView.again();
    if (this.settings.window) this.windowView.show(this.line);
  }

  private listen(): void {
    const click = (id: string, act: () => void): void => element(id).addEventListener("click", act);
    click("write", () => (this.isWritten ? this.again() : this.write()));
    click("stop", () => this.stop());
    click("again", () => this.again());
    click("another", () => {
      this.settings.seed = (this.settings.seed + 1) % Number.MAX_SAFE_INTEGER;
      this.controls.show();
      this.changed("seed");
    });
    click("undo", () => this.undo());
    click("clear", () => {
      this.history.add(this.settings, this.writing.lines);
      this.settings.text = "";
      this.controls.show();
      this.write();
      element("text").focus();
    });
    element("text").addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.write();
    });
    document.querySelector("form")!.addEventListener("submit", (event) => event.preventDefault());
    const zoom = (to: number | undefined): void => {
      this.settings.zoom = to ?? this.settings.zoom;
      this.controls.show();
      this.changed("zoom");
    };
    click("smaller", () => zoom(ZOOMS.filter((one) => one < this.settings.zoom).pop()));
    click("larger", () => zoom(ZOOMS.find((one) => one > this.settings.zoom)));
    click("whole", () => zoom(1));
    listenToSaving(
      this.sheet,
      () => this.inkLines,
      () => this.colour,
      (act) => this.whenWritten(act),
    );
    matchMedia("(prefers-reduced-motion: reduce)").addEventListener("change", () => this.setLook());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.setLook());
    new ResizeObserver(() => this.showWindow()).observe(element("window"));
  }

  /** Whether the text as it is now is on the sheet. */
  private get isWritten(): boolean {
    return this.history.last?.settings.text === this.settings.text && this.writing.lines.every((line) => line.over);
  }

  private get colour(): string {
    return this.settings.ink === "own" ? this.settings.colour : INKS[this.settings.ink].colour;
  }

  private get inkLines(): InkLine[] {
    return this.writing.lines
      .filter((line) => line.done)
      .map(({ text, points }) => ({ text, points, pressure: null }));
  }

  /** Does something with what is written; where the pen is still on its way, it hurries there first. */
  private whenWritten(act: () => void): void {
    if (!this.busy) return act();
    this.pen.hurries = this.writing.eager = true;
    this.writing.next();
    this.afterwards = act;
    return this.say("Writing the rest, then saving…");
  }

  private showHands(): void {
    this.handList.show(this.hands.all, this.settings.hand);
    this.showOwn();
  }

  private showOwn(): void {
    const own = this.ownHand;
    element("own-hand").hidden = !own;
    if (own) element<HTMLInputElement>("hand-name").value = own.name;
  }

  private get busy(): boolean {
    return !element("stop").hidden;
  }

  private showBusy(busy: boolean): void {
    const stop = element("stop"),
      write = element("write"),
      focused = document.activeElement;
    stop.hidden = !busy;
    write.hidden = busy;
    if (busy && focused === write) stop.focus();
    if (!busy && focused === stop) write.focus();
  }

  private say(text: string): void {
    const status = element("status");
    if (status.textContent !== text) status.textContent = text;
  }

  private notKept(): void {
    if (this.kept) notice("This browser keeps nothing of this page: your text and settings stay until you leave.");
    this.kept = false;
  }
}

declare global {
  interface Window {
    /** The page for programs: `graves.write("a text", {seed: 1, bias: 0.5, hand: 3})` gives each line's points,
     *  `graves.prompts(40, "äöü")` lines to write. */
    graves: { write: Page["writeAll"]; prompts: Prompts["choose"] };
  }
}

if (hasSimd() && typeof DecompressionStream === "function") {
  const data = JSON.parse(element("data").textContent!) as Data,
    page = new Page(data, element("worker").textContent!);
  window.graves = {
    write: (text, given) => page.writeAll(text, given),
    prompts: (...given) => new Prompts(data.prompts).choose(...given),
  };
} else {
  element("status").textContent = "This browser is too old for the pen: it lacks WebAssembly with SIMD.";
}
