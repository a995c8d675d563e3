/** The selected thing: faces beside reference photos, the reason, and what can be done about it. */

import { decide, edit, inTurn, seek, select } from "./actions.js";
import { button, h, key, show } from "./dom.js";
import { decisions, face, facts, noteField, photos } from "./parts.js";
import { assign, assignNew, mergeChosen, rename, splitChosen } from "./people.js";
import { confirm, go, present, question } from "./queue.js";
import { follow, removeKey, removeRegion, setBorder } from "./regions.js";
import { store, View } from "./store.js";
import { isSame, nameOf, parts, personOf, verb } from "./targets.js";
import { clock, span } from "./times.js";

/** The value of the choice "a new person". */
const NEW = "\u0000new";
const NOBODY = "\u0000nobody";

export class Selected extends View {
  static needs = ["review", "selection", "doubt", "isClear", "times", "frame"];

  draw(changed) {
    const { review, times, selection } = store;
    if (!review || !times) return;
    if (changed.size === 1 && changed.has("frame") && parts(selection)[0] === "card") return;
    const [kind, name] = parts(selection);
    const views = {
      track: () => this.#track(review.byId.get(name)),
      lost: () => this.#track(review.byId.get(name)),
      region: () => this.#region(review.regions.find((one) => one.id === name)),
      card: () => this.#card(review.cards.find((one) => one.name === name)),
      listed: () => this.#listed(name),
      video: () => this.#video(),
    };
    show(this, h("h2", {}, "Selected"), this.#doubt(), views[kind]?.() ?? nothing());
  }

  #doubt() {
    const doubt = present();
    if (doubt === null) return null;
    if (!isSame(doubt.target, store.selection)) {
      return h(
        "section",
        { class: "doubt away row", "aria-label": "Present doubt" },
        `The present doubt is about ${nameOf(doubt.target)}.`,
        button("Back to it", () => go(doubt), { title: "Enter" }),
      );
    }
    return h(
      "section",
      { class: `doubt ${doubt.settled ? "settled" : ""}`, "aria-label": "Present doubt" },
      h("h3", {}, question(doubt)),
      h("p", {}, doubt.reason),
      doubt.settled
        ? h("p", { class: "muted" }, "Settled.")
        : h(
            "div",
            { class: "choices" },
            button(doubt.sort === "lost" ? "Nothing is missing" : "Confirm", confirm, {
              class: "strong",
              title: "Enter",
            }),
            key("Enter"),
          ),
    );
  }

