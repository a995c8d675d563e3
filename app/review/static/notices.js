/** Messages: a live region for what happened, and a banner while the server is gone. */

import { button, h, show } from "./dom.js";
import { store, View } from "./store.js";

/** Milliseconds for which a message stays; warnings stay until they are closed. */
const STAY = 5000;

export class Notices extends View {
  static needs = ["message", "isGone"];

  connectedCallback() {
    this.gone = h("div", { role: "alert" });
    this.live = h("div", { class: "messages", role: "status", "aria-live": "polite" });
    this.replaceChildren(this.gone, this.live);
    super.connectedCallback();
  }

  draw(changed) {
    const text = "The server does not answer. Changes are not saved; trying again ...";
    show(this.gone, store.isGone && h("p", { class: "gone" }, text));
    if (changed.has("message")) this.#message();
  }

  #message() {
    clearTimeout(this.timer);
    const { message } = store;
    if (message === null) return show(this.live);
    show(
      this.live,
      h(
        "p",
        { class: `message ${message.level}`, key: `message ${message.at}` },
        message.text,
        button("×", () => store.set({ message: null }), { "aria-label": "Close the message" }),
      ),
    );
    if (message.level === "info") {
      this.timer = setTimeout(() => store.set({ message: null }), STAY);
    }
  }
}

customElements.define("review-notices", Notices);
