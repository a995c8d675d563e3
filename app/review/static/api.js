/** Requests to the server of the review, and their errors. */

/** The server refused a request. */
export class ApiError extends Error {
  /**
   * @param {number} status HTTP status
   * @param {{code?: string, message?: string}} error
   */
  constructor(status, error) {
    super(error.message || `the server answered ${status}`);
    this.status = status;
    this.code = error.code || "";
    this.details = error;
  }
}

/** The server did not answer. */
export class ServerGone extends Error {}

/**
 * Send a request and return the answer.
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<Response>}
 * @throws {ApiError} an answer that is an error
 * @throws {ServerGone} no answer
 */
export async function send(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerGone("the server does not answer");
  }
  if (answer.ok || answer.status === 304) return answer;
  throw new ApiError(answer.status, await errorOf(answer));
}

async function errorOf(answer) {
  try {
    return (await answer.json()).error ?? {};
  } catch {
    return {};
  }
}

/** Get JSON. */
export async function get(path) {
  return (await send(path)).json();
}

/** Post JSON, and return the JSON of the answer. */
export async function post(path, body, headers = {}) {
  const answer = await send(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  return answer.json();
}

/** Post a file, and return the JSON of the answer. */
export async function upload(path, file) {
  const headers = { "Content-Type": "application/octet-stream" };
  return (await send(path, { method: "POST", headers, body: file })).json();
}

/** The address of something of a review. */
export function address(id, path) {
  return `/api/reviews/${encodeURIComponent(id)}${path}`;
}

/** The address of a face: `state` marks the state that the picture belongs to. */
export function faceAddress(id, track, frame, size, state) {
  return address(id, `/face/${track}/${frame}.jpg?size=${size}&v=${encodeURIComponent(state)}`);
}

/** The address of a reference photo. */
export function photoAddress(id, name, number) {
  return address(id, `/photo/${encodeURIComponent(name)}/${number}.jpg`);
}
