/** The empty page: give videos and photos, choose whom to hide, analyse, and open a review. */

import { loadReviews, openReview, tell } from "./actions.js";
import { get, post, send, upload } from "./api.js";
import { button, h, show } from "./dom.js";
import { store, View } from "./store.js";

const CHOICES = [
  ["listed", "Hide the people of the photos"],
  ["others", "Hide everybody else"],
  ["everyone", "Hide everyone"],
];
/** Milliseconds between two questions about the progress of analyses. */
const STEP = 700;

export class Start extends View {
  static needs = ["reviews"];

  connectedCallback() {
    this.files = [];
    this.people = [];
    this.blur = "everyone";
    this.busy = null;
    super.connectedCallback();
    this.#people();
    this.timer = setInterval(() => this.#progress(), STEP);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.timer);
  }

  draw() {
    show(
      this,
      h("h1", {}, "Hide faces in videos"),
      h("p", { class: "muted" }, "Everything stays on this computer."),
      this.#videos(),
      this.#photos(),
      this.#whom(),
      this.#reviews(),
    );
  }

  async #progress() {
    if (store.reviews.some(({ state }) => state === "analysing")) {
      await loadReviews().catch(() => {});
    }
  }

  async #people() {
    try {
      this.people = (await get("/api/people")).people ?? [];
      if (this.people.length) this.blur = "listed";
      this.draw();
    } catch (error) {
      tell(`The list of people did not come: ${error.message}`, "warning");
    }
  }

  #videos() {
    return h(
      "section",
      { "aria-labelledby": "step-videos" },
      h("h2", { id: "step-videos" }, "1. Videos and images"),
      drop("Drop videos or images here, or choose them", "video/*,image/*", (files) =>
        this.#do("Reading", () => this.#takeVideos(files)),
      ),
      h(
        "ul",
        { class: "list" },
        this.files.map(({ name }) => h("li", { key: name }, name)),
      ),
    );
  }

  async #takeVideos(files) {
    for (const file of files) {
      const { id } = await upload(`/api/files?name=${encodeURIComponent(file.name)}`, file);
      this.files.push({ id, name: file.name });
      this.draw();
    }
  }

  #photos() {
    const name = h("input", { type: "text", maxlength: "100", id: "person-name", key: "name" });
    return h(
      "section",
      { "aria-labelledby": "step-people" },
      h("h2", { id: "step-people" }, "2. People (if only some are to be hidden or kept)"),
      h("label", { class: "field" }, "Name", name),
      drop("Drop photos of this person here, or choose them", "image/*", (files) =>
        this.#do("Reading photos", () => this.#takePhotos(files)),
      ),
      h("ul", { class: "list" }, this.people.map((person) => this.#person(person))),
    );
  }

  async #takePhotos(files) {
    const name = this.querySelector("#person-name").value.trim();
    if (!name) throw new Error("give a name first");
    for (const file of files) {
      const query = `name=${encodeURIComponent(name)}&file=${encodeURIComponent(file.name)}`;
      const answer = await upload(`/api/people?${query}`, file);
      const others = this.people.filter((person) => person.name !== name);
      this.people = [...others, answer];
      if (this.blur === "everyone") this.blur = "listed";
      this.draw();
    }
  }

  #person({ name, photos, doubts = [] }) {
    return h(
      "li",
      { key: name },
      h("strong", {}, name),
      ` ${photos} ${photos === 1 ? "photo" : "photos"} `,
      button("Remove", () => this.#do("Removing", () => this.#remove(name)), {
        "aria-label": `Remove ${name}`,
      }),
      doubts.map((doubt) => h("p", { class: "warning" }, doubt)),
    );
  }

  async #remove(name) {
    await send(`/api/people/${encodeURIComponent(name)}`, { method: "DELETE" });
    this.people = this.people.filter((person) => person.name !== name);
  }

  #whom() {
    const choice = ([value, label]) =>
      h(
        "label",
        { class: "choice" },
        h("input", {
          type: "radio",
          name: "blur",
          value,
          checked: this.blur === value,
          disabled: value !== "everyone" && this.people.length === 0,
          onchange: () => {
            this.blur = value;
            this.draw();
          },
        }),
        label,
      );
    return h(
      "section",
      { "aria-labelledby": "step-whom" },
      h("h2", { id: "step-whom" }, "3. Whom to hide"),
      h("fieldset", {}, h("legend", {}, "Faces to hide"), CHOICES.map(choice)),
      button("Analyse", () => this.#do("Starting", () => this.#analyse()), {
        class: "strong",
        disabled: this.files.length === 0 || this.busy !== null,
      }),
      h("p", { role: "status", class: "muted" }, this.busy ? `${this.busy} ...` : ""),
    );
  }

  async #analyse() {
    for (const { id } of this.files) await post("/api/analyse", { file: id, blur: this.blur });
    this.files = [];
    await loadReviews();
  }

  async #do(words, action) {
    this.busy = words;
    this.draw();
    try {
      await action();
    } catch (error) {
      tell(`Not possible: ${error.message}`, "warning");
    } finally {
      this.busy = null;
      this.draw();
    }
  }

  #reviews() {
    if (!store.reviews.length) return null;
    return h(
      "section",
      { "aria-labelledby": "reviews" },
      h("h2", { id: "reviews" }, "Reviews"),
      h("ul", { class: "list" }, store.reviews.map(review)),
    );
  }
}

function review({ id, name, state, progress, open_doubts: count, error }) {
  const doubts = count ? `${count} open doubts` : "nothing is open";
  const texts = { ready: doubts, analysing: "being analysed", failed: error, new: "waiting" };
  return h(
    "li",
    { key: `review ${id}` },
    state === "ready" ? button(name, () => openReview(id)) : h("strong", {}, name),
    h("span", { class: state === "failed" ? "warning" : "muted" }, ` ${texts[state] ?? state} `),
    state === "analysing" &&
      h("progress", {
        max: progress?.expected || "1",
        value: progress?.expected ? progress.done : null,
        "aria-label": `Progress of ${name}`,
      }),
  );
}

/** A place to drop files on, which is also a button that chooses files. */
function drop(text, accept, took) {
  const files = (list) => list.length && took([...list]);
  return h(
    "label",
    {
      class: "drop",
      ondragover: (event) => {
        event.preventDefault();
        event.currentTarget.classList.add("over");
      },
      ondragleave: (event) => event.currentTarget.classList.remove("over"),
      ondrop: (event) => {
        event.preventDefault();
        event.currentTarget.classList.remove("over");
        files(event.dataTransfer.files);
      },
    },
    text,
    h("input", {
      type: "file",
      accept,
      multiple: true,
      onchange: (event) => {
        files(event.target.files);
        event.target.value = "";
      },
    }),
  );
}

customElements.define("review-start", Start);
