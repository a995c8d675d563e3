/** The player: pictures before and after, the boxes over them, and the transport below. */

import { ApiError, ServerGone } from "./api.js";
import { refresh, seek, setClear, tell } from "./actions.js";
import { isStale } from "./buffer.js";
import { askClear } from "./dialogs.js";
import { button, h, show } from "./dom.js";
import { pictureOf } from "./pictures.js";
import { store, View } from "./store.js";
import { clock } from "./times.js";

/** Steps in a second when it plays backwards. */
const BACKWARDS = 12;
/** The greatest speed. */
const FASTEST = 4;

/** Change the side that is shown; clear pictures ask first. */
export async function showSide(side) {
  if (side !== "after" && !store.isClear) {
    if (!(await askClear())) return;
    await setClear(true);
    if (!store.isClear) return;
  }
  store.set({ side });
}

/** Play or stop. */
export function togglePlay() {
  play(store.isPlaying ? 0 : 1);
}

/**
 * Play at a speed: 0 stops, and less than 0 steps backwards.
 * @param {number} speed
 */
export function play(speed) {
  const last = store.review.source.frames - 1;
  if (speed > 0 && store.frame >= last) store.set({ frame: 0 });
  store.set({ isPlaying: Math.min(speed, FASTEST) });
}

/** Play forwards; a second time faster. */
export function faster() {
  play(store.isPlaying > 0 ? store.isPlaying * 2 : 1);
}

export class Player extends View {
  static needs = [
    ...["review", "times", "frame", "shown", "side", "isClear"],
    ...["isPlaying", "outlines", "mode", "isSaving"],
  ];

  connectedCallback() {
    this.pictures = new Map();
    this.isStill = false;
    this.stage = h("div", { class: "stage", "data-own": true });
    this.pane = h("div", { class: "pane" }, this.stage);
    this.stage.append(document.createElement("review-overlay"));
    this.bar = h("div", { class: "bar", role: "toolbar", "aria-label": "Picture" });
    this.below = h("div", { class: "transport", role: "toolbar", "aria-label": "Playing" });
    this.replaceChildren(this.bar, this.pane, this.below);
    this.sizes = new ResizeObserver(() => this.#fit());
    this.sizes.observe(this.pane);
    super.connectedCallback();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.sizes.disconnect();
    for (const side of [...this.pictures.keys()]) this.#close(side);
  }

  draw(changed) {
    if (store.review === null || store.times === null) return;
    if (changed.has("times")) for (const side of [...this.pictures.keys()]) this.#close(side);
    this.#open();
    if (changed.has("review")) {
      this.#fit();
      for (const picture of this.pictures.values()) picture.update(store.review);
    }
    for (const picture of this.pictures.values()) picture.hold(store.isSaving);
    if (changed.has("isPlaying")) this.#play();
    if (changed.has("frame") || changed.has("times")) this.#seek();
    if (changed.has("side")) this.#split(50);
    show(this.bar, this.#sides());
    show(this.below, this.#transport());
  }

  #wanted() {
    return { after: ["after"], before: ["before"], split: ["before", "after"] }[store.side];
  }

  /** Open the pictures that the side needs, and close others, clear ones first. */
  #open() {
    const wanted = store.isClear ? this.#wanted() : ["after"];
    for (const side of [...this.pictures.keys()]) if (!wanted.includes(side)) this.#close(side);
    for (const side of wanted) {
      if (this.pictures.has(side)) continue;
      const picture = pictureOf(side, this.isStill, store, {
        shown: (frame, isOld) => this.#shown(side, frame, isOld),
        failed: (error) => this.#failed(error),
        broken: () => this.#useStills(),
      });
      this.pictures.set(side, picture);
      this.stage.prepend(picture.element);
      picture.seek(store.frame);
    }
  }

  #useStills() {
    this.isStill = true;
    for (const side of [...this.pictures.keys()]) this.#close(side);
    this.#open();
    tell("This browser cannot play the video: single pictures are shown.");
  }

  #close(side) {
    this.pictures.get(side).close();
    this.pictures.delete(side);
    if (side === this.#leader()) store.set({ shown: null });
  }

