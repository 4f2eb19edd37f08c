/** Views of one thing, for a frame in a text about it: `#only=bias`, `#only=window`, `#only=density`. page.html names
 *  the view in `body.dataset.only` before anything is seen, and page.css hides all else. They know of no other visit
 *  (storage.ts). */

import type { Settings } from "./settings";

const VIEWS: Record<string, Partial<Settings>> = {
  bias: { text: "the pen writes\nwhat you say", width: 14, speed: 3 },
  window: { text: "what you say", width: 12, speed: 0, window: true },
  density: { text: "where to go", width: 11, speed: 0, bias: 0.3, density: true },
};

/** What is set in the view that is asked for; null in the whole page. */
export const only = VIEWS[document.body.dataset.only ?? ""] ?? null;
