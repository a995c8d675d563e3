/** Elements that several views show: faces, decisions, notes. */

import { faceAddress, photoAddress } from "./api.js";
import { button, h } from "./dom.js";
import { note } from "./people.js";
import { store } from "./store.js";
import { keyOf, stateOf } from "./targets.js";

/**
 * A face of a track; hidden people are shown hidden. Another state is another element: while a
 * picture loads, browsers go on showing the one before, which may be clear.
 */
export function face(track, frame, size = 96) {
  const state = stateOf(store.review, frame, store.isClear) + track.decision;
  const src = faceAddress(store.id, track.id, frame, size, state);
  return h("img", {
    class: "face",
    key: src,
    src,
    alt: "",
    loading: "lazy",
    draggable: "false",
  });
}

/** The reference photos of a listed person. */
export function photos(name, most = 4) {
  const count = store.review.photos?.[name] ?? 0;
  return Array.from({ length: Math.min(count, most) }, (_, number) =>
    h("img", {
      class: "face",
      src: photoAddress(store.id, name, number),
      alt: `Reference photo ${number + 1} of ${name}`,
      loading: "lazy",
    }),
  );
}

/**
 * Two buttons: hide and keep.
 * @param {"blur"|"keep"|null} decision
 * @param {(decision: "blur"|"keep") => void} decided
 * @param {string} about for people who cannot see the place of the buttons
 */
export function decisions(decision, decided, about) {
  const one = (value, label) =>
    button(label, () => decided(value), {
      class: `decision ${value}`,
      "aria-pressed": String(decision === value),
      "aria-label": `${label} ${about}`,
    });
  return h(
    "div",
    { class: "group", role: "group", "aria-label": `Decision about ${about}` },
    one("blur", "Hide"),
    one("keep", "Keep"),
  );
}

/** A field for the note on something; it is saved when the field is left. */
export function noteField(target, text) {
  return h(
    "label",
    { class: "field", key: `note ${keyOf(target)} ${text ?? ""}` },
    "Note",
    h(
      "textarea",
      {
        rows: "2",
        maxlength: "2000",
        onchange: (event) => note(target, event.target.value),
        onkeydown: (event) => {
          if (event.key === "Enter" && !event.shiftKey) event.target.blur();
          if (event.key === "Escape") event.target.blur();
        },
      },
      text ?? "",
    ),
  );
}

/** Lines of names and values. */
export function facts(rows) {
  return h(
    "dl",
    { class: "facts" },
    rows
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
  );
}
