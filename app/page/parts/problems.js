/** An error as a sentence, with what to do about it. */

import { Problem } from "./api.js";
import { button, el, icon } from "./dom.js";
import { is_key } from "./words.js";
import { open_key_dialog } from "./key_dialog.js";

/** @typedef {import("./words.js").Key} Key */

/** Codes whose sentence says all that the service's detail does. */
const COMPLETE = new Set(["unreachable", "face_not_found", "unauthorized", "overloaded"]);
const NEEDS_KEY = new Set(["unauthorized", "forbidden"]);

/**
 * Return a box that says what failed. It is announced by screen readers.
 * @param {unknown} error
 * @param {() => unknown} [retry]
 */
export function problem_box(error, retry) {
  const problem = error instanceof Problem ? error : new Problem({ code: "page_failed", detail: String(error) });
  if (!(error instanceof Problem)) console.error(error);
  const actions = el("div", { class: "actions" });
  if (NEEDS_KEY.has(problem.code)) actions.append(button("key.enter", open_key_dialog, { class: "small" }));
  else if (retry) actions.append(button("retry", retry, { class: "small secondary" }));
  return el("div", { class: "problem", role: "alert" }, icon("warning"), el("div", {}, ...sentences(problem), actions));
}

/** Return the same in one line, for a list. @param {Problem} problem */
export function problem_line(problem) {
  return el("span", { class: "problem-line" }, icon("warning"), el("span", {}, ...sentences(problem)));
}

/** @param {Problem} problem */
function sentences(problem) {
  const { code, document } = problem;
  const title = keyed("problem", code);
  const advice = keyed("advice", code);
  return [
    title ? el("strong", { text: title }) : el("strong", {}, document.title ?? code),
    problem.message &&
      !COMPLETE.has(code) &&
      el("span", { class: "detail", lang: "en" }, ` ${sentence(problem.message)}`),
    advice && el("span", { class: "advice", text: advice, values: { seconds: problem.retry_after || 1 } }),
  ];
}

/** @param {string} kind @param {string} code @returns {Key | null} */
function keyed(kind, code) {
  const key = `${kind}.${code}`;
  return is_key(key) ? key : null;
}

/** @param {string} words */
function sentence(words) {
  const start = words.charAt(0).toUpperCase() + words.slice(1);
  return /[.!?]$/.test(start) ? start : `${start}.`;
}
