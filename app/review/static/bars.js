/** The bars of the timeline: their outlines, the pattern of unsure ones, and the legend. */

import { h, s } from "./dom.js";

/** Height of a bar in pixels. */
export const BAR = 14;
const WORDS = { unclear: "cannot tell" };
const STYLES = ["hide", "keep", "unsure", "unclear", "drawn"];

/**
 * The outline of a bar: kept people have low bars, so that colour is not needed to tell them.
 * @param {string} style
 * @param {number} x left side in pixels
 * @param {number} y top in pixels
 * @param {number} width
 */
export function shape(style, x, y, width) {
  const low = style === "keep" ? BAR / 2 : BAR;
  return `M${round(x)} ${y + (BAR - low) / 2}h${round(width)}v${low}h${-round(width)}z`;
}

/** A number of pixels with one decimal place. */
export function round(number) {
  return Math.round(number * 10) / 10;
}

/** The pattern of unsure bars. */
export function hatch() {
  return s(
    "defs",
    { key: "defs" },
    s(
      "pattern",
      { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse" },
      s("rect", { class: "hatch-ground", width: 6, height: 6 }),
      s("path", { class: "hatch-line", d: "M-1 7L7 -1M-1 1L1 -1M5 7L7 5" }),
    ),
  );
}

/** What the styles of bars mean. */
export function legend() {
  const swatch = (style) =>
    s(
      "svg",
      { class: "swatch", viewBox: "0 0 20 14", "aria-hidden": "true" },
      s("path", { class: `bar-${style}`, d: shape(style, 1, 0, 18) }),
    );
  const entry = (style) => h("li", {}, swatch(style), WORDS[style] ?? style);
  return h("ul", { class: "legend" }, STYLES.map(entry));
}
