/** The boxes of tracks and of drawn regions, by frame. */

/** Frames for each entry of the index from frames to tracks. */
const BUCKET = 64;
/** Share of a box that a cover adds on each side: more than the margin of a hidden face. */
const COVER = 0.35;

/**
 * A box: x1, y1, x2, y2 in pixels of the upright frame.
 * @typedef {[number, number, number, number]} Box
 */

/** The boxes of all tracks. */
export class TrackBoxes {
  /**
   * @param {Array<{id: number, first: number, last: number}>} tracks in the order of `data`
   * @param {Float32Array} data four numbers for each frame of each track
   */
  constructor(tracks, data) {
    this.data = data;
    this.places = new Map();
    this.buckets = new Map();
    let start = 0;
    for (const { id, first, last } of tracks) {
      this.places.set(id, { first, last, start });
      start += 4 * (last - first + 1);
      for (let bucket = Math.floor(first / BUCKET); bucket * BUCKET <= last; bucket++) {
        if (!this.buckets.has(bucket)) this.buckets.set(bucket, []);
        this.buckets.get(bucket).push(id);
      }
    }
    if (start !== data.length) throw new Error("the boxes do not belong to these tracks");
    this.signature = signatureOf(tracks);
  }

  /** Numbers of the tracks that a frame shows. */
  at(frame) {
    const near = this.buckets.get(Math.floor(frame / BUCKET)) ?? [];
    return near.filter((id) => this.has(id, frame));
  }

  /** Whether a track has a box in a frame. */
  has(id, frame) {
    const place = this.places.get(id);
    return place !== undefined && place.first <= frame && frame <= place.last;
  }

  /** The box of a track in one of its frames. */
  box(id, frame) {
    const place = this.places.get(id);
    const at = place.start + 4 * (frame - place.first);
    return [...this.data.subarray(at, at + 4)];
  }
}

/** A text that changes when tracks are split or joined. */
export function signatureOf(tracks) {
  return tracks.map(({ id, first, last }) => `${id}:${first}-${last}`).join(",");
}

/**
 * The box of a drawn region at a frame: linear between key frames, at rest before and after.
 * @param {{keys: number[][]}} region
 * @param {number} frame
 * @returns {Box}
 */
export function regionBox({ keys }, frame) {
  const after = keys.findIndex((one) => one[0] >= frame);
  if (after === -1) return keys[keys.length - 1].slice(1);
  if (after === 0) return keys[0].slice(1);
  const [low, high] = [keys[after - 1], keys[after]];
  const share = (frame - low[0]) / (high[0] - low[0]);
  return low.slice(1).map((value, i) => value + share * (high[i + 1] - value));
}

/**
 * All boxes that are to be hidden in a frame, with a margin: what an outdated picture is covered
 * with.
 */
export function covers(review, boxes, frame) {
  const hidden = boxes.at(frame).filter((id) => review.byId.get(id)?.decision === "blur");
  const drawn = review.regions.filter((one) => one.first <= frame && frame <= one.last);
  return [
    ...hidden.map((id) => grown(boxes.box(id, frame), COVER)),
    ...drawn.map((region) => grown(regionBox(region, frame), COVER / 4)),
  ];
}

function grown([x1, y1, x2, y2], share) {
  const [dx, dy] = [(x2 - x1) * share, (y2 - y1) * share];
  return [x1 - dx, y1 - dy, x2 + dx, y2 + dy];
}

/**
 * Move or limit a box so that it lies inside the frame and has a least side.
 * @param {Box} box corners in any order
 * @param {{width: number, height: number}} size
 * @param {number} [least]
 * @returns {Box}
 */
export function clamped([x1, y1, x2, y2], { width, height }, least = 4) {
  const side = (a, b, most) => {
    const low = Math.min(Math.max(Math.min(a, b), 0), most - Math.min(least, most));
    const high = Math.max(Math.min(Math.max(a, b), most), low + Math.min(least, most));
    return [Math.round(low * 10) / 10, Math.round(high * 10) / 10];
  };
  const [left, right] = side(x1, x2, width);
  const [top, bottom] = side(y1, y2, height);
  return [left, top, right, bottom];
}
