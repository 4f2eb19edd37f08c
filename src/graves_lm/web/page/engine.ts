/** The pen in WebAssembly (`../engine/engine.c`) draws one line at a time. */

import type { Drawn, EngineSettings, Order } from "./protocol";

interface Exports {
  memory: WebAssembly.Memory;
  _initialize(): void;
  engine_room(bytes: number): number;
  engine_free(room: number): void;
  engine_load(file: number): number;
  engine_settings(): number;
  engine_begin(
    text: number,
    length: number,
    read: number,
    prime: number,
    primed: number,
    low: number,
    high: number,
    line: number,
    candidate: number,
  ): void;
  engine_state_size(): number;
  engine_kept(): number;
  engine_kept_points(): number;
  engine_resume(state: number, points: number): void;
  engine_prime(most: number): number;
  engine_point(): number;
  engine_first(): number;
  engine_count(): number;
  engine_look(what: number): number;
}

interface Kept {
  state: Float32Array;
  points: number;
}

const PIECE = 8; // points of a prime that are read before the worker looks for messages
const MOST_KEPT = 64; // primes whose states are kept
const OUTPUTS_AT = 12; // in the weights' head: how many numbers ŷ has

/** Whether this browser runs the engine: a module of one function with a SIMD instruction. */
export function hasSimd(): boolean {
  const module = [
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
  ];
  return typeof WebAssembly === "object" && WebAssembly.validate(new Uint8Array(module));
}

export class Engine {
  private readonly kept = new Map<string, Kept>();

  private constructor(
    private readonly wasm: Exports,
    private readonly settings: EngineSettings,
    private readonly outputs: number,
  ) {}

  static async load(engine: Uint8Array, weights: Uint8Array, settings: EngineSettings): Promise<Engine> {
    const { instance } = await WebAssembly.instantiate(engine as BufferSource, {});
    const wasm = instance.exports as unknown as Exports;
    wasm._initialize();
    if (weights.length < 64) throw new Error("its weights are broken");
    const outputs = new DataView(weights.buffer, weights.byteOffset).getInt32(OUTPUTS_AT, true);
    const made = new Engine(wasm, settings, outputs);
    if (wasm.engine_load(made.put(weights)) !== 0) throw new Error("its weights are broken");
    return made;
  }

  /** Draws the line; what it gives may be nothing yet. The caller may stop asking at any time. */
  *draw(order: Order): Generator<Drawn | null, void> {
    const { wasm } = this;
    this.begin(order);
    if (order.prime) {
      while (wasm.engine_prime(PIECE) > 0) yield null;
      this.keep(order.prime.hand);
    }
    const read = order.prime?.symbols.length ?? 0;
    const waiting: { phi: Float32Array; y: Float32Array }[] = []; // one a point, from point `given` on
    let given = 0,
      ending = 0;
    while (ending === 0) {
      ending = wasm.engine_point();
      if (ending !== 2) {
        const phi = this.floats(wasm.engine_look(1), read + order.symbols.length + 1);
        waiting.push({ phi: phi.slice(read), y: this.floats(wasm.engine_look(2), this.outputs).slice() });
      }
      const first = wasm.engine_first(),
        count = wasm.engine_count();
      if (first < 0 || count === Math.max(first, given)) {
        yield null;
        continue;
      }
      const begin = Math.max(first, given);
      const looks = waiting.splice(0).slice(begin - given);
      given = count;
      yield {
        count: count - begin,
        points: this.floats(wasm.engine_look(0), 3 * count).slice(3 * begin),
        phi: joined(looks.map((look) => look.phi)),
        y: joined(looks.map((look) => look.y)),
      };
    }
  }

  private begin(order: Order): void {
    const { wasm } = this;
    const { whole, still, end } = this.settings;
    this.floats(wasm.engine_settings(), 5 + end.length).set([order.bias, order.bias, whole, ...still, ...end]);
    const read = order.prime?.symbols ?? [];
    const points = order.prime?.points ?? new Float32Array(0);
    const text = this.put(bytes(new Int32Array([...read, ...order.symbols])));
    const prime = this.put(bytes(points));
    const low = order.seed >>> 0,
      high = Math.floor(order.seed / 2 ** 32) >>> 0;
    wasm.engine_begin(text, order.symbols.length, read.length, prime, points.length / 3, low, high, order.line, 0);
    wasm.engine_free(text);
    wasm.engine_free(prime);
    const kept = order.prime && this.kept.get(order.prime.hand);
    if (kept) {
      const state = this.put(bytes(kept.state));
      wasm.engine_resume(state, kept.points);
      wasm.engine_free(state);
    }
  }

  /** The next line in this hand begins where the window first saw the text. */
  private keep(hand: string): void {
    const points = this.wasm.engine_kept_points();
    if (points === 0 || this.kept.has(hand)) return;
    if (this.kept.size === MOST_KEPT) this.kept.delete(this.kept.keys().next().value!);
    const state = this.floats(this.wasm.engine_kept(), this.wasm.engine_state_size()).slice();
    this.kept.set(hand, { state, points });
  }

  /** Memory moves when it grows, so that a view is good until the next call only. */
  private floats(at: number, count: number): Float32Array {
    return new Float32Array(this.wasm.memory.buffer, at, count);
  }

  private put(content: Uint8Array): number {
    const at = this.wasm.engine_room(Math.max(content.length, 64));
    if (at === 0) throw new Error("there is not enough memory for the network");
    new Uint8Array(this.wasm.memory.buffer, at, content.length).set(content);
    return at;
  }
}

function bytes(of: Int32Array | Float32Array): Uint8Array {
  return new Uint8Array(of.buffer, of.byteOffset, of.byteLength);
}

export function joined(parts: Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
