/** The texts of the page in the chosen language. An element that `say` has filled follows a change of the language. */

import { en } from "../texts/en.js";
import { zh } from "../texts/zh.js";

/** @typedef {keyof typeof en} Key */
/** @typedef {Record<string, string | number>} Values */
/** @typedef {string | ((values: any) => string)} Text */
/** @typedef {Record<Key, Text>} Texts */

/** @type {Record<string, { name: string, texts: Texts }>} */
export const LANGUAGES = { en: { name: "English", texts: en }, zh: { name: "中文", texts: zh } };

/** @type {WeakMap<Element, Values>} */
const values_of = new WeakMap();
const changed = new EventTarget();
let chosen = preferred();

function preferred() {
  const known = navigator.languages.map((tag) => tag.slice(0, 2)).find((code) => code in LANGUAGES);
  return known ?? "en";
}

export function language() {
  return chosen;
}

/** @param {string} code */
export function choose_language(code) {
  chosen = code;
  document.documentElement.lang = code === "zh" ? "zh-Hans" : code;
  for (const element of document.querySelectorAll("[data-text], [data-label], [data-hint]")) fill(element);
  changed.dispatchEvent(new Event("change"));
}

/**
 * Call `draw` now and whenever the language changes: for canvases and the title.
 * @param {() => void} draw
 * @param {AbortSignal} [signal]
 */
export function in_every_language(draw, signal) {
  changed.addEventListener("change", draw, signal && { signal });
  draw();
}

/**
 * Return the text of a key, with its values filled in.
 * @param {Key} key
 * @param {Values} [values]
 */
export function t(key, values = {}) {
  const text = /** @type {Texts} */ (LANGUAGES[chosen]?.texts ?? en)[key];
  if (typeof text === "function") return text(values);
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/** @param {string} key @returns {key is Key} */
export function is_key(key) {
  return Object.hasOwn(en, key);
}

/**
 * Fill the element with a text; `part` says whether it is the content, the accessible name or the placeholder.
 * @template {Element} E
 * @param {E} element
 * @param {Key} key
 * @param {Values} [values]
 * @param {"text" | "label" | "hint"} [part]
 * @returns {E}
 */
export function say(element, key, values = {}, part = "text") {
  element.setAttribute(`data-${part}`, key);
  values_of.set(element, { ...values_of.get(element), ...values });
  fill(element);
  return element;
}

/** @param {Element} element */
function fill(element) {
  const values = values_of.get(element);
  const [text, label, hint] = ["data-text", "data-label", "data-hint"].map((name) => element.getAttribute(name));
  if (text) element.textContent = t(/** @type {Key} */ (text), values);
  if (label) element.setAttribute("aria-label", t(/** @type {Key} */ (label), values));
  if (hint) element.setAttribute("placeholder", t(/** @type {Key} */ (hint), values));
}

/** Write a rate as people read it: 3.3 %, 0.01 %, 1.4e-6 as 0.00014 %. @param {number} rate */
export function percent(rate) {
  const digits = { style: "percent", maximumSignificantDigits: rate > 0.99 ? 4 : 2 };
  return new Intl.NumberFormat(chosen, /** @type {Intl.NumberFormatOptions} */ (digits)).format(rate);
}

/** Write a probability; never 0 or 1, which nobody can know. @param {number} probability */
export function probability_words(probability) {
  if (probability > 0.9999) return `> ${percent(0.9999)}`;
  return probability < 0.0001 ? `< ${percent(0.0001)}` : percent(probability);
}

/** Write one in so many. @param {number} rate */
export function one_in(rate) {
  const digits = { maximumSignificantDigits: 2 };
  return new Intl.NumberFormat(chosen, digits).format(1 / rate);
}

/** @param {number} value @param {number} [digits] */
export function number(value, digits = 2) {
  return new Intl.NumberFormat(chosen, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

/** @param {number} value */
export function count(value) {
  return new Intl.NumberFormat(chosen).format(value);
}

/** @param {string} time An RFC 3339 time. */
export function date(time) {
  return new Intl.DateTimeFormat(chosen, { dateStyle: "medium", timeStyle: "short" }).format(new Date(time));
}
