/** False matches by cohort, the worst first. */

import { cohorts_at } from "./calibration.js";
import { el, table } from "./dom.js";
import { percent } from "./words.js";

/** @typedef {import("./calibration.js").Calibration} Calibration */

const SHOWN_COHORTS = 12;
const FLOOR = 1e-6;

/** @param {Calibration} calibration @param {number} threshold */
export function cohort_rows(calibration, threshold) {
  const { rows } = cohorts_at(calibration, threshold);
  if (!rows.length) return [el("p", { text: "system.no_cohorts" })];
  const lines = rows.map((each) => [
    cohort_name(each.name),
    String(each.people),
    rate_bar(each.fmr),
    each.fmr ? percent(each.fmr) : "0 %",
  ]);
  const headings = /** @type {import("../parts/dom.js").Key[]} */ (["cohort", "people", "fmr", "fmr"]);
  const all = table(headings, lines.slice(SHOWN_COHORTS), "system.cohorts");
  return [
    table(headings, lines.slice(0, SHOWN_COHORTS), "system.cohorts"),
    ...(lines.length > SHOWN_COHORTS
      ? [
          el(
            "details",
            {},
            el("summary", { text: "system.more_cohorts", values: { count: lines.length - SHOWN_COHORTS } }),
            all,
          ),
        ]
      : []),
  ];
}

/** @param {string} name Such as `cohorts_aaf/female_child`: the data set, then the cohort. */
function cohort_name(name) {
  const [cohort, set] = name
    .split("/")
    .reverse()
    .map((part) => part.replace(/^cohorts_/, "").replaceAll("_", " "));
  return el("span", {}, `${cohort} `, set && el("span", { class: "small-print" }, set));
}

/** Return a bar on a logarithmic axis from 1e-6 to 1. @param {number} rate */
function rate_bar(rate) {
  const bar = el("span", { class: "bar wide", "aria-hidden": "true" }, el("span"));
  const share = rate > FLOOR ? 1 - Math.log10(rate) / Math.log10(FLOOR) : 0;
  /** @type {HTMLElement} */ (bar.firstElementChild).style.width = `${100 * share}%`;
  return bar;
}
