/** Actions about people: decisions, names, merging, and moving tracks between cards. */

import { decide, edit, inTurn, select, tell } from "./actions.js";
import { askOne, askText } from "./dialogs.js";
import { store } from "./store.js";
import { parts, personOf, trackOf } from "./targets.js";

/** The selected track, or null. */
export function chosenTrack() {
  const id = trackOf(store.selection);
  return id === null ? null : (store.review.byId.get(id) ?? null);
}

/** The card that is selected, or that of the selected track, or null. */
export function chosenCard() {
  const [kind, name] = parts(store.selection);
  const wanted = kind === "card" ? name : chosenTrack()?.card;
  return store.review.cards.find((card) => card.name === wanted) ?? null;
}

/** Decide about the selected track; about the person if a card is selected. */
export function decideChosen(decision, isWhole = false) {
  const track = chosenTrack();
  const card = chosenCard();
  if (track && !(isWhole && card)) return decide({ track: track.id }, decision);
  if (card) return decide({ card: card.name }, decision);
  return tell("Select a face or a person first.");
}

/** Give a person another name. */
export async function rename(name) {
  const other = await askText(`Rename ${name}`, "New name", name);
  if (other && other !== name) await join(name, other);
}

/** Put all tracks of a card on another one, or rename it if there is none of that name. */
export function join(name, other) {
  return inTurn(async () => {
    if (await edit("merge", { card: name }, other)) {
      store.set({ selection: { card: other } });
      tell(`${name} is now ${other}.`);
    }
  });
}

/** Ask for the person that the selected one is the same as. */
export async function mergeChosen() {
  const card = chosenCard();
  const track = chosenTrack();
  if (!card && !track) return tell("Select a face or a person first.");
  const from = card ? card.name : `track ${track.id}`;
  const others = store.review.cards.filter((one) => one !== card);
  if (!others.length) return tell("There is no other person.");
  const ids = card ? card.tracks : [track.id];
  const why = (one) => (shareFrames(ids, one.tracks) ? "seen at the same time" : "");
  const options = others.map((one) => [one.name, one.name, why(one)]);
  const other = await askOne(`${from} is the same person as`, options);
  if (other === null) return undefined;
  return card ? join(card.name, other) : assign(track.id, other);
}

/** Whether two tracks are in one frame: then they show two people. */
function shareFrames(ids, others) {
  const of = (id) => store.review.byId.get(id);
  const meet = (one, other) => one.first <= other.last && other.first <= one.last;
  return ids.some((id) => others.some((other) => meet(of(id), of(other))));
}

/** Put a track on a card; null: it cannot be told. */
export function assign(id, card) {
  return inTurn(async () => {
    const from = personOf(store.review.byId.get(id));
    if (card === from) return;
    if (await edit("assign", { track: id }, card)) {
      tell(`Track ${id}: ${from} is now ${card ?? "cannot tell"}.`);
    }
  });
}

/** Put a track on a card of its own. */
export async function assignNew(id) {
  const names = new Set(store.review.cards.map((card) => card.name));
  let number = 1;
  while (names.has(`Person ${number}`)) number += 1;
  const name = await askText("New person", "Name", `Person ${number}`);
  if (name) await assign(id, name);
}

/** Split the selected track: the frame at the playhead begins the second part. */
export function splitChosen() {
  return inTurn(async () => {
    const track = chosenTrack();
    if (track === null) return tell("Select a face first.");
    const { frame } = store;
    if (await edit("split", { track: track.id }, { frame })) {
      const isLate = (one) => one.first === frame && one.last === track.last;
      const late = store.review.tracks.filter(isLate).pop();
      if (late) select({ track: late.id }, { stay: true });
      tell(`Track ${track.id} is split at frame ${frame}.`);
    }
  });
}

/** Write a note; an empty one is removed. */
export function note(target, text) {
  return inTurn(async () => {
    if (await edit("note", target, text.trim() || null)) tell("Note saved.");
  });
}
