/** The queue of doubts: which one is present, which is next, and how each is settled. */

import { edit, inTurn, seek, select, tell } from "./actions.js";
import { store } from "./store.js";
import { isSame, keyOf, nameOf, parts } from "./targets.js";

/** Sorts of doubts in the order of the queue, with the words of the head bar. */
export const SORTS = ["unsure", "cannot tell", "lost", "not found", "hides nobody"];

const QUESTIONS = {
  unsure: (doubt) => `${decided(doubt)} Is that right?`,
  "cannot tell": (doubt) => `Nobody can be recognised. ${decided(doubt)} Is that right?`,
  lost: (doubt) => `Does the face go on after ${nameOf(doubt.target)}?`,
  "not found": (doubt) => `No track shows ${nameOf(doubt.target)}. Is that right?`,
  "hides nobody": () => "The result hides nobody. Is that right?",
};

function decided(doubt) {
  const track = store.review.byId.get(parts(doubt.target)[1]);
  const person = track.card === null ? "" : ` (${track.card})`;
  return `Track ${track.id}${person} is ${track.decision === "blur" ? "hidden" : "kept visible"}.`;
}

/** The question that a doubt asks. */
export function question(doubt) {
  return QUESTIONS[doubt.sort](doubt);
}

/** The doubts that are not settled. */
export function open() {
  return store.review.doubts.filter((doubt) => !doubt.settled);
}

/** Numbers of open doubts by sort, without zeros. */
export function counts() {
  const all = open();
  return SORTS.map((sort) => [sort, all.filter((one) => one.sort === sort).length]).filter(
    ([, count]) => count > 0,
  );
}

/** The present doubt, or null. */
export function present() {
  return store.review.doubts.find((doubt) => keyOf(doubt.target) === store.doubt) ?? null;
}

/** Show a doubt: select what it is about, and go there. */
export function go(doubt) {
  store.set({ doubt: doubt ? keyOf(doubt.target) : null });
  if (doubt === null) return;
  select(doubt.target, { stay: true });
  const kind = parts(doubt.target)[0];
  if (kind === "track") seek(bestFrame(doubt));
  else if (kind === "lost") seek(doubt.last);
}

/** The frame in which the track of a doubt is seen best. */
function bestFrame(doubt) {
  const { faces } = store.review.byId.get(parts(doubt.target)[1]);
  return faces[0] ?? doubt.first;
}

/**
 * Go to the next open doubt, or to the one before.
 * @param {1|-1} step
 */
export function next(step = 1) {
  const all = store.review.doubts;
  const at = all.findIndex((doubt) => keyOf(doubt.target) === store.doubt);
  for (let i = 1; i <= all.length; i++) {
    const from = at === -1 && step === -1 ? all.length : at;
    const doubt = all[(from + step * i + 2 * all.length) % all.length];
    if (!doubt.settled) return go(doubt);
  }
  store.set({ doubt: null });
  return tell("All doubts are settled.");
}

/** Confirm with a key: only after a picture of the doubt was on the screen. */
export function confirmSeen() {
  return inTurn(() => {
    const doubt = present();
    if (doubt && !doubt.settled && !isSeen(doubt)) return tell("The picture is not there yet.");
    return confirmNow();
  });
}

function isSeen(doubt) {
  if (["listed", "video"].includes(parts(doubt.target)[0])) return true;
  const frame = store.shown?.frame ?? -1;
  return doubt.first <= frame && frame <= doubt.last;
}

/**
 * Confirm the present doubt, and go to the next one. Something else that is selected meanwhile
 * hides the question: then go back to it, so that nothing is confirmed unseen.
 */
export function confirm() {
  return inTurn(confirmNow);
}

async function confirmNow() {
  const doubt = present();
  if (doubt === null || doubt.settled) return next();
  if (!isSame(doubt.target, store.selection)) return go(doubt);
  if (await edit("confirm", doubt.target, true)) next();
  return undefined;
}
