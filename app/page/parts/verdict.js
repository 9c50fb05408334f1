/** What two faces are, and how often that is wrong: the verdict, the slider, the gauge and the commands. */

import { COARSEST, point_at } from "./calibration.js";
import { distribution_chart, keep_chart } from "./charts.js";
import { el, icon } from "./dom.js";
import { color } from "./drawing.js";
import { rate_slider } from "./rate_slider.js";
import { snippets } from "./snippets.js";
import { number, one_in, percent, probability_words, say, t } from "./words.js";

/** @typedef {import("./api.js").Schemas["Verification"]} Verification */
/** @typedef {import("./calibration.js").Calibration} Calibration */
/** @typedef {import("./calibration.js").Point} Point */

/** @param {Verification} answer @param {Calibration | null} calibration @param {string[]} names */
export function verdict_panel(answer, calibration, names) {
  const { distance, threshold } = answer;
  const shift = Number(threshold.base) - threshold.distance;
  const verdict = el("p", { class: "verdict" });
  const sentences = el("p", { class: "meaning" });
  const code = snippets('print(answer["match"], answer["distance"], answer["threshold"])');
  const chart = el("div", { class: "chart", role: "img" });
  let limit = threshold.distance;
  const lines = () => [
    { at: limit, text: t("chart.threshold"), style: color("--axis"), dash: [6, 4], high: true },
    { at: distance, text: t("chart.pair"), style: color("--accent") },
  ];
  const draw = calibration && keep_chart(chart, () => distribution_chart(calibration, { shift, lines: lines() }));

  /** @param {Point} point The rates, and the threshold for a pair of average faces. @param {boolean} asked */
  function show(point, asked) {
    limit = point.threshold - shift;
    const match = distance <= limit;
    const words = say(el("span"), match ? "verify.same" : "verify.different");
    verdict.replaceChildren(icon(match ? "check" : "cross"), words);
    verdict.dataset["match"] = String(match);
    const numbers = { distance: number(distance), threshold: number(limit) };
    const rates = { strangers: one_in(point.fmr), missed: percent(point.fnmr), data: calibration?.data.name ?? "" };
    sentences.replaceChildren(
      el("span", { text: match ? "verify.within" : "verify.beyond", values: numbers }),
      " ",
      calibration ? el("span", { text: "verify.rates", values: rates }) : el("span", { text: "verify.uncalibrated" }),
    );
    say(chart, "chart.described", { ...numbers }, "label");
    draw?.();
    code.update({
      path: "verify",
      files: { image1: names[0] ?? "a.jpg", image2: names[1] ?? "b.jpg" },
      fields: asked ? { fmr: Number(point.fmr.toPrecision(12)) } : {},
    });
  }
  const start = { threshold: Number(threshold.base), fmr: threshold.fmr ?? COARSEST, fnmr: threshold.fnmr ?? 0 };
  const slider =
    calibration &&
    threshold.fmr !== null &&
    rate_slider(calibration, threshold.fmr, (fmr) => show(point_at(calibration, fmr), true));
  show(start, false);
  const figures = el(
    "dl",
    { class: "figures" },
    ...figure("verify.distance", number(distance, 3)),
    ...figure("verify.similarity", number(answer.similarity, 3)),
    ...(answer.probability === null ? [] : figure("verify.probability", probability_words(answer.probability))),
    ...figure("verify.base", number(Number(threshold.base), 3)),
  );
  const left = el("div", { class: "verdict-side" }, verdict, sentences, slider, figures);
  const legend =
    calibration &&
    el(
      "p",
      { class: "legend small-print" },
      el("span", { class: "key genuine", text: "chart.genuine" }),
      el("span", { class: "key impostor", text: "chart.impostor" }),
    );
  const right =
    calibration &&
    el(
      "div",
      { class: "chart-side" },
      el("h2", { text: "chart.title" }),
      legend,
      chart,
      el("p", { class: "small-print", text: "chart.explained", values: { data: calibration.data.name } }),
    );
  return el("article", { class: "verdict-panel" }, left, right, code.element);
}

/** @param {import("../parts/dom.js").Key} name @param {string} value */
function figure(name, value) {
  return [el("dt", { text: name }), el("dd", {}, value)];
}
