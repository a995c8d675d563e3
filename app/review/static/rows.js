/** The rows of the timeline: one for each person, and lanes for what cannot be told and regions. */

import { keyOf, styleOf } from "./targets.js";

/**
 * A bar: frames, both inclusive, the style, and what it stands for.
 * @typedef {{first: number, last: number, style: string, target: object}} Bar
 */

/**
 * The rows of a review.
 * @returns {Array<{key: string, label: string, target: object|null, bars: Bar[]}>}
 */
export function rowsOf(review) {
  const bar = (id) => {
    const track = review.byId.get(id);
    return { first: track.first, last: track.last, style: styleOf(track), target: { track: id } };
  };
  const people = review.cards.map((card) => ({
    key: keyOf({ card: card.name }),
    label: card.name,
    target: { card: card.name },
    bars: card.tracks.map(bar),
  }));
  const drawn = review.regions.map(({ id, first, last }) => ({
    first,
    last,
    style: "drawn",
    target: { region: id },
  }));
  const unknown = lanes(review.nobody.map(bar));
  return [
    ...people,
    ...unknown.map((bars, i) => lane("cannot tell", bars, i)),
    ...lanes(drawn).map((bars, i) => lane("drawn", bars, i)),
  ];
}

function lane(label, bars, i) {
  return { key: `${label} ${i}`, label: i ? "" : label, target: null, bars };
}

/** Put bars that share frames into different lanes. */
function lanes(bars) {
  const out = [];
  const ends = [];
  for (const bar of [...bars].sort((one, other) => one.first - other.first)) {
    let at = ends.findIndex((end) => end < bar.first);
    if (at === -1) at = out.push([]) - 1;
    out[at].push(bar);
    ends[at] = bar.last;
  }
  return out;
}

/** The frames in which a hidden face was lost: from the end of its track to that of the shot. */
export function gapsOf(review) {
  return review.doubts
    .filter((doubt) => doubt.sort === "lost" && !doubt.settled)
    .map(({ target }) => {
      const track = review.byId.get(target.lost);
      return { id: track.id, first: track.last + 1, end: review.shots[track.shot][1] };
    });
}