  #track(track) {
    const person = personOf(track);
    const target = { track: track.id };
    return h(
      "section",
      { key: `track ${track.id}` },
      h("h3", {}, `Track ${track.id}: ${person}`),
      h(
        "div",
        { class: "row" },
        decisions(track.decision, (to) => decide(target, to), `track ${track.id}`),
        track.card !== null && this.#whole(track.card),
      ),
      this.#faces(track),
      this.#why(track),
      this.#same(track),
      h(
        "div",
        { class: "row" },
        button("Split here", splitChosen, {
          disabled: store.frame <= track.first || store.frame > track.last,
          title: "S",
        }),
        track.uncertain && this.#reopen(track),
      ),
      noteField(target, track.note),
    );
  }

  #whole(name) {
    const card = store.review.cards.find((one) => one.name === name);
    if (card.tracks.length < 2) return null;
    return button(`All ${card.tracks.length} tracks of ${name}`, () =>
      select({ card: name }, { stay: true }),
    );
  }

  #reopen(track) {
    if (!track.confirmed) return null;
    const again = () => inTurn(() => edit("confirm", { track: track.id }, false));
    return button("Open the doubt again", again);
  }

  #faces(track) {
    const listed = [track.card, track.person].find((name) =>
      store.review.people.some((person) => person.name === name),
    );
    const jump = (frame) =>
      h(
        "li",
        { key: `face ${frame}` },
        button("", () => seek(frame), { class: "thumb", "aria-label": `Go to frame ${frame}` }),
      );
    const seen = track.faces.slice(0, 6).map((frame) => {
      const item = jump(frame);
      item.firstChild.append(face(track, frame));
      return item;
    });
    return h(
      "div",
      { class: "compare" },
      h("ul", { class: "faces", "aria-label": "Best faces of the track" }, seen),
      listed && [h("p", { class: "muted" }, `Photos of ${listed}`)],
      listed && h("div", { class: "faces" }, photos(listed)),
    );
  }

  #why(track) {
    const [begin, end] = [store.times.start(track.first), store.times.start(track.last + 1)];
    return facts([
      ["Why", track.reason],
      ["Not clear", track.unclear],
      ["Likeness", track.similarity?.toFixed(2)],
      ["Listed as", track.person],
      ["Width", track.width ? `${Math.round(track.width)} px` : null],
      ["Time", `${clock(begin)} to ${clock(end)} (${span(end - begin)})`],
      ["Frames", `${track.first} to ${track.last}`],
    ]);
  }

  #same(track) {
    const one = (value, label) =>
      h("option", { value, selected: value === (track.card ?? NOBODY) }, label);
    const chosen = (event) => {
      const { value } = event.target;
      event.target.value = track.card ?? NOBODY;
      if (value === NEW) assignNew(track.id);
      else assign(track.id, value === NOBODY ? null : value);
    };
    return h(
      "label",
      { class: "field" },
      "Same person as",
      h(
        "select",
        { onchange: chosen, key: `same ${track.id} ${track.card}` },
        store.review.cards.map((card) => one(card.name, card.name)),
        one(NOBODY, "Cannot tell"),
        one(NEW, "A new person ..."),
      ),
    );
  }

  #card(card) {
    const target = { card: card.name };
    const { byId } = store.review;
    const thumb = (track) =>
      h(
        "li",
        { key: `track ${track.id}` },
        h(
          "button",
          {
            type: "button",
            class: "thumb",
            "aria-label": `Track ${track.id}, ${verb(track.decision)}`,
            onclick: () => select({ track: track.id }),
          },
          face(track, track.faces[0] ?? track.first),
        ),
      );
    return h(
      "section",
      { key: `card ${card.name}` },
      h("h3", {}, card.name),
      h("div", { class: "row" }, decisions(card.decision, (to) => decide(target, to), card.name)),
      card.listed && h("div", { class: "faces" }, photos(card.name)),
      facts([
        ["Tracks", String(card.tracks.length)],
        ["Visible for", span(card.seconds)],
        ["From", clock(store.times.start(card.first))],
      ]),
      h("ul", { class: "faces" }, card.tracks.slice(0, 60).map((id) => thumb(byId.get(id)))),
      h(
        "div",
        { class: "row" },
        button("Rename", () => rename(card.name), { title: "F2" }),
        button("Same as ...", mergeChosen, { title: "M" }),
      ),
      noteField(target, card.note),
    );
  }

  #region(region) {
    const at = (frame) =>
      h(
        "li",
        { key: `at ${frame}` },
        button(`Frame ${frame}, ${clock(store.times.start(frame), 2)}`, () => seek(frame)),
        region.keys.length > 1 &&
          button("Remove", () => removeKey(region.id, frame), {
            "aria-label": `Remove key frame ${frame}`,
          }),
      );
    return h(
      "section",
      { key: `region ${region.id}` },
      h("h3", {}, `Drawn region ${region.id}`),
      facts([["Hidden", `frames ${region.first} to ${region.last}`]]),
      h(
        "div",
        { class: "row" },
        button("Begin here", () => setBorder("first"), { title: "I" }),
        button("End here", () => setBorder("last"), { title: "O" }),
        button("Follow the face", () => follow(region.id)),
        button("Remove", () => removeRegion(region.id), { title: "Delete", class: "danger" }),
      ),
      h("h4", {}, "Key frames"),
      h("ul", { class: "keys" }, region.keys.map(([frame]) => at(frame))),
      noteField({ region: region.id }, region.note),
    );
  }

  #listed(name) {
    return h(
      "section",
      { key: `listed ${name}` },
      h("h3", {}, `${name} was not found`),
      h("div", { class: "faces" }, photos(name)),
      h("p", {}, "Look for the person yourself: put faces that show them on a card of that name."),
      noteField({ listed: name }, this.#person(name)?.note),
    );
  }

  #person(name) {
    return store.review.people.find((person) => person.name === name);
  }

  #video() {
    return h(
      "section",
      { key: "video" },
      h("h3", {}, "The result hides nobody"),
      h("p", {}, "Every face will be visible. Confirm only if that is what you want."),
      noteField({ video: 0 }, store.review.video_note),
    );
  }
}

function nothing() {
  return h(
    "p",
    { class: "muted" },
    "Click a face, a card or a bar. ",
    key("N"),
    " goes to the next doubt, ",
    key("?"),
    " shows all keys.",
  );
}

customElements.define("review-selected", Selected);
