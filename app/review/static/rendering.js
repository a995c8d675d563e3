/** Rendering: start it, and follow its progress. */

import { refresh, tell } from "./actions.js";
import { address, ApiError, get, post, ServerGone } from "./api.js";
import { askYes } from "./dialogs.js";
import { store } from "./store.js";

/** Milliseconds between two questions about the progress. */
const STEP = 500;

/** Render the present state; a result that hides nobody asks first. */
export async function render() {
  const isEmpty = store.review.doubts.some((doubt) => doubt.sort === "hides nobody");
  const text = "No track is hidden and no region is drawn: every face will be visible.";
  if (isEmpty && !(await askYes("The result hides nobody", text, "Render it"))) return;
  try {
    await post(address(store.id, "/render"), {});
    store.set({ render: { state: "running", done: 0, expected: 0 } });
    await watchRender();
  } catch (error) {
    failed(error);
  }
}

/** Follow a rendering until it ends. */
export async function watchRender() {
  const { id } = store;
  try {
    for (;;) {
      const answer = await get(address(id, "/render"));
      if (store.id !== id) return;
      const wasRunning = store.render.state === "running";
      store.set({ render: answer });
      if (answer.state !== "running") {
        if (wasRunning) await ended(answer);
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, STEP));
    }
  } catch (error) {
    failed(error);
  }
}

async function ended({ state, output, seconds, review_required: isRequired, error }) {
  await refresh({ always: true });
  if (state === "failed") return tell(`Rendering failed: ${error}`, "warning");
  const time = seconds ? ` in ${seconds.toFixed(1)} s` : "";
  const state_ = isRequired ? " Review required: doubts are open." : "";
  return tell(`${output} was written${time}.${state_}`);
}

function failed(error) {
  store.set({ render: { state: "failed" } });
  if (error instanceof ServerGone) store.set({ isGone: true });
  else if (error instanceof ApiError) tell(`Rendering failed: ${error.message}`, "warning");
  else throw error;
}
