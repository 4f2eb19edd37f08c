/** What the visitor has set. */

import type { Data } from "./data";
import { keep, load } from "./storage";

export interface Settings {
  text: string;
  seed: number;
  hand: string; // a hand's id; "any": that of the weights, or else the seed chooses
  bias: number;
  width: number; // characters of a line
  speed: number; // index into SPEEDS
  thickness: number;
  ink: string; // one of INKS, or "own"
  colour: string; // of one's own ink
  fountain: boolean;
  ruled: boolean;
  zoom: number;
  window: boolean;
  density: boolean;
}

export const SPEEDS = [0.5, 1, 2, 4, 8, 16, Infinity];

/** Their colours on white paper, as files have them; on the page they are those of page.css. */
export const INKS: Record<string, { name: string; colour: string }> = {
  plain: { name: "Blue-black", colour: "#1d2340" },
  blue: { name: "Blue", colour: "#1f4fc4" },
  red: { name: "Red", colour: "#b3261e" },
  green: { name: "Green", colour: "#17693c" },
  sepia: { name: "Sepia", colour: "#6b4423" },
};

const GREETING = "Hello, I am a pen\nwithout a hand.\nType, and I write.";
const GREETING_SEED = 42; // of a hand that is read soon

export function firstSettings(data: Data): Settings {
  const narrow = window.innerWidth <= 760;
  return {
    text: GREETING,
    seed: GREETING_SEED,
    hand: "any",
    bias: data.bias,
    width: narrow ? 24 : 40,
    speed: 2,
    thickness: 1.2,
    ink: "plain",
    colour: "#7b2d8e",
    fountain: true,
    ruled: false,
    zoom: 1,
    window: false,
    density: false,
  };
}

/** Those of the last visit, where they are of use. */
export function loadSettings(data: Data): Settings {
  const settings = firstSettings(data),
    kept = load<Record<string, unknown>>("settings");
  if (typeof kept !== "object" || kept === null) return settings;
  const known = Object.entries(kept).filter(
    ([key, value]) => key in settings && typeof value === typeof settings[key as keyof Settings],
  );
  return within({ ...settings, ...Object.fromEntries(known) });
}

/** Whether they could be kept. */
export function keepSettings(settings: Settings): boolean {
  return keep("settings", settings);
}

function within(settings: Settings): Settings {
  const clamp = (value: number, least: number, most: number): number => Math.min(most, Math.max(least, value || 0));
  return {
    ...settings,
    seed: asSeed(settings.seed) ?? 0,
    bias: clamp(settings.bias, 0, 2),
    width: Math.round(clamp(settings.width, 16, 60)),
    speed: Math.round(clamp(settings.speed, 0, SPEEDS.length - 1)),
    thickness: clamp(settings.thickness, 0.4, 2.4),
    ink: settings.ink in INKS || settings.ink === "own" ? settings.ink : "plain",
    colour: /^#[0-9a-f]{6}$/i.test(settings.colour) ? settings.colour : "#000000",
    zoom: clamp(settings.zoom, 0.5, 4),
  };
}

export function asSeed(value: number): number | null {
  return Number.isSafeInteger(value) && value >= 0 ? value : null;
}
