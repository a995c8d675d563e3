/** The timeline: a row for each person, a bar for each track, cuts, gaps, regions and doubts. */

import { seek, select } from "./actions.js";
import { button, h, s, show } from "./dom.js";
import { gapsOf, rowsOf } from "./rows.js";
import { store, View } from "./store.js";
import { keyOf, trackOf } from "./targets.js";
import { clock } from "./times.js";

/** Heights in pixels: of a row, of a bar in it, and of the ruler. */
const ROW = 22;
const BAR = 14;
const RULER = 32;
/** Least width of a bar in pixels. */
const LEAST = 2.5;
/** Distance of two marks of the ruler in pixels, and their possible steps in seconds. */
const MARK = 90;
const STEPS = [0.04, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200];
/** Frames that the timeline shows at least. */
const FEWEST = 10;

/** Show more or less of the timeline; 0 shows all of it. */
export function zoom(factor) {
  const { frames } = store.review.source;
  if (!factor) return store.set({ view: null });
  const [from, to] = store.view ?? [0, frames];
  const wide = Math.max(FEWEST, (to - from) / factor);
  if (wide >= frames) return store.set({ view: null });
  const middle = store.frame < from || store.frame > to ? (from + to) / 2 : store.frame;
  const share = (middle - from) / (to - from);
  return store.set({ view: inside(middle - share * wide, wide, frames) });
}

function inside(from, wide, frames) {
  const start = Math.min(Math.max(0, from), Math.max(0, frames - wide));
  return [start, start + wide];
}

export class Timeline extends View {
  static needs = ["review", "times", "selection", "view", "frame", "doubt"];

  connectedCallback() {
    this.bar = h("div", { class: "bar" });
    this.labels = h("div", { class: "labels" });
    this.svg = s("svg", { role: "slider", tabindex: "0", "aria-label": "Playhead" });
    this.body = h("div", { class: "rows" }, this.labels, this.svg);
    this.replaceChildren(this.bar, this.body);
    this.svg.addEventListener("pointerdown", (event) => this.#down(event));
    this.svg.addEventListener("pointermove", (event) => this.isDown && this.#scrub(event));
    this.svg.addEventListener("pointerup", (event) => this.#up(event));
    this.svg.addEventListener("pointercancel", () => (this.isDown = false));
    this.svg.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.sizes = new ResizeObserver(() => this.draw(new Set(["view"])));
    this.sizes.observe(this.body);
    super.connectedCallback();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.sizes.disconnect();
  }

  draw(changed) {
    if (!store.review || !store.times) return;
    if (changed.has("frame") && this.#follow()) return;
    if (changed.has("review")) this.rows = rowsOf(store.review);
    if (changed.size > 1 || !changed.has("frame")) this.#all();
    this.#playhead();
    if (changed.has("selection")) this.#reveal();
  }

  /** Scroll to the row of the selected thing. */
  #reveal() {
    const wanted = keyOf(store.selection);
    const i = this.rows.findIndex((row) => row.key === wanted || row.bars.some(isChosen()));
    if (i === -1) return;
    const [top, room] = [RULER + i * ROW, this.body.clientHeight];
    if (top < this.body.scrollTop) this.body.scrollTop = top - RULER;
    if (top + ROW > this.body.scrollTop + room) this.body.scrollTop = top + ROW - room;
  }

  get #view() {
    return store.view ?? [0, store.review.source.frames];
  }

  /** The place of the beginning of a frame in pixels. */
  #x(frame) {
    const [from, to] = this.#view;
    return ((frame - from) / (to - from)) * this.width;
  }

  /** Keep the playhead in view; true if the view was moved. */
  #follow() {
    if (!store.view) return false;
    const [from, to] = store.view;
    if (from <= store.frame && store.frame < to) return false;
    const wide = to - from;
    store.set({ view: inside(store.frame - wide * 0.1, wide, store.review.source.frames) });
    return true;
  }

