/** The hands as small drawings to choose from. */

import { centreLine } from "./curves";
import { element } from "./element";
import { ANY, Hand } from "./hands";
import { svg } from "./svg";

const ABOVE = 3.1,
  HIGH = 4.8,
  WIDE = 17; // heights of an x that are seen

export class HandList {
  constructor(private readonly chosen: (id: string) => void) {
    element("hand-list").addEventListener("change", (event) => this.chosen((event.target as HTMLInputElement).value));
  }

  show(hands: readonly Hand[], current: string): void {
    const carried = hands.find((hand) => hand.id === ANY),
      own = hands.filter((hand) => hand.own),
      others = hands.filter((hand) => !hand.own && hand !== carried);
    const cards = [...own, ...others].map((hand) => this.card(hand.id, hand.name, hand));
    const first = carried ? this.card(ANY, carried.name, carried) : this.card(ANY, "Any", null);
    element("hand-list").replaceChildren(first, ...cards);
    this.choose(current);
  }

  choose(id: string): void {
    const field = element<HTMLInputElement>(`hand-${id}`) ?? element<HTMLInputElement>("hand-any");
    if (!field) return;
    field.checked = true;
    const card = field.closest("label")!,
      list = element("hand-list");
    const above = card.offsetTop - list.offsetTop;
    if (above < list.scrollTop || above + card.offsetHeight > list.scrollTop + list.clientHeight)
      list.scrollTop = above - 40;
  }

  private card(id: string, name: string, hand: Hand | null): HTMLLabelElement {
    const card = document.createElement("label"),
      radio = document.createElement("input");
    card.className = `hand${hand ? (hand.own ? " own" : id === ANY ? " carried" : "") : " any"}`;
    Object.assign(radio, { type: "radio", name: "hand", value: id, id: `hand-${id}` });
    radio.setAttribute("aria-label", hand ? name : "Any hand: the seed chooses");
    card.title = hand ? name : "The seed chooses";
    card.append(radio);
    if (hand) card.append(this.preview(hand));
    if (!hand || hand.own || id === ANY)
      card.append(Object.assign(document.createElement("span"), { className: "name", textContent: name }));
    return card;
  }

  private preview(hand: Hand): SVGSVGElement {
    const { left, level, xHeight, width } = hand.measure,
      x = xHeight || Math.max(width / 10, 1);
    const box = [left - 0.5 * x, level - ABOVE * x, WIDE * x, HIGH * x].map((value) => value.toFixed(0)).join(" ");
    const picture = svg("svg", { viewBox: box, preserveAspectRatio: "xMinYMid slice", "aria-hidden": "true" });
    const seen = hand.strokes.filter((stroke) => stroke[0][0] < left + (WIDE + 6) * x);
    picture.style.strokeWidth = `${x / 9}`;
    picture.append(svg("path", { d: seen.map(centreLine).join("") }));
    return picture;
  }
}
