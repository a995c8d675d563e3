/** The boxes over the picture: those of tracks to select, those of regions to draw and to move. */

import { select } from "./actions.js";
import { clamped, covers, regionBox } from "./boxes.js";
import { s, show } from "./dom.js";
import { drawRegion, moveRegion } from "./regions.js";
import { store, View } from "./store.js";
import { isSame, parts, personOf, styleOf, trackOf } from "./targets.js";

/** Pixels of the screen that a press may move and still be a click. */
const CLICK = 4;
/** Side of a handle in pixels of the screen. */
const HANDLE = 12;
const MARKS = { hide: "HIDE", keep: "KEEP", unsure: "UNSURE", unclear: "CANNOT TELL" };

export class Overlay extends View {
  static needs = ["review", "boxes", "shown", "selection", "outlines", "mode", "side"];

  connectedCallback() {
    this.svg = s("svg", { role: "group", "aria-label": "Faces in the picture" });
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.replaceChildren(this.svg);
    this.drag = null;
    this.svg.addEventListener("pointerdown", (event) => this.#down(event));
    this.svg.addEventListener("pointermove", (event) => this.#move(event));
    this.svg.addEventListener("pointerup", (event) => this.#up(event));
    this.svg.addEventListener("pointercancel", () => this.#end());
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(this);
    super.connectedCallback();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.sizes.disconnect();
  }

  draw() {
    const { review, boxes, shown } = store;
    if (!review || !boxes) return;
    const { width, height } = review.source;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.classList.toggle("drawing", store.mode === "draw");
    if (shown === null) return show(this.svg, this.drag?.kind === "draw" && this.#drawn());
    this.svg.dataset.frame = shown.frame;
    show(
      this.svg,
      shown.isStale && this.#covers(shown.frame),
      store.outlines && boxes.at(shown.frame).map((id) => this.#track(id, shown.frame)),
      review.regions.map((region) => this.#region(region, shown.frame)),
      this.drag?.kind === "draw" && this.#drawn(),
    );
  }

  /** Pixels of the frame for one pixel of the screen. */
  get #scale() {
    return store.review.source.width / (this.clientWidth || 1);
  }

  #covers(frame) {
    return covers(store.review, store.boxes, frame).map((box) => rect(box, { class: "cover" }));
  }

  #track(id, frame) {
    const track = store.review.byId.get(id);
    if (!track) return null;
    const style = styleOf(track);
    const isChosen = trackOf(store.selection) === id;
    const isHidden = track.decision === "blur" ? "hidden" : "kept";
    const doubt = style === "hide" || style === "keep" ? "" : `, ${MARKS[style].toLowerCase()}`;
    const box = store.boxes.box(id, frame);
    return s(
      "g",
      {
        key: `track ${id}`,
        class: `box ${style}${isChosen ? " chosen" : ""}`,
        role: "button",
        tabindex: "0",
        "data-track": id,
        "aria-pressed": String(isChosen),
        "aria-label": `Track ${id}, ${personOf(track)}, ${isHidden}${doubt}`,
        onkeydown: (event) => event.key === "Enter" && select({ track: id }, { stay: true }),
      },
      rect(box, { class: "halo" }),
      rect(box, { class: "line" }),
      this.#label(box, `${MARKS[style]} ${track.card ?? ""}`),
    );
  }

  #region(region, frame) {
    const isChosen = isSame(store.selection, { region: region.id });
    const isInside = region.first <= frame && frame <= region.last;
    if (!isInside && !isChosen) return null;
    const moved = this.drag?.region === region.id ? this.drag.box : null;
    const box = moved ?? regionBox(region, frame);
    return s(
      "g",
      {
        key: `region ${region.id}`,
        class: `box drawn${isChosen ? " chosen" : ""}${isInside ? "" : " ghost"}`,
        role: "button",
        tabindex: "0",
        "data-region": region.id,
        "aria-pressed": String(isChosen),
        "aria-label": `Drawn region ${region.id}${isInside ? "" : ", not hidden in this frame"}`,
        onkeydown: (event) => event.key === "Enter" && select({ region: region.id }),
      },
      rect(box, { class: "halo" }),
      rect(box, { class: "line" }),
      this.#label(box, isInside ? `DRAWN ${region.id}` : `DRAWN ${region.id} (not here)`),
      isChosen && this.#handles(box),
    );
  }

  #handles([x1, y1, x2, y2]) {
    const side = HANDLE * this.#scale;
    const corners = { "0,1": [x1, y1], "2,1": [x2, y1], "0,3": [x1, y2], "2,3": [x2, y2] };
    return Object.entries(corners).map(([which, [x, y]]) =>
      rect([x - side / 2, y - side / 2, x + side / 2, y + side / 2], {
        class: "handle",
        "data-handle": which,
      }),
    );
  }

  #label([x1, y1], text) {
    const size = 11 * this.#scale;
    const wide = text.trim().length * size * 0.64 + size;
    const top = y1 - size * 1.5 < 0 ? y1 : y1 - size * 1.5;
    return s(
      "g",
      { class: "label", "aria-hidden": "true" },
      s("rect", { x: x1, y: top, width: wide, height: size * 1.5, rx: size / 5 }),
      s("text", { x: x1 + size / 2, y: top + size * 1.1, "font-size": size }, text.trim()),
    );
  }

  #drawn() {
    return s("g", { class: "box drawn chosen" }, rect(this.drag.box, { class: "line cover" }));
  }

