/** Times of frames: from frames to seconds and back, and as text. */

/**
 * Format seconds as `1:02:05.0`, without hours where there are none.
 * @param {number} seconds
 * @param {number} [digits] decimal places
 */
export function clock(seconds, digits = 1) {
  const unit = 10 ** digits;
  const all = Math.round(Math.max(0, seconds) * unit);
  const whole = Math.floor(all / unit);
  const fraction = digits ? "." + String(all % unit).padStart(digits, "0") : "";
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const two = (number) => String(number).padStart(2, "0");
  const front = hours ? `${hours}:${two(minutes)}` : `${minutes}`;
  return `${front}:${two(whole % 60)}${fraction}`;
}

/**
 * Format a span such as 12.3 s or 4 min.
 * @param {number} seconds
 */
export function span(seconds) {
  if (seconds < 100) return `${seconds.toFixed(seconds < 10 ? 1 : 0)}\u00a0s`;
  return `${Math.round(seconds / 60)}\u00a0min`;
}

/**
 * Format how long ago a time was.
 * @param {number} time in milliseconds
 */
export function ago(time) {
  const seconds = Math.max(0, Math.round((Date.now() - time) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  return `at ${hour(time)}`;
}

/** Format the hour and minute of a time, as the clock of this place shows it. */
export function hour(time) {
  const date = new Date(time);
  const two = (number) => String(number).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** The times of all frames, in seconds after the first one. */
export class FrameTimes {
  /**
   * @param {number[]} times start of each frame
   * @param {number} duration seconds of the whole video
   */
  constructor(times, duration) {
    this.times = times;
    const last = times[times.length - 1];
    const usual = times.length > 1 ? last / (times.length - 1) : 0.04;
    this.end = Math.max(duration, last + usual / 2);
    this.usual = usual;
  }

  /** Number of frames. */
  get count() {
    return this.times.length;
  }

  /** The second at which a frame appears; that of the frame after the last one is the end. */
  start(frame) {
    return frame >= this.count ? this.end : this.times[Math.max(0, frame)];
  }

  /** The middle of the time for which a frame is shown: the place to seek to. */
  middle(frame) {
    const begin = this.start(frame);
    return begin + Math.min(this.start(frame + 1) - begin, 2 * this.usual) / 2;
  }

  /** The frame that is shown at a time. */
  at(seconds) {
    let [low, high] = [0, this.count - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.times[middle] <= seconds) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The frame whose start is nearest to a time, such as the media time of a picture. */
  nearest(seconds) {
    const frame = this.at(seconds);
    const next = frame + 1;
    const isNext = next < this.count && this.times[next] - seconds < seconds - this.times[frame];
    return isNext ? next : frame;
  }
}
