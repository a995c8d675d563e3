/** Edits of drawn regions: new ones, key frames, beginning and end, and following a face. */

import { edit, inTurn, select, tell } from "./actions.js";
import { address, post } from "./api.js";
import { regionBox } from "./boxes.js";
import { store } from "./store.js";
import { parts } from "./targets.js";

/** The selected region, or null. */
export function chosenRegion() {
  const [kind, name] = parts(store.selection);
  return kind === "region" ? find(name) : null;
}

function find(id) {
  return store.review.regions.find((region) => region.id === id) ?? null;
}

/** The content of a region, as an edit sends it. */
function content({ first, last, keys }) {
  return { first, last, keys };
}

/**
 * Draw a new region: from this frame to the end of its shot. Its end can be set with O.
 * @param {number} frame
 * @param {import("./boxes.js").Box} box
 */
export function drawRegion(frame, box) {
  return inTurn(async () => {
    const { shots, next_region: id } = store.review;
    const [, end] = shots.find(([first, after]) => first <= frame && frame < after);
    const after = { first: frame, last: end - 1, keys: [[frame, ...box]] };
    if (await edit("region", { region: id }, after)) {
      select({ region: id }, { stay: true });
      tell("Drawn. Go to other frames and move the box there; I and O set beginning and end.");
    }
  });
}

/**
 * Put the box of a region at a frame: a key frame. Outside of its frames the region is lengthened.
 * @param {number} id
 * @param {number} frame
 * @param {import("./boxes.js").Box} box
 */
export function moveRegion(id, frame, box) {
  return change(id, (region) => ({
    first: Math.min(region.first, frame),
    last: Math.max(region.last, frame),
    keys: withKey(region.keys, [frame, ...box]),
  }));
}

function withKey(keys, key) {
  const others = keys.filter((one) => one[0] !== key[0]);
  return [...others, key].sort((one, other) => one[0] - other[0]);
}

/** Remove a key frame; the last one stays. */
export function removeKey(id, frame) {
  return change(id, ({ first, last, keys }) => {
    const left = keys.filter((one) => one[0] !== frame);
    return left.length ? { first, last, keys: left } : null;
  });
}

/** Let the selected region begin at the playhead, or end there. */
export function setBorder(which) {
  const region = chosenRegion();
  if (region === null) return tell("Select a drawn region first.");
  const frame = store.frame;
  return change(region.id, ({ first, last, keys }) =>
    which === "first"
      ? { first: frame, last: Math.max(last, frame), keys }
      : { first: Math.min(first, frame), last: frame, keys },
  );
}

/** Remove a region. */
export function removeRegion(id) {
  return inTurn(async () => {
    if (await edit("region", { region: id }, null)) tell("Removed. Z brings it back.");
  });
}

function change(id, make) {
  return inTurn(async () => {
    const region = find(id);
    const after = region && make(content(region));
    if (after) await edit("region", { region: id }, after);
  });
}

/**
 * Join a region with the key frames that were found. Those of one that was just drawn are for all
 * of the shot; one that was corrected by hand keeps what comes before.
 */
function followed({ first, keys }, frame, found) {
  if (keys.length === 1) return content(found);
  const before = keys.filter((one) => one[0] < frame);
  const later = found.keys.filter((one) => one[0] >= frame);
  return { first: Math.min(first, frame), last: found.last, keys: [...before, ...later] };
}

/** Let the program follow the face in the region. */
export function follow(id) {
  return inTurn(async () => {
    const region = find(id);
    if (region === null) return;
    const frame = store.frame;
    tell("Following the face ...");
    try {
      const body = { frame, box: regionBox(region, frame) };
      const found = await post(address(store.id, "/follow"), body);
      const after = followed(region, frame, found);
      if (await edit("region", { region: id }, after)) {
        tell(`Followed from frame ${after.first} to frame ${after.last}.`);
      }
    } catch (error) {
      tell(`The face cannot be followed: ${error.message}`, "warning");
    }
  });
}
