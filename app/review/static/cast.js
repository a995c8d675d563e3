/** The cast: a card for each person, and one for the faces that cannot be told. */

import { decide, select } from "./actions.js";
import { button, h, key, show } from "./dom.js";
import { decisions, face } from "./parts.js";
import { assign, join, rename } from "./people.js";
import { store, View } from "./store.js";
import { isSame, keyOf, styleOf, trackOf } from "./targets.js";
import { clock, span } from "./times.js";

/** Tracks of the card "cannot tell" that are shown at first. */
const FEW = 24;
/** The type of what is dragged from a card to another one. */
const DRAGGED = "application/x-face-blur-target";

/** The card of a number key, or null. */
export function cardOfKey(digit) {
  return store.review.cards[digit - 1] ?? null;
}

export class Cast extends View {
  static needs = ["review", "selection", "isClear"];

  draw(changed = new Set()) {
    const { review } = store;
    if (!review) return;
    show(
      this,
      h("h2", {}, "Cast"),
      h(
        "ul",
        { class: "cards" },
        review.cards.map((card, i) => this.#card(card, i)),
        review.nobody.length > 0 && this.#nobody(),
      ),
      review.tracks.length === 0 && h("p", { class: "muted" }, "No face was found."),
    );
    if (changed.has("selection")) {
      this.querySelector(".chosen, .holds, [aria-pressed=true].thumb")?.scrollIntoView({
        block: "nearest",
      });
    }
  }

  #card(card, i) {
    const target = { card: card.name };
    const track = store.review.byId.get(card.tracks[0]);
    const chosen = store.review.byId.get(trackOf(store.selection))?.card === card.name;
    const isChosen = isSame(store.selection, target);
    return h(
      "li",
      {
        key: keyOf(target),
        class: `card${isChosen ? " chosen" : ""}${chosen ? " holds" : ""}`,
        draggable: "true",
        ...dragging(target),
        ...dropping((dropped) => dropOn(dropped, card.name)),
      },
      h(
        "button",
        {
          type: "button",
          class: "who",
          "aria-pressed": String(isChosen),
          onclick: () => select(target),
          ondblclick: () => rename(card.name),
          onkeydown: (event) => event.key === "F2" && rename(card.name),
          title: "F2 or a double click renames",
        },
        face(track, track.faces[0] ?? track.first),
        h(
          "span",
          { class: "text" },
          h("span", { class: "name" }, card.name, i < 9 && key(i + 1)),
          h("span", { class: "muted" }, this.#meta(card)),
          card.note && h("span", { class: "note" }, card.note),
        ),
      ),
      decisions(card.decision, (to) => decide(target, to), card.name),
    );
  }

  #meta(card) {
    const count = `${card.tracks.length} ${card.tracks.length === 1 ? "track" : "tracks"}`;
    const mixed = card.decision === null ? ", mixed" : "";
    return `${card.listed ? "listed, " : ""}${count}, ${span(card.seconds)}${mixed}`;
  }

  #nobody() {
    const { nobody, byId } = store.review;
    const all = this.isLong ? nobody : nobody.slice(0, FEW);
    return h(
      "li",
      { key: "nobody", class: "card nobody", ...dropping((dropped) => dropOn(dropped, null)) },
      h("h3", {}, "Cannot tell", h("span", { class: "muted" }, ` ${nobody.length} tracks`)),
      h(
        "ul",
        { class: "tracks" },
        all.map((id) => this.#track(byId.get(id))),
      ),
      nobody.length > all.length &&
        button(`Show all ${nobody.length}`, () => {
          this.isLong = true;
          this.draw();
        }),
    );
  }

  #track(track) {
    const target = { track: track.id };
    const isChosen = trackOf(store.selection) === track.id;
    const time = store.times ? clock(store.times.start(track.first)) : "";
    const label = `Track ${track.id}, ${track.decision === "blur" ? "hidden" : "kept"}, ${time}`;
    return h(
      "li",
      { key: `track ${track.id}`, draggable: "true", ...dragging(target) },
      h(
        "button",
        {
          type: "button",
          class: `thumb ${styleOf(track)}`,
          "aria-pressed": String(isChosen),
          "aria-label": label,
          title: label,
          onclick: () => select(target),
        },
        face(track, track.faces[0] ?? track.first),
      ),
    );
  }
}

function dragging(target) {
  return {
    ondragstart: (event) => {
      event.dataTransfer.setData(DRAGGED, JSON.stringify(target));
      event.dataTransfer.effectAllowed = "move";
      event.stopPropagation();
    },
  };
}

function dropping(dropped) {
  const isOurs = (event) => event.dataTransfer.types.includes(DRAGGED);
  return {
    ondragover: (event) => {
      if (!isOurs(event)) return;
      event.preventDefault();
      event.currentTarget.classList.add("over");
    },
    ondragleave: (event) => event.currentTarget.classList.remove("over"),
    ondrop: (event) => {
      event.currentTarget.classList.remove("over");
      if (!isOurs(event)) return;
      event.preventDefault();
      dropped(JSON.parse(event.dataTransfer.getData(DRAGGED)));
    },
  };
}

function dropOn(target, name) {
  if (target.track !== undefined) return assign(target.track, name);
  if (name !== null && target.card !== name) return join(target.card, name);
  return undefined;
}

customElements.define("review-cast", Cast);
