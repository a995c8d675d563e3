/** The state of the page in one place. Views read it, and are told when a part of it changes. */

import { FrameTimes } from "./times.js";

/** Name under which the harmless choices of view are kept; never anything about a video. */
const CHOICES = "face-blur-review";

/**
 * The state.
 *
 * - `reviews`, `reviewer`, `folder`: the answer about all reviews; `id`: the open one
 * - `review`: the state of the open review, as the server answers it, with `byId` (tracks)
 * - `times`, `boxes`: times of frames, boxes of tracks
 * - `frame`: where the playhead is; `shown`: `{frame, isStale}` of the picture on the screen
 * - `side`: after, before or split; `outlines`: whether boxes are drawn; `isClear`: whether clear
 *   pictures were asked for; `isPlaying`: speed, or 0
 * - `selection`: the target that is selected, such as `{track: 3}`; `doubt`: key of the present
 *   doubt
 * - `mode`: null or "draw"; `render`: the answer about rendering
 * - `isSaving`, `savedAt`, `isGone`, `message`: how edits fare
 * - `tab`: the part that narrow screens show; `view`: `[from, to]` frames of the timeline
 */
const BEGINNING = {
  reviews: [],
  reviewer: "",
  folder: null,
  id: null,
  isStart: false,
  review: null,
  times: null,
  boxes: null,
  frame: 0,
  shown: null,
  side: "after",
  outlines: true,
  isClear: false,
  isPlaying: 0,
  selection: null,
  doubt: null,
  mode: null,
  render: { state: "idle" },
  isSaving: false,
  savedAt: null,
  isGone: false,
  message: null,
  tab: "selected",
  view: null,
};

class Store {
  constructor() {
    Object.assign(this, BEGINNING, choices());
    this.listeners = new Set();
    this.changed = new Set();
  }

  /**
   * Change the state; the views are told before the next picture is drawn.
   * @param {Partial<typeof BEGINNING>} changes
   */
  set(changes) {
    for (const [name, value] of Object.entries(changes)) {
      if (this[name] !== value) {
        this[name] = value;
        this.changed.add(name);
      }
    }
    if (this.changed.has("outlines")) keepChoices({ outlines: this.outlines });
    if (this.changed.size && !this.isTelling) {
      this.isTelling = true;
      queueMicrotask(() => this.#tell());
    }
  }

  /**
   * Call `listener` when one of these parts has changed.
   * @param {string[]} parts
   * @param {(changed: Set<string>) => void} listener
   * @returns {() => void} ends the subscription
   */
  subscribe(parts, listener) {
    const entry = { parts, listener };
    this.listeners.add(entry);
    return () => this.listeners.delete(entry);
  }

  #tell() {
    const changed = this.changed;
    this.changed = new Set();
    this.isTelling = false;
    for (const { parts, listener } of [...this.listeners]) {
      if (parts.some((part) => changed.has(part))) listener(changed);
    }
  }

  /** Take another state of the review, as the server has answered it. */
  take(review) {
    review.byId = new Map(review.tracks.map((track) => [track.id, track]));
    this.set({ review, selection: existing(review, this.selection) });
  }

  /** Take the times of the frames. */
  takeTimes(times) {
    this.set({ times: new FrameTimes(times, this.review.source.duration) });
  }
}

function existing(review, target) {
  if (target === null) return null;
  const [[kind, name]] = Object.entries(target);
  const isThere = {
    track: () => review.byId.has(name),
    lost: () => review.byId.has(name),
    card: () => review.cards.some((card) => card.name === name),
    region: () => review.regions.some((region) => region.id === name),
  };
  return !isThere[kind] || isThere[kind]() ? target : null;
}

function choices() {
  try {
    const { outlines } = JSON.parse(localStorage.getItem(CHOICES) ?? "{}");
    return typeof outlines === "boolean" ? { outlines } : {};
  } catch {
    return {};
  }
}

function keepChoices(values) {
  try {
    localStorage.setItem(CHOICES, JSON.stringify(values));
  } catch {
    // A browser that keeps nothing shows the defaults next time.
  }
}

export const store = new Store();

/** A view: an element that draws itself again when a part of the state that it needs changes. */
export class View extends HTMLElement {
  /** @type {string[]} parts of the state */
  static needs = [];

  connectedCallback() {
    this.end = store.subscribe(this.constructor.needs, (changed) => this.draw(changed));
    this.draw(new Set(this.constructor.needs));
  }

  disconnectedCallback() {
    this.end();
  }

  /** Draw the state; `changed` are the parts that are new. */
  draw(_changed) {}
}
