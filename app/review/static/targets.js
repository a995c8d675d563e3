/** The things that edits and doubts are about, and their names for people. */

/**
 * One thing, as the server names it: `{track: 3}`, `{card: "Person 1"}`, `{video: 0}`.
 * @typedef {Object<string, (number|string)>} Target
 */

/** The kind and the name of a target. */
export function parts(target) {
  return target ? Object.entries(target)[0] : [null, null];
}

/** A text that identifies a target. */
export function keyOf(target) {
  return parts(target).join(" ");
}

/** Whether two targets are the same. */
export function isSame(one, other) {
  return keyOf(one) === keyOf(other);
}

/** The name of a target in a sentence. */
export function nameOf(target) {
  const [kind, name] = parts(target);
  if (kind === "video") return "the video";
  if (kind === "card" || kind === "listed") return String(name);
  return kind === "lost" ? `the end of track ${name}` : `${kind} ${name}`;
}

/** The number of the selected track, also if its end is selected, or null. */
export function trackOf(target) {
  const [kind, name] = parts(target);
  return kind === "track" || kind === "lost" ? name : null;
}

/** How a track is drawn: unsure, cannot tell, hide or keep. */
export function styleOf(track) {
  if (track.uncertain && !track.confirmed) return track.unclear === null ? "unsure" : "unclear";
  return track.decision === "blur" ? "hide" : "keep";
}

/** The decision as a verb. */
export function verb(decision) {
  if (decision === null) return "mixed";
  return decision === "blur" ? "hide" : "keep";
}

/** The name of the person of a track. */
export function personOf(track) {
  return track.card ?? "cannot tell";
}

/** The mark of the state in which the picture of a face was made. */
export function stateOf(review, frame, isClear) {
  return `${pictureKey(review, "after", frame)}${isClear ? "c" : ""}`;
}

/** A text that changes when the picture of a frame does. A photo has no segments, only edits. */
export function pictureKey({ number, segments }, side, frame) {
  return segments[side][segmentOf(segments.bounds, frame)] ?? String(number);
}

/** The segment that a frame belongs to. */
export function segmentOf(bounds, frame) {
  let [low, high] = [0, bounds.length - 2];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (bounds[middle] <= frame) low = middle;
    else high = middle - 1;
  }
  return low;
}

const SENTENCES = {
  decide: (edit) => `decided to ${verb(edit.after)} ${nameOf(edit.target)}`,
  assign: (edit) => `put ${nameOf(edit.target)} on ${edit.after ?? "no card"}`,
  merge: (edit) => `made ${nameOf(edit.target)} ${edit.after}`,
  split: (edit) => `split ${nameOf(edit.target)}`,
  region: (edit) => `${edit.after === null ? "removed" : "drew"} ${nameOf(edit.target)}`,
  note: (edit) => `wrote a note on ${nameOf(edit.target)}`,
  confirm: (edit) => `${edit.after ? "confirmed" : "reopened"} ${nameOf(edit.target)}`,
  undo: () => "took the last change back",
  redo: () => "made a change again",
};

/** What an edit did, as the end of a sentence that begins with the reviewer. */
export function deed(edit) {
  return SENTENCES[edit.operation](edit);
}