  /** The side that tells the frame: that of the result, wherever it is shown. */
  #leader() {
    return store.side === "before" && store.isClear ? "before" : "after";
  }

  #shown(side, frame, isOld) {
    if (side !== this.#leader()) return;
    store.set({ shown: { frame, isStale: isOld && side === "after", side } });
    if (store.isPlaying > 0) {
      this.at = frame;
      store.set({ frame });
      if (frame >= store.times.count - 1) store.set({ isPlaying: 0 });
    }
  }

  #failed(error) {
    if (isStale(error)) refresh().catch(() => {});
    else if (error instanceof ServerGone) store.set({ isGone: true });
    else if (error instanceof ApiError && error.status === 403) setClear(false);
    else tell(`A picture did not come: ${error.message}`, "warning");
  }

  #seek() {
    if (store.isPlaying > 0 && store.frame === this.at) return;
    this.at = store.frame;
    for (const picture of this.pictures.values()) picture.seek(store.frame);
    if (store.isPlaying > 0) this.#play();
  }

  #play() {
    clearInterval(this.back);
    const speed = Math.max(store.isPlaying, 0);
    if (speed && this.at !== store.frame) this.#seek();
    for (const picture of this.pictures.values()) picture.play(speed);
    if (!speed) this.#seek();
    if (store.isPlaying < 0) this.back = setInterval(() => this.#stepBack(), 1000 / BACKWARDS);
  }

  #stepBack() {
    store.set({ frame: Math.max(0, store.frame - 1) });
    if (store.frame === 0) store.set({ isPlaying: 0 });
  }

  /** Give the stage the form of the video, as large as the pane allows. */
  #fit() {
    if (store.review === null) return;
    const { width: stored, height, pixel_aspect: aspect } = store.review.source;
    const width = stored * (aspect || 1);
    const room = this.pane.getBoundingClientRect();
    const narrow = matchMedia("(max-width: 900px)").matches;
    const most = narrow ? innerHeight * 0.55 : room.height;
    const scale = Math.min(room.width / width, most / height);
    this.stage.style.width = `${Math.floor(width * scale)}px`;
    this.stage.style.height = `${Math.floor(height * scale)}px`;
  }

  #split(percent) {
    this.stage.style.setProperty("--split", `${percent}%`);
    this.stage.dataset.side = store.side;
  }

  #sides() {
    const side = (name, label, key) =>
      button(label, () => showSide(name), {
        key: name,
        "aria-pressed": String(store.side === name),
        title: key,
      });
    return [
      h(
        "div",
        { class: "group", role: "group", "aria-label": "Side" },
        side("before", "Before", "the picture as it was"),
        side("after", "After", "the picture as it will be written"),
        side("split", "Split", "before at the left, after at the right"),
      ),
      button("Outlines", () => store.set({ outlines: !store.outlines }), {
        "aria-pressed": String(store.outlines),
      }),
      button("Draw a box", () => store.set({ mode: "draw", isPlaying: 0 }), {
        "aria-pressed": String(store.mode === "draw"),
        title: "B",
      }),
      store.side === "split" && this.#slider(),
      store.isClear && h("span", { class: "grow" }),
      store.isClear &&
        h(
          "div",
          { class: "clear-banner", role: "status" },
          "Hidden people are shown clear.",
          button("Hide them again", () => setClear(false)),
        ),
    ];
  }

  #slider() {
    return h("input", {
      type: "range",
      min: "0",
      max: "100",
      value: "50",
      "aria-label": "Border between before and after",
      oninput: (event) => this.stage.style.setProperty("--split", `${event.target.value}%`),
    });
  }

  #transport() {
    const { frames } = store.review.source;
    const isLate = store.shown === null || store.shown.frame !== store.frame;
    const waits = isLate && !store.isPlaying;
    return [
      button(store.isPlaying ? "Stop" : "Play", togglePlay, { class: "play", title: "Space" }),
      button("−1", () => seek(store.frame - 1), { "aria-label": "One frame back", title: "←" }),
      button("+1", () => seek(store.frame + 1), { "aria-label": "One frame on", title: "→" }),
      h("output", { class: "time" }, clock(store.times.start(store.frame), 2)),
      h("span", { class: "muted" }, `of ${clock(store.times.end)}`),
      h("label", { class: "frame" }, "Frame", this.#number(frames)),
      h("span", { class: "muted" }, `of ${frames}`),
      h("span", { class: "wait muted", "aria-hidden": "true" }, waits && "loading ..."),
      store.isPlaying > 1 || store.isPlaying < 0
        ? h("span", { class: "muted" }, store.isPlaying < 0 ? "backwards" : `${store.isPlaying} x`)
        : null,
    ];
  }

  #number(frames) {
    return h("input", {
      type: "number",
      min: "0",
      max: String(frames - 1),
      value: String(store.frame),
      onchange: (event) => seek(Number(event.target.value)),
    });
  }
}

customElements.define("review-player", Player);
