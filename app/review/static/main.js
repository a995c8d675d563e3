/** The page: it opens the first review, or the empty page, and shows the parts. */

import { loadReviews, openReview, pulse, refresh, tell } from "./actions.js";
import { ServerGone } from "./api.js";
import { button, h, show } from "./dom.js";
import { listen } from "./keys.js";
import { go, open } from "./queue.js";
import { store } from "./store.js";
import "./cast.js";
import "./head.js";
import "./notices.js";
import "./overlay.js";
import "./player.js";
import "./selected.js";
import "./start.js";
import "./timeline.js";

const TABS = [
  ["selected", "Selected"],
  ["cast", "Cast"],
  ["timeline", "Timeline"],
];

/** The token is in the cookie now: it does not belong into histories and screenshots. */
function hideToken() {
  if (location.search) history.replaceState(null, "", location.pathname + location.hash);
}

function element(name) {
  return h(name, { "data-own": true });
}

function layout() {
  const main = document.createElement("main");
  document.body.append(main);
  const tab = ([name, label]) =>
    button(label, () => store.set({ tab: name }), { "aria-pressed": String(store.tab === name) });
  const draw = () => {
    document.body.dataset.tab = store.tab;
    const isOpen = store.review !== null && store.times !== null;
    document.title = isOpen ? `${store.review.source.name}: review` : "Face blur: review";
    document.body.dataset.kind = store.review?.source.is_image ? "image" : "video";
    document.body.dataset.edits = store.review?.number ?? "";
    if (store.isStart) return show(main, element("review-start"));
    if (!isOpen) return show(main, h("p", { class: "loading", role: "status" }, "Loading ..."));
    return show(
      main,
      element("review-head"),
      element("review-cast"),
      element("review-player"),
      h("div", { class: "tabs", role: "group", "aria-label": "Parts" }, TABS.map(tab)),
      element("review-selected"),
      element("review-timeline"),
    );
  };
  store.subscribe(["tab", "isStart", "review", "times"], draw);
  draw();
}

/** When a review was opened, the first doubt is selected, before anything is drawn. */
function beginWithDoubts() {
  let begun = null;
  store.subscribe(["times", "review"], () => {
    if (store.review === null || store.times === null || begun === store.times) return;
    begun = store.times;
    go(open()[0] ?? null);
  });
}

/** Other windows may have changed the review while this one was in the background. */
function watchWindow() {
  addEventListener("focus", () => store.review && refresh().catch(() => {}));
}

async function start() {
  hideToken();
  beginWithDoubts();
  layout();
  listen();
  watchWindow();
  try {
    const reviews = await loadReviews();
    const ready = reviews.find(({ state }) => state === "ready");
    if (ready) await openReview(ready.id);
    else store.set({ isStart: true });
  } catch (error) {
    if (error instanceof ServerGone) store.set({ isGone: true });
    tell(`The review cannot be opened: ${error.message}`, "warning");
  }
  pulse();
}

start();
