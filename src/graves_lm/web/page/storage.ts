/** What is kept in this browser, where that is allowed; nothing in a view of one thing. */

import { only } from "./only";

const PREFIX = "graves_lm.";

export function load<T>(name: string): T | null {
  if (only) return null;
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? null : (JSON.parse(text) as T);
  } catch {
    return null;
  }
}

/** Whether it could be kept, where it has to be. */
export function keep(name: string, value: unknown): boolean {
  if (only) return true;
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

export function forget(name: string): void {
  if (only) return;
  try {
    localStorage.removeItem(PREFIX + name);
  } catch {
    // Then nothing was kept either.
  }
}
