/** The timeline: a row for each person, a bar for each track, cuts, gaps, regions and doubts. */

import { seek, select } from "./actions.js";
import { BAR, hatch, legend, round, shape } from "./bars.js";
import { button, h, s, show } from "./dom.js";
import { gapsOf, rowsOf } from "./rows.js";
import { RULER, ruler } from "./ruler.js";
import { store, View } from "./store.js";
import { keyOf, trackOf } from "./targets.js";
import { clock } from "./times.js";

/** Height of a row in pixels. */
const ROW = 22;
/** Least width of a bar in pixels. */
const LEAST = 2.5;
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
    this.body.addEventListener("scroll", () => this.#scrolled());
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
    if (changed.has("review")) this.#sort();
    if (changed.size > 1 || !changed.has("frame")) this.#all();
    this.#playhead();
    if (changed.has("selection")) this.#reveal();
  }

  /** Scroll to the row of the selected thing. */
  #reveal() {
    const wanted = keyOf(store.selection);
    const i = this.rows.findIndex((row) => row.key === wanted || row.bars.some(isChosen()));
    if (i === -1) return;
    const [top, bottom] = [i * ROW, RULER + (i + 1) * ROW - this.body.clientHeight];
    if (top < this.body.scrollTop) this.body.scrollTop = top;
    if (bottom > this.body.scrollTop) this.body.scrollTop = bottom;
  }

  #scrolled() {
    if (!store.review || !store.times) return;
    this.#stick();
    this.#playhead();
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

  #sort() {
    this.rows = rowsOf(store.review);
    const places = this.rows.flatMap(({ bars }, i) => bars.map((bar) => [bar.target.track, i]));
    this.rowOf = new Map(places);
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
      hatch(),
      this.rows.map((row, i) => this.#ground(i)),
      this.#cuts(height),
      this.rows.map((row, i) => this.#row(row, i)),
      this.#gaps(),
      this.#chosen(),
      s("g", { class: "top", key: "top" }, this.#ruler(), this.#doubts()),
      s("path", { class: "playhead", key: "playhead" }),
    );
    this.#stick();
    this.svg.setAttribute("aria-valuemin", 0);
    this.svg.setAttribute("aria-valuemax", store.review.source.frames - 1);
  }

  /** Keep the ruler in sight while the rows scroll. */
  #stick() {
    const down = `translate(0 ${this.body.scrollTop})`;
    this.svg.querySelector(".top")?.setAttribute("transform", down);
  }

  #playhead() {
    const line = this.svg.querySelector(".playhead");
    const x = this.#x(store.frame + 0.5);
    const [top, height] = [this.body.scrollTop, this.svg.getAttribute("height")];
    line?.setAttribute("d", `M${x - 5} ${top}h10v6l-5 6l-5 -6zM${x} ${top + 6}V${height}`);
    const time = clock(store.times.start(store.frame), 2);
    this.svg.setAttribute("aria-valuenow", store.frame);
    this.svg.setAttribute("aria-valuetext", `frame ${store.frame}, ${time}`);
  }

  #tools() {
    return [
      h("h2", {}, "Timeline"),
      h(
        "div",
        { class: "group", role: "group", "aria-label": "Zoom" },
        button("−", () => zoom(0.5), { "aria-label": "Show more of the time", title: "-" }),
        button("+", () => zoom(2), { "aria-label": "Show less of the time", title: "+" }),
        button("All", () => zoom(0), { title: "0" }),
      ),
      legend(),
    ];
  }

  #names() {
    const look = (row) => (keyOf(store.selection) === row.key ? "label chosen" : "label");
    const name = (row) =>
      row.target
        ? button(row.label, () => select(row.target), { key: row.key, class: look(row) })
        : h("div", { key: row.key, class: "label muted" }, row.label);
    return [h("div", { class: "ruler-label", key: "ruler" }), this.rows.map(name)];
  }

  #cuts(height) {
    const [from, to] = this.#view;
    const cuts = store.review.shots.slice(1).map(([first]) => first);
    const seen = cuts.filter((frame) => from < frame && frame < to);
    const d = seen.map((frame) => `M${round(this.#x(frame))} ${RULER}V${height}`).join("");
    return s("path", { key: "cuts", class: "cut", d });
  }

  #ruler() {
    return ruler(store.times, this.#view, this.width);
  }

  #row(row, i) {
    const [from, to] = this.#view;
    const paths = {};
    for (const { first, last, style } of row.bars) {
      if (last < from || first > to) continue;
      paths[style] = (paths[style] ?? "") + this.#path(style, first, last, i);
    }
    const path = ([style, d]) => s("path", { key: style, class: `bar-${style}`, d });
    return s("g", { key: row.key }, Object.entries(paths).map(path));
  }

  #ground(i) {
    const place = { y: RULER + i * ROW, width: this.width, height: ROW };
    return s("rect", { key: `ground ${i}`, class: i % 2 ? "even" : "odd", ...place });
  }

  #path(style, first, last, i) {
    const left = Math.max(-9, this.#x(first));
    const right = Math.min(this.width + 9, this.#x(last + 1));
    return shape(style, left, RULER + i * ROW + (ROW - BAR) / 2, Math.max(LEAST, right - left));
  }

  /** Where hidden faces were lost: a dashed line to the end of the shot, with a cross. */
  #gaps() {
    const d = gapsOf(store.review).map(({ id, first, end }) => {
      const i = this.rowOf.get(id);
      const [x, y] = [round(this.#x(first)), RULER + i * ROW + ROW / 2];
      const after = this.rows[i].bars.map((bar) => bar.first).filter((one) => one >= first);
      const stop = Math.max(round(this.#x(Math.min(end, ...after))), x + 10);
      return `M${x + 1} ${y - 4}l8 8m0 -8l-8 8M${x + 10} ${y}H${stop}`;
    });
    return s("path", { key: "gaps", class: "gap", d: d.join("") });
  }

  #chosen() {
    const isIt = isChosen();
    const outline = (i) => (bar) => this.#path("hide", bar.first, bar.last, i);
    const d = this.rows.flatMap((row, i) => row.bars.filter(isIt).map(outline(i)));
    return s("path", { key: "chosen", class: "bar-chosen", d: d.join("") });
  }

  /** Small flags in the ruler where doubts are open. */
  #doubts() {
    const middle = ({ first, last }) => round(this.#x((first + last + 1) / 2));
    const flag = (doubt) => `M${middle(doubt)} 1l4 4l-4 4l-4 -4z`;
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

customElements.define("review-timeline", Timeline);
