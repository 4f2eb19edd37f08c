/** What the page brings along: the network, what it knows, and its hands (`web/page.py` writes it). */

import type { PromptData } from "./prompts";
import type { EngineSettings } from "./protocol";

export interface Data {
  version: string;
  ckpt: string;
  licence: string;
  engine: string;
  weights: string;
  characters: string[];
  plain: Record<string, string>;
  mean: [number, number];
  std: [number, number];
  settings: EngineSettings;
  bias: number;
  size_kept: [number, number][];
  prompts: PromptData;
  hands: { text: string; points: string }[];
  /** The hand that the weights carry: it is taken where no other is asked for. */
  carried: { name: string; text: string; points: Point[] } | null;
}

/** (dx, dy, end of stroke): the offset from the point before, x right and y down; 1 where the pen is lifted after it. */
export type Point = readonly [dx: number, dy: number, end: number];

export type XY = readonly [x: number, y: number];
