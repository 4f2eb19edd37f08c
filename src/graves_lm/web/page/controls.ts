/** The form: between its fields and the settings. */

import { element } from "./element";
import { asSeed, INKS, Settings, SPEEDS } from "./settings";

type Numbers = "bias" | "speed" | "width" | "thickness";
type Switches = "fountain" | "ruled" | "window" | "density";

const SHOWN: Record<Numbers, (value: number) => string> = {
  bias: (value) => value.toFixed(2),
  speed: (value) => (SPEEDS[value] === Infinity ? "at once" : `${SPEEDS[value]}×`),
  width: (value) => `${value} letters`,
  thickness: (value) => value.toFixed(1),
};
const IDS: Record<Switches, string> = {
  fountain: "fountain",
  ruled: "ruled",
  window: "show-window",
  density: "show-density",
};

export class Controls {
  constructor(
    private readonly settings: Settings,
    private readonly changed: (setting: keyof Settings) => void,
  ) {
    for (const name of Object.keys(SHOWN) as Numbers[]) {
      this.field(name).addEventListener("input", () => this.set(name, Number(this.field(name).value)));
    }
    for (const name of Object.keys(IDS) as Switches[]) {
      const box = this.field(IDS[name]);
      box.addEventListener("change", () => this.set(name, box.checked));
    }
    const text = element<HTMLTextAreaElement>("text");
    text.addEventListener("input", () => this.set("text", text.value));
    const seed = this.field("seed");
    seed.addEventListener("change", () => {
      const value = seed.value === "" ? null : asSeed(Number(seed.value));
      if (value !== null) this.set("seed", value);
      this.show();
    });
    this.makeInks();
    this.show();
  }

  /** The fields as the settings are. */
  show(): void {
    const { settings } = this,
      text = element<HTMLTextAreaElement>("text");
    if (text.value !== settings.text) text.value = settings.text;
    for (const name of Object.keys(SHOWN) as Numbers[]) {
      const field = this.field(name),
        shown = SHOWN[name](settings[name]);
      field.value = String(settings[name]);
      field.setAttribute("aria-valuetext", shown);
      document.querySelector(`output[for="${name}"]`)!.textContent = shown;
    }
    for (const name of Object.keys(IDS) as Switches[]) this.field(IDS[name]).checked = settings[name];
    this.field("seed").value = String(settings.seed);
    this.field("colour").value = settings.colour;
    this.field(`ink-${settings.ink}`).checked = true;
    element("scroller").classList.toggle("ruled", settings.ruled);
    element("whole").textContent = `${Math.round(100 * settings.zoom)}%`;
  }

  private set<K extends keyof Settings>(name: K, value: Settings[K]): void {
    this.settings[name] = value;
    this.show();
    this.changed(name);
  }

  private makeInks(): void {
    const inks = Object.entries(INKS).map(([id, { name }]) => swatch(id, name, `var(--ink-${id})`));
    const colour = Object.assign(document.createElement("input"), { type: "color", id: "colour" });
    colour.setAttribute("aria-label", "Colour of your own ink");
    const own = swatch("own", "Ink of your own", this.settings.colour);
    element("inks").append(...inks, own, colour);
    element("inks").addEventListener("change", (event) => {
      const field = event.target as HTMLInputElement;
      if (field !== colour) return this.set("ink", field.value);
      own.style.background = colour.value;
      this.settings.colour = colour.value;
      return this.set("ink", "own");
    });
  }

  private field(id: string): HTMLInputElement {
    return element<HTMLInputElement>(id);
  }
}

function swatch(id: string, name: string, colour: string): HTMLLabelElement {
  const label = document.createElement("label"),
    radio = document.createElement("input");
  Object.assign(radio, { type: "radio", name: "ink", value: id, id: `ink-${id}` });
  radio.setAttribute("aria-label", name);
  label.title = name;
  label.style.background = colour;
  label.append(radio);
  return label;
}
