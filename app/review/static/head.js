/** The bar at the top: counts of the queue, saving, undo, rendering and the result. */

import { openReview, redo, undo } from "./actions.js";
import { button, h, key, show } from "./dom.js";
import { showHelp } from "./keys.js";
import { counts, go, next, open } from "./queue.js";
import { render, watchRender } from "./rendering.js";
import { address } from "./api.js";
import { store, View } from "./store.js";
import { ago } from "./times.js";

/** Milliseconds after which "saved 2 s ago" is told anew. */
const TICK = 1000;

export class Head extends View {
  static needs = [
    ...["review", "doubt", "isSaving", "savedAt", "isGone", "render", "reviewer", "reviews", "id"],
  ];

  connectedCallback() {
    super.connectedCallback();
    this.clock = setInterval(() => this.#time(), TICK);
    watchRender();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.clock);
  }

  draw() {
    if (store.review === null) return show(this, h("span", { class: "title" }, "Face blur"));
    const space = h("span", { class: "grow" });
    show(this, this.#name(), this.#queue(), space, this.#edits(), this.#end());
    this.#time();
  }

  #name() {
    const one = ({ id, name }) => h("option", { value: id, selected: id === store.id }, name);
    return [
      h("h1", { class: "title", title: store.review.source.name }, store.review.source.name),
      store.reviews.length > 1 &&
        h(
          "select",
          { "aria-label": "Video", onchange: (event) => openReview(event.target.value) },
          store.reviews.filter(({ state }) => state === "ready").map(one),
        ),
      store.folder !== null && button("All videos", () => store.set({ isStart: true })),
    ];
  }

  #queue() {
    const one = ([sort, count]) =>
      button(`${count} ${sort}`, () => go(open().find((doubt) => doubt.sort === sort)), {
        class: `count ${sort.replaceAll(" ", "-")}`,
        key: sort,
      });
    const numbers = counts();
    return h(
      "div",
      { class: "queue", role: "group", "aria-label": "Open doubts" },
      numbers.length
        ? [
            numbers.map(one),
            button("Next", () => next(), { key: "next", title: "N" }),
          ]
        : h("span", { class: "done" }, "Nothing is open"),
    );
  }

  #edits() {
    const { review } = store;
    return [
      h("span", { class: "saved muted" }),
      button("Undo", undo, { disabled: review.undo === null, title: "Z" }),
      button("Redo", redo, { disabled: review.redo === null, title: "Shift+Z" }),
      h("span", { class: "reviewer", title: "reviewer" }, store.reviewer),
    ];
  }

  #end() {
    const { review } = store;
    return [
      this.#render(),
      review.rendered && this.#result(),
      h("a", { href: address(store.id, "/report"), target: "_blank", rel: "noopener" }, "Report"),
      h(
        "span",
        { class: `state ${review.done ? "done" : "required"}`, role: "status" },
        review.done ? "Done" : "Review required",
      ),
      h(
        "button",
        { type: "button", onclick: showHelp, "aria-label": "Help: keys", class: "help" },
        key("?"),
      ),
    ];
  }

  #render() {
    const { state, done, expected } = store.render;
    if (state === "running") {
      const percent = expected ? Math.round((100 * done) / expected) : null;
      return h(
        "label",
        { class: "rendering" },
        `Rendering${percent === null ? "" : ` ${percent} %`}`,
        h("progress", { max: "100", value: percent }),
      );
    }
    return button(label(store.review), render, { class: "strong" });
  }

  #result() {
    const { name, stale } = store.review.rendered;
    const title = stale ? "made before the last changes" : null;
    const href = address(store.id, "/result");
    return h("a", { href, download: name, title, class: "result" }, stale ? `${name} (old)` : name);
  }

  #time() {
    const element = this.querySelector(".saved");
    if (!element) return;
    let text = store.savedAt === null ? "no changes yet" : `saved ${ago(store.savedAt)}`;
    if (store.isSaving) text = "saving ...";
    if (store.isGone) text = "not saved: no server";
    if (element.textContent !== text) element.textContent = text;
  }
}

/** The words of the button that renders. */
function label({ number, rendered }) {
  const seconds = rendered?.seconds ? `, ~${Math.max(1, Math.round(rendered.seconds))} s` : "";
  if (rendered && !rendered.stale) return "Render again";
  const count = rendered ? rendered.changes : number;
  if (!count) return `Render${seconds}`;
  return `Render ${count} ${count === 1 ? "change" : "changes"}${seconds}`;
}

customElements.define("review-head", Head);
