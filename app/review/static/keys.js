/** The keys: what each one does, and the dialog that lists them. */

import { redo, seek, select, undo } from "./actions.js";
import { cardOfKey } from "./cast.js";
import { ask } from "./dialogs.js";
import { button, h, key } from "./dom.js";
import { decideChosen, mergeChosen, rename, splitChosen, chosenCard } from "./people.js";
import { faster, play, togglePlay } from "./player.js";
import { confirmSeen, next } from "./queue.js";
import { chosenRegion, removeRegion, setBorder } from "./regions.js";
import { store } from "./store.js";
import { zoom } from "./timeline.js";

/** Names of keys, the words of the help, and the action. `Shift+` is part of a name. */
const KEYS = [
  ["Queue"],
  [["Enter"], "confirm the present doubt, and go on", confirmSeen],
  [["N"], "next open doubt", () => next(1)],
  [["P"], "previous open doubt", () => next(-1)],
  ["Decisions"],
  [["H"], "hide the selected face", () => decideChosen("blur")],
  [["V"], "keep it visible", () => decideChosen("keep")],
  [["Shift+H"], "hide the whole person", () => decideChosen("blur", true)],
  [["Shift+V"], "keep the whole person", () => decideChosen("keep", true)],
  [["M"], "same person as another one", mergeChosen],
  [["S"], "split the track at the playhead", splitChosen],
  [["F2"], "rename the person", () => chosenCard() && rename(chosenCard().name)],
  [["Z"], "undo", undo],
  [["Shift+Z"], "redo", redo],
  ["Playing"],
  [["Space"], "play or stop", togglePlay],
  [["J"], "backwards", () => play(-1)],
  [["K"], "stop", () => play(0)],
  [["L"], "forwards; again: faster", faster],
  [["ArrowLeft"], "one frame back", () => seek(store.frame - 1)],
  [["ArrowRight"], "one frame on", () => seek(store.frame + 1)],
  [["Shift+ArrowLeft"], "one second back", () => second(-1)],
  [["Shift+ArrowRight"], "one second on", () => second(1)],
  [["Home"], "first frame", () => seek(0)],
  [["End"], "last frame", () => seek(store.review.source.frames - 1)],
  ["Drawn regions"],
  [["B"], "draw a box; move it at other frames", () => store.set({ mode: "draw", isPlaying: 0 })],
  [["I"], "the region begins here", () => setBorder("first")],
  [["O"], "the region ends here", () => setBorder("last")],
  [["Delete", "Backspace"], "remove the region", removeChosen],
  ["View"],
  [["1", "2", "3", "4", "5", "6", "7", "8", "9"], "select a person", choose, "1 to 9"],
  [["+", "="], "show less of the time", () => zoom(2), "+"],
  [["-"], "show more of the time", () => zoom(0.5)],
  [["0"], "show all of the time", () => zoom(0)],
  [["Escape"], "end drawing; select nothing", escape],
  [["?"], "this help", () => showHelp()],
];
const SIGNS = { ArrowLeft: "←", ArrowRight: "→" };

function second(step) {
  const { times, frame } = store;
  const there = times.at(Math.max(0, times.start(frame) + step + 1e-4));
  seek(there === frame ? frame + step : there);
}

function choose(name) {
  const card = cardOfKey(Number(name));
  if (card) select({ card: card.name });
}

function removeChosen() {
  const region = chosenRegion();
  if (region) removeRegion(region.id);
}

function escape() {
  if (store.mode) store.set({ mode: null });
  else store.set({ selection: null, doubt: null });
}

/** Listen to the keyboard. */
export function listen() {
  document.addEventListener("keydown", pressed);
  document.addEventListener("click", leave);
}

/** After a click with the mouse, keys belong to the page again, not to the button. */
function leave(event) {
  if (event.detail > 0 && document.activeElement?.closest("button")) document.activeElement.blur();
}

function pressed(event) {
  if (isUndo(event)) return event.shiftKey ? redo() : undo();
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return undefined;
  if (!isReady(event)) return undefined;
  const name = nameOf(event);
  if ((name === "Enter" || name === "Space") && isControl(event.target)) return undefined;
  const entry = KEYS.find(([names]) => Array.isArray(names) && names.includes(name));
  if (!entry) return undefined;
  event.preventDefault();
  // A key that is held down moves on, but edits only once.
  if (event.repeat && !name.includes("Arrow")) return undefined;
  return entry[2](name);
}

/** Control or Command with Z, as everywhere. */
function isUndo(event) {
  const isIt = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z";
  if (!isIt || !isReady(event)) return false;
  event.preventDefault();
  return true;
}

function isReady(event) {
  return store.review && !store.isStart && !isTyping(event) && !document.querySelector("dialog");
}

function nameOf({ key: pressed_, shiftKey }) {
  if (pressed_ === " ") return "Space";
  const isLetter = pressed_.length === 1 && /\p{L}/u.test(pressed_);
  const name = isLetter ? pressed_.toUpperCase() : pressed_;
  return shiftKey && (isLetter || pressed_.length > 1) ? `Shift+${name}` : name;
}

function isTyping({ target }) {
  return target.closest("input:not([type=range]), textarea, select, [contenteditable]") !== null;
}

/** Elements that Enter and Space press themselves. */
function isControl(target) {
  return target.closest("button, a[href], summary, [role=button]") !== null;
}

/** Show all keys. */
export function showHelp() {
  const sign = (name) => name.split("+").filter(Boolean).map((part) => SIGNS[part] ?? part);
  const row = ([names, text, , label]) => {
    const shown = label ? [label] : names[0].length === 1 ? [names[0]] : sign(names[0]);
    return h("div", {}, h("dt", {}, shown.map((one) => key(one))), h("dd", {}, text));
  };
  const groups = [];
  for (const entry of KEYS) {
    if (entry.length === 1) groups.push({ title: entry[0], rows: [] });
    else groups[groups.length - 1].rows.push(entry);
  }
  return ask(
    "Keys",
    (answer) => [
      h(
        "div",
        { class: "groups" },
        groups.map(({ title, rows }) =>
          h("section", {}, h("h3", {}, title), h("dl", { class: "help-keys" }, rows.map(row))),
        ),
      ),
      h("div", { class: "choices" }, button("Close", () => answer(null), { autofocus: true })),
    ],
    "wide",
  );
}
