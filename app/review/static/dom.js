/**
 * Small helpers for the document: make elements, and let views draw themselves again and again.
 *
 * A view makes its elements anew each time, and `show` changes what is there to what was made. So
 * focus, scroll positions, loaded pictures and half-written notes survive. Text is always text:
 * nothing here reads HTML.
 */

const SVG = "http://www.w3.org/2000/svg";
const HANDLERS = Symbol("handlers");

/**
 * Make an HTML element.
 * @param {string} tag
 * @param {Object<string, any>} [props] attributes; `on...` are handlers, `key` identifies it
 *   among its siblings, and false, null and undefined leave an attribute out
 * @param {...(Node|string|number|null|false|Array)} children
 * @returns {HTMLElement}
 */
export function h(tag, props = {}, ...children) {
  return filled(document.createElement(tag), props, children);
}

/**
 * Make an SVG element; as `h`.
 * @returns {SVGElement}
 */
export function s(tag, props = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), props, children);
}

function filled(element, props, children) {
  element[HANDLERS] = {};
  for (const [name, value] of Object.entries(props ?? {})) {
    if (name.startsWith("on")) {
      element[name] = value;
      element[HANDLERS][name] = value;
    } else if (name === "key") {
      element.dataset.key = value;
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value);
    }
  }
  for (const child of children.flat(3)) {
    if (child !== null && child !== undefined && child !== false) {
      element.append(child instanceof Node ? child : String(child));
    }
  }
  return element;
}

/**
 * Let an element have these children, changing as little as possible.
 * @param {Element} host
 * @param {...(Node|string|null|false|Array)} children
 */
export function show(host, ...children) {
  patchChildren(host, filled(document.createElement("div"), {}, children));
}

function patch(old, fresh) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  patchAttributes(old, fresh);
  for (const name of Object.keys(old[HANDLERS] ?? {})) {
    if (!(name in fresh[HANDLERS])) old[name] = null;
  }
  for (const [name, handler] of Object.entries(fresh[HANDLERS] ?? {})) old[name] = handler;
  old[HANDLERS] = fresh[HANDLERS] ?? {};
  if (!old.hasAttribute("data-own")) patchChildren(old, fresh);
}

function patchAttributes(old, fresh) {
  const changed = [];
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) {
      old.setAttribute(name, value);
      changed.push(name);
    }
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "style") {
      old.removeAttribute(name);
      changed.push(name);
    }
  }
  if (changed.includes("value")) old.value = fresh.getAttribute("value") ?? "";
  if (changed.includes("checked")) old.checked = fresh.hasAttribute("checked");
  if (changed.includes("selected")) old.selected = fresh.hasAttribute("selected");
}

function patchChildren(old, fresh) {
  const wanted = new Set([...fresh.children].map(keyOf));
  for (const child of [...old.children]) {
    if (keyOf(child) && !wanted.has(keyOf(child))) child.remove();
  }
  const keyed = new Map([...old.children].map((child) => [keyOf(child), child]));
  let at = old.firstChild;
  for (const next of [...fresh.childNodes]) {
    const match = keyOf(next) ? keyed.get(keyOf(next)) : at;
    if (match && isAlike(match, next)) {
      if (match === at) at = at.nextSibling;
      else old.insertBefore(match, at);
      patch(match, next);
    } else {
      old.insertBefore(next, at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function isAlike(one, other) {
  return one.nodeName === other.nodeName && keyOf(one) === keyOf(other);
}

function keyOf(node) {
  return node.dataset?.key;
}

/**
 * A button.
 * @param {string} label
 * @param {() => void} action
 * @param {Object<string, any>} [props]
 */
export function button(label, action, props = {}) {
  return h("button", { type: "button", onclick: action, ...props }, label);
}

/** A key as it is printed on a keyboard. */
export function key(name) {
  return h("kbd", {}, name);
}