  /** The place of a pointer in pixels of the frame. */
  #at(event) {
    const { left, top, width, height } = this.svg.getBoundingClientRect();
    const { source } = store.review;
    return [
      ((event.clientX - left) / width) * source.width,
      ((event.clientY - top) / height) * source.height,
    ];
  }

  #down(event) {
    if (event.button !== 0 || store.shown === null) return;
    const start = this.#at(event);
    const region = event.target.closest("[data-region]");
    const base = { start, from: [event.clientX, event.clientY], target: event.target };
    if (store.mode === "draw") {
      this.drag = { ...base, kind: "draw", box: [...start, ...start] };
    } else if (region) {
      const id = Number(region.dataset.region);
      const drawn = store.review.regions.find((one) => one.id === id);
      const box = regionBox(drawn, store.shown.frame);
      const handle = event.target.dataset.handle;
      this.drag = { ...base, kind: handle ? "resize" : "move", region: id, handle, old: box, box };
    } else {
      this.drag = { ...base, kind: "click" };
    }
    if (this.drag.kind !== "click") {
      store.set({ isPlaying: 0 });
      this.svg.setPointerCapture(event.pointerId);
      event.preventDefault();
    }
  }

  #move(event) {
    if (!this.drag) return;
    const [x, y] = this.#at(event);
    const { kind, start, old, handle } = this.drag;
    const [dx, dy] = [x - start[0], y - start[1]];
    const { source } = store.review;
    if (kind === "draw") this.drag.box = clamped([...start, x, y], source, 0);
    if (kind === "move") this.drag.box = slid(old, dx, dy, source);
    if (kind === "resize") this.drag.box = clamped(pulled(old, handle, x, y), source);
    if (kind !== "click") this.draw();
  }

  #up(event) {
    const drag = this.drag;
    this.#end();
    if (!drag) return;
    const far = Math.hypot(event.clientX - drag.from[0], event.clientY - drag.from[1]);
    const frame = store.shown?.frame ?? store.frame;
    if (drag.kind === "draw") {
      store.set({ mode: null });
      if (far > CLICK) drawRegion(frame, clamped(drag.box, store.review.source));
    } else if (far <= CLICK) {
      this.#click(drag.target);
    } else if (drag.kind !== "click") {
      moveRegion(drag.region, frame, drag.box);
    }
  }

  #click(element) {
    const box = element.closest("[data-track], [data-region]");
    if (box?.dataset.track) select({ track: Number(box.dataset.track) }, { stay: true });
    else if (box) select({ region: Number(box.dataset.region) }, { stay: true });
  }

  #end() {
    this.drag = null;
    this.draw();
  }
}

function rect([x1, y1, x2, y2], props) {
  const [width, height] = [Math.max(0, x2 - x1), Math.max(0, y2 - y1)];
  return s("rect", { x: x1, y: y1, width, height, ...props });
}

/** Move a box, but not beyond the border of the frame. */
function slid([x1, y1, x2, y2], dx, dy, { width, height }) {
  const x = Math.min(Math.max(dx, -x1), width - x2);
  const y = Math.min(Math.max(dy, -y1), height - y2);
  return [x1 + x, y1 + y, x2 + x, y2 + y];
}

/** Move one corner of a box. */
function pulled(box, handle, x, y) {
  const [across, down] = handle.split(",").map(Number);
  const out = [...box];
  out[across] = x;
  out[down] = y;
  return out;
}

customElements.define("review-overlay", Overlay);
