/** What the page and its worker say to each other. */

/** What a line goes on from: points (dx, dy, end of stroke), one after another, in the network's units. */
export interface Prime {
  hand: string; // what the engine may keep its state under
  symbols: number[];
  points: Float32Array;
}

/** A line to be drawn. `line` is its number in the text, which its random numbers go by. */
export interface Order {
  job: number;
  symbols: number[];
  line: number;
  seed: number;
  bias: number;
  prime: Prime | null;
}

export interface EngineSettings {
  whole: number;
  still: [number, number];
  end: number[];
}

export type ToWorker =
  | { kind: "load"; engine: string; weights: string; settings: EngineSettings }
  | { kind: "draw"; order: Order }
  | { kind: "stop" };

/** Points that were drawn: (dx, dy, end of stroke) in the network's units, and for each of them φ over the text's
 *  characters and one past them, and ŷ. */
export interface Drawn {
  count: number;
  points: Float32Array;
  phi: Float32Array;
  y: Float32Array;
}

export type FromWorker =
  | { kind: "ready" }
  | { kind: "points"; job: number; drawn: Drawn }
  | { kind: "done"; job: number }
  | { kind: "failed"; reason: string };