  #all() {
    const room = this.body.clientWidth - this.labels.offsetWidth;
    this.width = Math.max(100, room);
    const height = RULER + this.rows.length * ROW + 4;
    this.svg.setAttribute("width", this.width);
    this.svg.setAttribute("height", height);
    show(this.bar, this.#tools());
    show(this.labels, this.#names());
    show(
      this.svg,
      this.#hatch(),
      this.#ruler(height),
      this.rows.map((row, i) => this.#row(row, i)),
      this.#gaps(),
      this.#chosen(),
      this.#doubts(),
      s("path", { class: "playhead", key: "playhead" }),
    );
    this.svg.setAttribute("aria-valuemin", 0);
    this.svg.setAttribute("aria-valuemax", store.review.source.frames - 1);
  }

  #playhead() {
    const line = this.svg.querySelector(".playhead");
    const x = this.#x(store.frame + 0.5);
    const height = this.svg.getAttribute("height");
    line?.setAttribute("d", `M${x - 5} 0h10v6l-5 6l-5 -6zM${x} 6V${height}`);
    const time = clock(store.times.start(store.frame), 2);
    this.svg.setAttribute("aria-valuenow", store.frame);
    this.svg.setAttribute("aria-valuetext", `frame ${store.frame}, ${time}`);
  }

  #tools() {
    const entry = (style, text) =>
      h("li", {}, s("svg", { class: "swatch", viewBox: "0 0 20 14", "aria-hidden": "true" },
        s("path", { class: `bar-${style}`, d: shape(style, 1, 0, 18) })), text);
    return [
      h("h2", {}, "Timeline"),
      h(
        "div",
        { class: "group", role: "group", "aria-label": "Zoom" },
        button("−", () => zoom(0.5), { "aria-label": "Show more of the time", title: "-" }),
        button("+", () => zoom(2), { "aria-label": "Show less of the time", title: "+" }),
        button("All", () => zoom(0), { title: "0" }),
      ),
      h(
        "ul",
        { class: "legend" },
        entry("hide", "hide"),
        entry("keep", "keep"),
        entry("unsure", "unsure"),
        entry("unclear", "cannot tell"),
        entry("drawn", "drawn"),
      ),
    ];
  }

