/** The actions of the page: they call the server, and put its answers into the store. */

import { address, ApiError, get, post, send, ServerGone } from "./api.js";
import { signatureOf, TrackBoxes } from "./boxes.js";
import { store } from "./store.js";
import { deed, parts } from "./targets.js";
import { hour } from "./times.js";

/** Milliseconds between two questions whether the server is there. */
const PULSE = 4000;
const PULSE_GONE = 1500;
/** Something small that every server of this page has. */
const SMALL = "/static/icon.svg";
/** Milliseconds between two questions whether the frames are counted. */
const COUNTING = 400;

const RESTARTED = "The review was started again: open the address that it printed.";

let tail = Promise.resolve();
let failures = 0;

/**
 * Tell something in the live region.
 * @param {string} text
 * @param {"info"|"warning"} [level]
 */
export function tell(text, level = "info") {
  store.set({ message: { text, level, at: Date.now() } });
}

/** Get the list of reviews. */
export async function loadReviews() {
  const { reviewer, reviews, folder } = await get("/api/reviews");
  store.set({ reviewer, reviews, folder: folder ?? null, isGone: false });
  return reviews;
}

/**
 * Open a review: its state, times and boxes.
 * @param {string} id
 */
export async function openReview(id) {
  const isOther = store.id !== null && store.id !== id;
  if (isOther) store.set({ review: null, times: null, boxes: null, selection: null, doubt: null });
  const view = { side: "after", isClear: false, shown: null, frame: 0, view: null };
  store.set({ id, isStart: false, isPlaying: 0, mode: null, ...view });
  const asked = post(address(id, "/clear"), { clear: false });
  const [early, times] = await Promise.all([asked, timesOf(id)]);
  const review = early.segments ? early : await get(address(id, ""));
  if (store.id !== id) return;
  await takeWithBoxes(review);
  store.takeTimes(times);
  store.set({ savedAt: review.saved ? Date.parse(review.saved) : null });
}

/** The times of the frames; the server may have to count the frames of a long file first. */
async function timesOf(id) {
  for (;;) {
    const { times } = await get(address(id, "/times"));
    if (times) return times;
    await new Promise((resolve) => setTimeout(resolve, COUNTING));
  }
}

/**
 * Get the state again: somebody else may have changed it.
 * @param {{always?: boolean}} [options] `always`: also if nobody has made an edit
 */
export async function refresh({ always = false } = {}) {
  const seen = always ? {} : { "If-None-Match": `"${store.review.number}"` };
  const answer = await send(address(store.id, ""), { headers: seen });
  if (answer.status !== 304) await takeWithBoxes(await answer.json());
}

async function takeWithBoxes(review) {
  if (store.boxes?.signature !== signatureOf(review.tracks)) {
    const answer = await send(address(store.id, "/boxes"));
    const data = new Float32Array(await answer.arrayBuffer());
    store.set({ boxes: new TrackBoxes(review.tracks, data) });
  }
  store.take(review);
}

/**
 * Do one thing after another, so that each edit knows the state that the one before has made. After
 * an edit that failed, those that wait are dropped: they were meant for another state.
 * @param {() => Promise<void>} action
 */
export function inTurn(action) {
  const asked = failures;
  tail = tail.then(() => (asked === failures ? action() : undefined)).catch(unexpected);
  return tail;
}

function unexpected(error) {
  console.error(error);
  tell(`Something went wrong: ${error.message}`, "warning");
}

/**
 * Make an edit. Undo and redo need no target.
 * @param {string} operation
 * @param {import("./targets.js").Target} [target]
 * @param {any} [after]
 * @returns {Promise<boolean>} whether it was made
 */
export async function edit(operation, target, after) {
  if (store.isGone) {
    tell("The server does not answer; your change was not made.", "warning");
    return false;
  }
  store.set({ isSaving: true });
  try {
    const number = { "If-Match": `"${store.review.number}"` };
    const body = target ? { operation, target, after } : { operation };
    await takeWithBoxes(await post(address(store.id, "/edits"), body, number));
    store.set({ savedAt: Date.now() });
    return true;
  } catch (error) {
    failures += 1;
    await failed(error);
    return false;
  } finally {
    store.set({ isSaving: false });
  }
}

