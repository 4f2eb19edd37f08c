/** Draws lines away from the page, so that it never stalls. */

import { fromBase64, inflated } from "./bytes";
import { Engine, joined } from "./engine";
import type { Drawn, FromWorker, Order, ToWorker } from "./protocol";

const BATCH_MS = 12; // between two looks for messages

const say = (message: FromWorker, given: Transferable[] = []): void =>
  (self as unknown as Worker).postMessage(message, given);

/** A turn of the event loop. A timer's would come late, and in a hidden tab once a second. */
const channel = new MessageChannel();
const turn = (): Promise<void> =>
  new Promise((resolve) => {
    channel.port1.onmessage = () => resolve();
    channel.port2.postMessage(null);
  });

let engine: Engine | null = null;
let waiting: Order[] = [];
let stops = 0; // how often it was told to stop
let drawing = false;

async function drawAll(): Promise<void> {
  if (drawing || !engine) return;
  drawing = true;
  for (let order = waiting.shift(); order; order = waiting.shift()) await draw(engine, order);
  drawing = false;
}

async function draw(engine: Engine, order: Order): Promise<void> {
  const line = engine.draw(order),
    before = stops;
  for (let over = false; !over; await turn()) {
    if (stops !== before) return;
    const batch: Drawn[] = [];
    for (const until = performance.now() + BATCH_MS; !over && performance.now() < until; ) {
      const { value, done } = line.next();
      if (value) batch.push(value);
      over = done === true;
    }
    if (batch.length) post(order.job, batch);
  }
  say({ kind: "done", job: order.job });
}

function post(job: number, batch: Drawn[]): void {
  const drawn: Drawn = {
    count: batch.reduce((sum, one) => sum + one.count, 0),
    points: joined(batch.map((one) => one.points)),
    phi: joined(batch.map((one) => one.phi)),
    y: joined(batch.map((one) => one.y)),
  };
  say({ kind: "points", job, drawn }, [drawn.points.buffer, drawn.phi.buffer, drawn.y.buffer]);
}

async function heard(message: ToWorker): Promise<void> {
  switch (message.kind) {
    case "load":
      engine = await Engine.load(
        fromBase64(message.engine),
        await inflated(fromBase64(message.weights)),
        message.settings,
      );
      say({ kind: "ready" });
      return drawAll();
    case "draw":
      waiting.push(message.order);
      return drawAll();
    case "stop":
      waiting = [];
      stops++;
  }
}

self.onmessage = (event: MessageEvent<ToWorker>) => {
  heard(event.data).catch((error: unknown) => {
    drawing = false;
    say({ kind: "failed", reason: error instanceof Error ? error.message : String(error) });
  });
};
