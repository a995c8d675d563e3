/**
 * The segments of one side of a video in a Media Source: fetched when they are needed, and thrown
 * away when the server has made others.
 */

import { ApiError, send, ServerGone } from "./api.js";
import { segmentOf } from "./targets.js";

/** Segments that are fetched before the playhead reaches them. */
const AHEAD = 2;
/** Segments that are kept; one has about two seconds. */
const KEPT = 30;
/** Milliseconds before a segment is tried again. */
const PAUSE = 1000;

/** Whether this browser can play segments of a type. */
export function canPlay(mime) {
  return "MediaSource" in window && MediaSource.isTypeSupported(mime);
}

/** The segments of one side. */
export class SegmentBuffer {
  /**
   * @param {HTMLVideoElement} video
   * @param {object} options
   * @param {string} options.mime
   * @param {number[]} options.bounds first frame of each segment, and the number of frames
   * @param {import("./times.js").FrameTimes} options.times
   * @param {string[]} options.keys one for each segment
   * @param {(number: number, key: string) => string} options.url
   * @param {(error: Error) => void} options.failed told of errors that fetching again cannot mend
   * @param {() => void} options.loaded told when a segment was added
   */
  constructor(video, options) {
    Object.assign(this, options);
    this.video = video;
    this.held = new Map();
    this.wanted = [];
    this.place = 0;
    this.source = new MediaSource();
    this.work = this.#open();
  }

  async #open() {
    const opened = event(this.source, "sourceopen");
    this.objectUrl = URL.createObjectURL(this.source);
    this.video.src = this.objectUrl;
    await opened;
    this.source.duration = this.times.end;
    this.track = this.source.addSourceBuffer(this.mime);
    this.track.mode = "segments";
  }

  /** Fetch what a frame needs, and what follows it. */
  want(frame) {
    this.place = segmentOf(this.bounds, frame);
    const last = this.bounds.length - 2;
    this.wanted = [];
    for (let i = this.place; i <= Math.min(this.place + AHEAD, last); i++) this.wanted.push(i);
    if (this.loading && !this.wanted.includes(this.loading.number)) this.loading.cancel.abort();
    this.#pump();
  }

  /** Take the keys of another state, and throw away the segments that are no longer right. */
  setKeys(keys) {
    this.keys = keys;
    if (this.loading && keys[this.loading.number] !== this.loading.key) this.loading.cancel.abort();
    for (const [number, key] of [...this.held]) if (keys[number] !== key) this.#drop(number);
    this.#pump();
  }

  /** The key of the segment that is there, or null. */
  keyOf(number) {
    return this.held.get(number) ?? null;
  }

  /** Whether the segment of a frame is there, and belongs to the present state. */
  isFresh(frame) {
    const number = segmentOf(this.bounds, frame);
    return this.keyOf(number) === this.keys[number];
  }

  /** Stop, and free everything. */
  close() {
    this.isClosed = true;
    this.wanted = [];
    this.loading?.cancel.abort();
    this.video.removeAttribute("src");
    this.video.load();
    URL.revokeObjectURL(this.objectUrl);
  }

  async #pump() {
    if (this.isPumping || this.isClosed) return;
    this.isPumping = true;
    try {
      for (let number = this.#missing(); number !== undefined; number = this.#missing()) {
        await this.#load(number);
      }
    } catch (error) {
      this.#report(error);
    } finally {
      this.isPumping = false;
    }
  }

  /** Ask for nothing while an edit is being saved: the keys may be old a moment later. */
  hold(isHeld) {
    this.isHeld = isHeld;
    if (isHeld) this.loading?.cancel.abort();
    this.#pump();
  }

  #missing() {
    if (this.isHeld) return undefined;
    return this.wanted.find((number) => !this.held.has(number));
  }

  #report(error) {
    if (this.isClosed) return;
    if (error instanceof ServerGone) setTimeout(() => this.#pump(), PAUSE);
    this.failed(error);
  }

  async #load(number) {
    const key = this.keys[number];
    const cancel = new AbortController();
    this.loading = { number, key, cancel };
    try {
      const answer = await send(this.url(number, key), { signal: cancel.signal });
      const data = await answer.arrayBuffer();
      if (this.keys[number] === key && !this.isClosed) await this.#append(number, key, data);
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    } finally {
      this.loading = null;
    }
  }

  #append(number, key, data) {
    return this.#inTurn(async () => {
      await this.#makeRoom(number);
      this.track.timestampOffset = this.times.start(this.bounds[number]);
      this.track.appendBuffer(data);
      await event(this.track, "updateend");
      this.held.set(number, key);
      this.loaded(number);
    });
  }

  async #makeRoom(number) {
    while (this.held.size >= KEPT) {
      const far = [...this.held.keys()].reduce((one, other) =>
        Math.abs(other - number) > Math.abs(one - number) ? other : one,
      );
      this.held.delete(far);
      await this.#remove(far);
    }
  }

  #drop(number) {
    this.held.delete(number);
    this.#inTurn(() => this.#remove(number));
  }

  /** Remove the frames of a segment; the borders lie between frames, as times are rounded. */
  async #remove(number) {
    const [first, end] = [this.bounds[number], this.bounds[number + 1]];
    const back = (frame) =>
      frame === 0 ? 0 : (this.times.start(frame) + this.times.middle(frame - 1)) / 2;
    this.track.remove(back(first), end >= this.times.count ? Infinity : back(end));
    await event(this.track, "updateend");
  }

  #inTurn(action) {
    const turn = this.work.then(() => (this.isClosed ? undefined : action()));
    this.work = turn.catch(() => {});
    return turn;
  }
}

function event(target, name) {
  return new Promise((resolve) => target.addEventListener(name, resolve, { once: true }));
}

/** Whether an error says that the page has an old state. */
export function isStale(error) {
  return error instanceof ApiError && error.code === "stale";
}