async function failed(error) {
  if (error instanceof ServerGone) {
    store.set({ isGone: true });
    tell("The server does not answer; your change was not made.", "warning");
  } else if (error instanceof ApiError && error.status === 409) {
    await takeOthers();
  } else if (error instanceof ApiError) {
    tell(`Not possible: ${error.message}`, "warning");
  } else {
    throw error;
  }
}

/** After a conflict: take the edits of the others, and say what they did. */
async function takeOthers() {
  const seen = store.review.number;
  const { edits } = await get(address(store.id, "/journal"));
  await takeWithBoxes(await get(address(store.id, "")));
  const others = edits.filter((one) => one.number > seen);
  const last = others[others.length - 1];
  const more = others.length > 1 ? ` and made ${others.length - 1} more changes` : "";
  const story = last
    ? `${last.reviewer} ${deed(last)} at ${hour(Date.parse(last.time))}${more}`
    : "Somebody else has changed the review";
  tell(`${story}; your change was not made.`, "warning");
}

/** Decide about a track or a card. */
export function decide(target, decision) {
  return inTurn(() => edit("decide", target, decision));
}

/** Take the last edit back, or make it again. */
export function undo() {
  return inTurn(async () => {
    if (store.review.undo === null) return tell("There is nothing to undo.");
    if (await edit("undo")) tell("Undone.");
  });
}

export function redo() {
  return inTurn(async () => {
    if (store.review.redo === null) return tell("There is nothing to redo.");
    if (await edit("redo")) tell("Done again.");
  });
}

/**
 * Ask the server for clear pictures of hidden people, or stop that.
 * @param {boolean} isClear
 */
export async function setClear(isClear) {
  if (!isClear) store.set({ isClear: false, side: "after" });
  try {
    await post(address(store.id, "/clear"), { clear: isClear });
    store.set({ isClear });
  } catch (error) {
    if (error instanceof ServerGone) store.set({ isGone: true });
    else tell(`Not possible: ${error.message}`, "warning");
  }
}

/** Move the playhead to a frame, and stop there. */
export function seek(frame) {
  const last = store.review.source.frames - 1;
  store.set({ frame: Math.min(Math.max(Math.round(frame), 0), last), isPlaying: 0 });
}

/**
 * Select something, and go to where it can be seen.
 * @param {import("./targets.js").Target|null} target
 * @param {{stay?: boolean}} [options] `stay`: leave the playhead
 */
export function select(target, { stay = false } = {}) {
  store.set({ selection: target, tab: target ? "selected" : store.tab });
  const [kind, name] = parts(target);
  if (stay || target === null) return;
  const { byId, cards, regions } = store.review;
  if (kind === "lost") seek(byId.get(name).last);
  const range = {
    track: () => byId.get(name),
    card: () => firstOf(cards.find((card) => card.name === name)),
    region: () => regions.find((region) => region.id === name),
  }[kind]?.();
  if (range && (store.frame < range.first || store.frame > range.last)) seek(range.first);
}

function firstOf(card) {
  const tracks = card.tracks.map((id) => store.review.byId.get(id));
  const present = tracks.find((one) => one.first <= store.frame && store.frame <= one.last);
  return present ?? tracks[0];
}

/** Ask now and then whether the server is there, for as long as the page is open. */
export async function pulse() {
  try {
    const wasGone = store.isGone;
    if (store.isStart) await loadReviews();
    else await send(SMALL);
    store.set({ isGone: false });
    if (wasGone && store.review) {
      await refresh();
      tell("The server is there again.");
    }
  } catch (error) {
    if (error instanceof ServerGone) store.set({ isGone: true });
    else if (error.status === 403) return tell(RESTARTED, "warning");
    else throw error;
  }
  return setTimeout(pulse, store.isGone ? PULSE_GONE : PULSE);
}
