/**
 * Elements without HTML: everything from the service or from files becomes a text node, so that a hostile id or metadata
 * is shown and never interpreted.
 */

import { date, say } from "./words.js";

/** @typedef {import("./words.js").Key} Key */
/** @typedef {import("./words.js").Values} Values */
/** @typedef {Node | string | null | undefined | false} Child */
/**
 * @typedef {object} Options
 * @property {Key} [text] A key of the texts: the content.
 * @property {Key} [label] The accessible name.
 * @property {Key} [hint] The placeholder.
 * @property {Values} [values] What the texts name in braces.
 * @property {Record<string, (event: any) => unknown>} [on] Listeners.
 */

/**
 * Return a new element. Options that are not listed above are attributes: `true` sets an empty one, `false` none.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Options & Record<string, unknown>} [options]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function el(tag, options = {}, ...children) {
  const { text, label, hint, values, on, ...attributes } = options;
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value !== undefined) element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const [name, listener] of Object.entries(on ?? {})) element.addEventListener(name, listener);
  if (text) say(element, text, values);
  if (label) say(element, label, values, "label");
  if (hint) say(element, hint, values, "hint");
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/**
 * Show an id or other words of a caller, whose direction of writing must not disturb the sentence.
 * @param {string} words
 */
export function theirs(words) {
  return el("bdi", { class: "theirs" }, words);
}

/** @param {string} time An RFC 3339 time. */
export function moment(time) {
  return el("time", { datetime: time }, date(time));
}

/** @param {Key} text @param {() => unknown} press @param {Record<string, unknown>} [options] */
export function button(text, press, options = {}) {
  return el("button", { type: "button", text, on: { click: press }, ...options });
}

const SVG = "http://www.w3.org/2000/svg";
const SHAPES = {
  photo: "M4 5h16v14H4zM8.5 11a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.4zM4 17l5-4.5 3.5 3L16 12l4 4",
  check: "M5 12.5l4.5 4.5L19 7.5",
  cross: "M6 6l12 12M18 6L6 18",
  warning: "M12 4l9 16H3zM12 10v5M12 17.5v.5",
  key: "M8 12a4 4 0 1 0 0 .1zM12 12h9M17 12v3.5M20.5 12v2.5",
  people:
    "M9 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM3 19c0-3.3 2.7-5.5 6-5.5s6 2.2 6 5.5M16 5.3a3 3 0 0 1 0 5.4M17 13.7c2.4.6 4 2.6 4 5.3",
  folder: "M3 6h6l2 2.5h10V19H3z",
};

/** A picture beside words, which say the same. @param {keyof typeof SHAPES} name */
export function icon(name) {
  const picture = document.createElementNS(SVG, "svg");
  for (const [attribute, value] of [
    ["viewBox", "0 0 24 24"],
    ["class", "icon"],
    ["aria-hidden", "true"],
  ]) {
    picture.setAttribute(/** @type {string} */ (attribute), /** @type {string} */ (value));
  }
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", SHAPES[name]);
  picture.append(path);
  return picture;
}

/** A table with a row of headings. @param {Key[]} headings @param {Child[][]} rows @param {Key} label */
export function table(headings, rows, label) {
  const head = el("tr", {}, ...headings.map((text) => el("th", { scope: "col", text })));
  const body = rows.map((cells) => el("tr", {}, ...cells.map((cell) => el("td", {}, cell))));
  const made = el("table", {}, el("thead", {}, head), el("tbody", {}, ...body));
  return el("div", { class: "overflow-auto", tabindex: "0", role: "group", label }, made);
}

/**
 * Ask before something that cannot be undone, or for a text. Answers null where it was cancelled.
 * @param {{ title: Key, text: Key, confirm: Key, values?: Values, ask?: Key, initial?: string, danger?: boolean }} question
 * @returns {Promise<string | null>}
 */
export function ask(question) {
  const { title, text, confirm, values, danger } = question;
  const input = question.ask
    ? el("input", { type: "text", required: true, maxlength: 128, autocomplete: "off" })
    : null;
  if (input) input.value = question.initial ?? "";
  return new Promise((resolve) => {
    /** @param {string | null} answer */
    const end = (answer) => {
      dialog.close();
      dialog.remove();
      resolve(answer);
    };
    /** @param {Event} event */
    const submit = (event) => {
      event.preventDefault();
      end(input?.value ?? "");
    };
    const form = el(
      "form",
      { on: { submit } },
      el("h2", { text: title, values }),
      el("p", { text, values }),
      input && el("label", {}, el("span", { text: question.ask }), input),
      el(
        "div",
        { class: "actions end" },
        button("cancel", () => end(null), { class: "secondary outline" }),
        el("button", { type: "submit", text: confirm, class: danger ? "danger" : "" }),
      ),
    );
    const dialog = el("dialog", { label: title, values }, el("article", {}, form));
    dialog.addEventListener("cancel", () => end(null));
    document.body.append(dialog);
    dialog.showModal();
    (input ?? /** @type {HTMLButtonElement | null} */ (form.querySelector(".secondary")))?.focus();
  });
}

/** Give the browser a file to save. @param {string} name @param {Blob} blob */
export function save(name, blob) {
  const url = URL.createObjectURL(blob);
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