  #names() {
    return [
      h("div", { class: "ruler-label", key: "ruler" }),
      this.rows.map((row) =>
        row.target
          ? h("button", {
              type: "button",
              key: row.key,
              class: keyOf(store.selection) === row.key ? "label chosen" : "label",
              onclick: () => select(row.target),
            }, row.label)
          : h("div", { key: row.key, class: "label muted" }, row.label),
      ),
    ];
  }

  /** The pattern of unsure bars. */
  #hatch() {
    return s("defs", { key: "defs" }, s("pattern",
      { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse" },
      s("rect", { class: "hatch-ground", width: 6, height: 6 }),
      s("path", { class: "hatch-line", d: "M-1 7L7 -1M-1 1L1 -1M5 7L7 5" })));
  }

  #ruler(height) {
    const [from, to] = this.#view;
    const { times, review } = store;
    const [begin, end] = [times.start(Math.floor(from)), times.start(Math.ceil(to))];
    const wide = ((end - begin) * MARK) / this.width;
    const step = STEPS.find((one) => one >= wide) ?? STEPS[STEPS.length - 1];
    const marks = [];
    for (let i = Math.ceil(begin / step - 1e-6); i * step <= end; i++) marks.push(i * step);
    const place = (time) => this.#x(times.at(time + 1e-6));
    const cuts = review.shots.slice(1).map(([first]) => first).filter((f) => from < f && f < to);
    return s("g", { key: "ruler", "aria-hidden": "true" },
      s("path", { class: "cut", d: cuts.map((f) => `M${round(this.#x(f))} ${RULER - 8}V${height}`).join("") }),
      s("path", { class: "tick", d: marks.map((t) => `M${round(place(t))} ${RULER - 6}v6`).join("") }),
      marks.map((t) => s("text", { class: "mark", x: place(t) + 3, y: RULER - 10 },
        clock(t, step < 1 ? 2 : 0))));
  }

  #row(row, i) {
    const [from, to] = this.#view;
    const paths = {};
    for (const { first, last, style } of row.bars) {
      if (last < from || first > to) continue;
      paths[style] = (paths[style] ?? "") + this.#path(style, first, last, i);
    }
    const top = RULER + i * ROW;
    return s("g", { key: row.key },
      s("rect", { class: i % 2 ? "even" : "odd", y: top, width: this.width, height: ROW }),
      Object.entries(paths).map(([style, d]) =>
        s("path", { key: style, class: `bar-${style}`, d })));
  }

  #path(style, first, last, i) {
    const left = Math.max(-9, this.#x(first));
    const right = Math.min(this.width + 9, this.#x(last + 1));
    return shape(style, left, RULER + i * ROW + (ROW - BAR) / 2, Math.max(LEAST, right - left));
  }

  /** Where hidden faces were lost: a dashed line to the end of the shot, with a cross. */
  #gaps() {
    const d = gapsOf(store.review).map(({ id, first, end, settled }) => {
      const i = this.rows.findIndex((row) => row.bars.some((bar) => bar.target.track === id));
      const [x, y] = [round(this.#x(first)), RULER + i * ROW + ROW / 2];
      const after = this.rows[i].bars.map((bar) => bar.first).filter((one) => one >= first);
      const stop = round(this.#x(Math.min(end, ...after)));
      return settled ? "" : `M${x + 1} ${y - 4}l8 8m0 -8l-8 8M${x + 10} ${y}H${Math.max(stop, x + 10)}`;
    });
    return s("path", { key: "gaps", class: "gap", d: d.join("") });
  }

  #chosen() {
    const isIt = isChosen();
    const d = this.rows.flatMap((row, i) =>
      row.bars.filter(isIt).map((bar) => this.#path("hide", bar.first, bar.last, i)));
    return s("path", { key: "chosen", class: "bar-chosen", d: d.join("") });
  }

  /** Small flags in the ruler where doubts are open. */
  #doubts() {
    const flag = ({ first, last }) => `M${round(this.#x((first + last + 1) / 2))} 1l4 4l-4 4l-4 -4z`;
    const open = store.review.doubts.filter((one) => !one.settled && one.weight > 0);
    return s("path", { key: "doubts", class: "flag", d: open.map(flag).join("") });
  }

  #frameAt(event) {
    const [from, to] = this.#view;
    const x = event.clientX - this.svg.getBoundingClientRect().left;
    return Math.floor(from + (x / this.width) * (to - from));
  }

  #down(event) {
    if (event.button !== 0) return;
    this.isDown = true;
    this.from = event.clientX;
    this.svg.setPointerCapture(event.pointerId);
    this.#scrub(event);
  }

  #scrub(event) {
    seek(this.#frameAt(event));
  }

  #up(event) {
    if (!this.isDown) return;
    this.isDown = false;
    if (Math.abs(event.clientX - this.from) > 4) return;
    const y = event.clientY - this.svg.getBoundingClientRect().top - RULER;
    const row = this.rows[Math.floor(y / ROW)];
    const bar = row && this.#nearest(row, this.#frameAt(event));
    if (bar) select(bar.target, { stay: true });
  }

  /** The bar at a frame; a narrow one may be missed by a few pixels. */
  #nearest(row, frame) {
    const [from, to] = this.#view;
    const slip = (3 / this.width) * (to - from);
    const away = ({ first, last }) => Math.max(first - frame, frame - last, 0);
    const near = row.bars.filter((bar) => away(bar) <= slip);
    return near.sort((one, other) => away(one) - away(other))[0];
  }

  #wheel(event) {
    if (event.ctrlKey) {
      event.preventDefault();
      zoom(event.deltaY < 0 ? 1.25 : 0.8);
    } else if (store.view && (event.deltaX || event.shiftKey)) {
      event.preventDefault();
      const [from, to] = store.view;
      const by = ((event.deltaX || event.deltaY) / this.width) * (to - from);
      store.set({ view: inside(from + by, to - from, store.review.source.frames) });
    }
  }
}

/** A test whether a bar stands for the selected thing. */
function isChosen() {
  const wanted = keyOf(store.selection);
  const track = trackOf(store.selection) ?? NaN;
  return ({ target }) => keyOf(target) === wanted || target.track === track;
}

/** The outline of a bar: kept people have low bars, so that colour is not needed to tell them. */
function shape(style, x, y, width) {
  const low = style === "keep" ? BAR / 2 : BAR;
  return `M${round(x)} ${y + (BAR - low) / 2}h${round(width)}v${low}h${-round(width)}z`;
}

function round(number) {
  return Math.round(number * 10) / 10;
}

customElements.define("review-timeline", Timeline);
