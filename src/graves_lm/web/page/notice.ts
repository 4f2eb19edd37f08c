/** One line to the visitor, at the foot of the page, which stays until it is closed or another one comes. */

import { element } from "./element";

export function notice(text: string, act?: { name: string; do: () => void }): void {
  const box = element("notice"),
    button = element<HTMLButtonElement>("notice-act");
  box.querySelector("p")!.textContent = text;
  button.hidden = !act;
  button.textContent = act?.name ?? "";
  button.onclick = () => {
    closeNotice();
    act?.do();
  };
  element("notice-close").onclick = closeNotice;
  box.hidden = false;
}

export function closeNotice(): void {
  element("notice").hidden = true;
}
