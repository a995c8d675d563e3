/**
 * The picture of one side of the video: as a video by Media Source, or as single pictures where the
 * browser has none. Both tell which frame is on the screen, and whether it is outdated.
 */

import { address } from "./api.js";
import { canPlay, SegmentBuffer } from "./buffer.js";
import { h } from "./dom.js";
import { pictureKey, segmentOf } from "./targets.js";

/**
 * What a picture tells its player.
 * @typedef {object} Ears
 * @property {(frame: number, isStale: boolean) => void} shown a picture is on the screen
 * @property {(error: Error) => void} failed the server did not give a picture
 * @property {() => void} broken the browser cannot play the video
 */

/**
 * Make the picture of a side.
 * @param {"after"|"before"} side
 * @param {boolean} isStill whether the browser could not play the video before
 * @param {import("./store.js").store} store
 * @param {Ears} ears
 */
export function pictureOf(side, isStill, store, ears) {
  const { segments, source } = store.review;
  const isVideo = !isStill && !source.is_image && canPlay(segments.mime);
  const Kind = isVideo ? VideoPicture : StillPicture;
  return new Kind(side, store, ears);
}

class VideoPicture {
  constructor(side, { id, review, times }, ears) {
    this.side = side;
    this.times = times;
    this.ears = ears;
    this.element = h("video", { class: `picture ${side}`, playsinline: true, tabindex: "-1" });
    this.element.muted = true;
    this.element.disablePictureInPicture = true;
    this.element.addEventListener("seeked", () => this.#seeked());
    this.element.addEventListener("error", () => this.isClosed || ears.broken());
    const { mime, bounds } = review.segments;
    this.buffer = new SegmentBuffer(this.element, {
      mime,
      bounds,
      times,
      keys: review.segments[side],
      url: (number, key) => address(id, `/segment/${side}/${number}/${key}.mp4`),
      failed: ears.failed,
      loaded: (number) => this.#loaded(number),
    });
    this.frame = 0;
    this.shown = null;
    this.#watch();
  }

  /** Show a frame. */
  seek(frame) {
    this.element.pause();
    this.frame = frame;
    this.#aim();
    this.buffer.want(frame);
  }

  #aim() {
    this.isAiming = true;
    const time = this.times.middle(this.frame);
    const nudge = this.element.currentTime === time ? 1e-4 : 0;
    this.element.currentTime = time + nudge;
  }

  /** Play from the present frame at a speed; 0 stops. */
  play(speed) {
    if (!speed) return this.element.pause();
    this.element.playbackRate = speed;
    return this.element.play().catch(() => {});
  }

  /** Take the keys of another state. */
  update(review) {
    this.buffer.setKeys(review.segments[this.side]);
    if (this.shown !== null && !this.buffer.isFresh(this.shown)) {
      this.ears.shown(this.shown, true);
    }
  }

  /** Wait with requests while an edit is being saved. */
  hold(isHeld) {
    this.buffer.hold(isHeld);
  }

  close() {
    this.isClosed = true;
    this.element.pause();
    this.buffer.close();
    this.element.remove();
  }

  /** A segment has arrived: show its picture if the one on the screen is an old one of it. */
  #loaded(number) {
    const { bounds } = this.buffer;
    const isHere = segmentOf(bounds, this.frame) === number;
    if (isHere) this.#aim();
  }

  /** Ask for each picture that is shown; its media time tells which one it is. */
  #watch() {
    const video = this.element;
    if (!("requestVideoFrameCallback" in video)) {
      video.addEventListener("timeupdate", () => this.#report(this.times.at(video.currentTime)));
      return;
    }
    const heard = (_now, { mediaTime }) => {
      if (this.isClosed) return;
      this.#report(this.times.nearest(mediaTime));
      video.requestVideoFrameCallback(heard);
    };
    video.requestVideoFrameCallback(heard);
  }

  #seeked() {
    this.isAiming = false;
    // The new picture of the same frame is on the screen after one more repaint at the latest.
    const again = () => !this.isAiming && this.shown === this.frame && this.#report(this.shown);
    requestAnimationFrame(() => requestAnimationFrame(again));
  }

  /** A picture that appears while a seek goes on may still be an old one: wait for its end. */
  #report(frame) {
    this.shown = frame;
    if (this.isAiming && this.element.seeking) return;
    if (!this.element.paused) {
      this.frame = frame;
      this.buffer.want(frame);
    }
    this.ears.shown(frame, !this.buffer.isFresh(frame));
  }
}

class StillPicture {
  constructor(side, { id, review, times }, ears) {
    Object.assign(this, { side, id, times, ears, review, frame: 0, speed: 0 });
    this.element = h("img", { class: `picture ${side}`, alt: "" });
    this.element.onload = () => this.#loaded();
    this.element.onerror = () => ears.failed(new Error("a picture did not come"));
  }

  seek(frame) {
    this.frame = frame;
    this.key = this.#keyOf(this.review);
    const height = Math.min(540, this.review.source.height);
    const query = `side=${this.side}&height=${height}&v=${this.key}`;
    this.element.src = address(this.id, `/frame/${frame}.jpg?${query}`);
  }

  play(speed) {
    this.speed = speed;
    if (speed) this.#loaded();
  }

  update(review) {
    this.review = review;
    if (this.#keyOf(review) === this.key) return;
    this.ears.shown(this.frame, true);
    this.seek(this.frame);
  }

  hold() {}

  close() {
    this.speed = 0;
    this.element.onload = this.element.onerror = null;
    this.element.remove();
  }

  #keyOf(review) {
    return pictureKey(review, this.side, this.frame);
  }

  #loaded() {
    this.ears.shown(this.frame, this.#keyOf(this.review) !== this.key);
    if (!this.speed || this.frame + 1 >= this.times.count) return;
    const wait = (this.times.usual * 1000) / this.speed;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.speed && this.seek(this.frame + 1), wait);
  }
}
