/** The ruler of the timeline: marks at round times. */

import { s } from "./dom.js";
import { clock } from "./times.js";

/** Height in pixels: a line of flags above a line of times. */
export const RULER = 32;
/** Least distance of two marks in pixels, and their possible steps in seconds. */
const MARK = 90;
const STEPS = [0.04, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200];

/**
 * Draw the ruler.
 * @param {import("./times.js").FrameTimes} times
 * @param {[number, number]} view the frames that are shown
 * @param {number} width in pixels
 */
export function ruler(times, [from, to], width) {
  const step = stepOf(times, [from, to], width);
  const [begin, end] = [times.start(Math.floor(from)), times.start(Math.ceil(to))];
  const marks = [];
  for (let i = Math.ceil(begin / step - 1e-6); i * step <= end; i++) {
    const frame = times.at(i * step + 1e-6);
    marks.push({ time: i * step, x: Math.round(((frame - from) / (to - from)) * width) });
  }
  const ticks = marks.map(({ x }) => `M${x} ${RULER - 6}v6`).join("");
  return s(
    "g",
    { key: "ruler", "aria-hidden": "true" },
    s("rect", { class: "ground", width, height: RULER }),
    s("path", { class: "tick", d: ticks }),
    marks.map(({ time, x }) =>
      s("text", { class: "mark", x: x + 3, y: RULER - 10 }, clock(time, step < 1 ? 2 : 0)),
    ),
  );
}

function stepOf(times, [from, to], width) {
  const seconds = times.start(Math.ceil(to)) - times.start(Math.floor(from));
  const least = (seconds * MARK) / width;
  return STEPS.find((one) => one >= least) ?? STEPS[STEPS.length - 1];
}
