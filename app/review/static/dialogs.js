/** Questions to the reviewer, in dialogs. */

import { button, h } from "./dom.js";

/**
 * Show a dialog until it is answered.
 * @param {string} title
 * @param {(answer: (value: any) => void) => Array<Node|string>} content
 * @param {string} [kind] a class
 * @returns {Promise<any>} the answer, or null if it was closed
 */
export function ask(title, content, kind = "") {
  const before = document.activeElement;
  return new Promise((resolve) => {
    let answer = null;
    const close = (value) => {
      answer = value;
      dialog.close();
    };
    const dialog = h(
      "dialog",
      {
        class: kind,
        "aria-labelledby": "dialog-title",
        onkeydown: (event) => event.stopPropagation(),
      },
      h("h2", { id: "dialog-title" }, title),
      content(close),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (before?.isConnected) before.focus();
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Ask yes or no; Escape is no. */
export function askYes(title, text, yes) {
  return ask(title, (answer) => [
    h("p", {}, text),
    h(
      "div",
      { class: "choices" },
      button("Cancel", () => answer(false), { autofocus: true }),
      button(yes, () => answer(true), { class: "strong" }),
    ),
  ]);
}

/** Ask before clear pictures are shown. */
export function askClear() {
  return askYes(
    "Show hidden people clear?",
    "The faces of people who are to be hidden will be visible on this screen, until you hide them" +
      " again or close the page. Nothing of it is stored.",
    "Show them clear",
  );
}

/**
 * Ask for a text.
 * @returns {Promise<string|null>}
 */
export function askText(title, label, value) {
  return ask(title, (answer) => {
    const field = h("input", { type: "text", value, maxlength: "200", autofocus: true });
    const done = (event) => {
      event.preventDefault();
      if (field.value.trim()) answer(field.value.trim());
    };
    return [
      h(
        "form",
        { onsubmit: done },
        h("label", { class: "field" }, label, field),
        h(
          "div",
          { class: "choices" },
          button("Cancel", () => answer(null)),
          h("button", { type: "submit", class: "strong" }, "Save"),
        ),
      ),
    ];
  });
}

/**
 * Ask for one of several things.
 * @param {string} title
 * @param {Array<[string, any, string?]>} options labels, values, and why one is impossible
 */
export function askOne(title, options) {
  return ask(
    title,
    (answer) => [
      h(
        "ul",
        { class: "options" },
        options.map(([label, value, why]) =>
          h(
            "li",
            {},
            button(why ? `${label} (${why})` : label, () => answer(value), { disabled: !!why }),
          ),
        ),
      ),
      h("div", { class: "choices" }, button("Cancel", () => answer(null))),
    ],
    "list",
  );
}
