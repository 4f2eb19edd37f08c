/** What was written before: "Undo" goes back to it, and what the pen has written of it is there at once. */

import { element } from "./element";
import type { Line } from "./line";
import type { Settings } from "./settings";

type Written = Pick<Settings, "text" | "seed" | "hand" | "bias" | "width">;

interface Version {
  settings: Written;
  lines: Line[];
}

const MOST = 30;

export class History {
  private readonly versions: Version[] = [];

  /** The settings as they are now, if they are new. `lines` are those of the version before. */
  add({ text, seed, hand, bias, width }: Written, lines: Line[]): void {
    const settings = { text, seed, hand, bias, width },
      { last } = this;
    if (last) last.lines = lines;
    if (JSON.stringify(last?.settings) !== JSON.stringify(settings)) this.versions.push({ settings, lines: [] });
    if (this.versions.length > MOST) this.versions.shift();
    this.show();
  }

  /** The version before the last one, which is forgotten. */
  back(): Version | null {
    if (this.versions.length < 2) return null;
    this.versions.pop();
    this.show();
    return this.last!;
  }

  get last(): Version | undefined {
    return this.versions[this.versions.length - 1];
  }

  private show(): void {
    element<HTMLButtonElement>("undo").disabled = this.versions.length < 2;
  }
}
