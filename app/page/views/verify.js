/** Are two photos of one person? */

import { call, embedder_calibration, form_of, key_changed } from "../parts/api.js";
import { COARSEST, point_at, steps } from "../parts/calibration.js";
import { distribution_chart, keep_chart } from "../parts/charts.js";
import { button, el, icon } from "../parts/dom.js";
import { color, draw_photo } from "../parts/drawing.js";
import { face_card } from "../parts/faces.js";
import { detect, open_photo } from "../parts/photo.js";
import { accept_pastes, photo_input } from "../parts/photo_input.js";
import { problem_box } from "../parts/problems.js";
import { snippets } from "../parts/snippets.js";
import { number, one_in, percent, probability_words, say, t } from "../parts/words.js";

/** @typedef {import("../parts/api.js").Schemas["Verification"]} Verification */
/** @typedef {import("../parts/calibration.js").Calibration} Calibration */
/** @typedef {import("../parts/calibration.js").Point} Point */
/** @typedef {import("../parts/photo.js").Photo} Photo */
/** @typedef {import("../parts/photo.js").Detection} Detection */

const EXAMPLES = ["collins.jpg", "collins-again.jpg"];

export function verify_view() {
  const result = el("div", { class: "result", "aria-live": "polite" });
  const slots = [slot("verify.first", () => compare()), slot("verify.second", () => compare())];
  const examples = button("verify.examples", () => show_examples(), { class: "small secondary outline" });
  const section = el("section", { id: "verify" },
    el("header", { class: "lead" }, el("h1", { tabindex: "-1", text: "verify.title" }), el("p", { text: "verify.lead" }), examples),
    el("div", { class: "pair" }, ...slots.map((each) => each.element)),
    result);
  accept_pastes(section, (file) => (slots.find((each) => !each.photo) ?? slots[1])?.take(file, file.name));

  async function show_examples() {
    await Promise.all(EXAMPLES.map(async (name, index) => {
      const response = await fetch(`page/examples/${name}`);
      await slots[index]?.take(await response.blob(), name);
    }));
  }

  let latest = 0;
  async function compare() {
    const [first, second] = slots.map((each) => each.photo);
    if (!first || !second) return;
    const mine = ++latest;
    result.setAttribute("aria-busy", "true");
    try {
      const form = form_of({ image1: first.blob, image2: second.blob });
      /** @type {Verification} */
      const answer = await call("POST", "verify", { form });
      const calibration = await embedder_calibration();
      if (mine !== latest) return;
      slots.forEach((each, index) => each.choose(Number(answer.faces[index]?.box[0])));
      result.replaceChildren(verdict_panel(answer, calibration, [first.name, second.name]));
    } catch (error) {
      if (mine === latest) result.replaceChildren(problem_box(error, compare));
    } finally {
      if (mine === latest) result.removeAttribute("aria-busy");
    }
  }

  key_changed.addEventListener("change", () => {
    for (const each of slots) each.again();
    compare();
  });
  return { section };
}

/**
 * One of both photos, with the faces that were found in it.
 * @param {"verify.first" | "verify.second"} label
 * @param {() => unknown} changed
 */
function slot(label, changed) {
  const details = el("div", { class: "details" });
  const input = photo_input({ label, take: (blob, name) => made.take(blob, name) });
  input.element.append(details);
  /** @type {Detection | null} */
  let detection = null;
  const made = {
    element: input.element,
    photo: /** @type {Photo | null} */ (null),
    /** @param {Blob} blob @param {string} name */
    async take(blob, name) {
      const photo = (made.photo = await open_photo(blob, name));
      detection = null;
      details.replaceChildren();
      if (photo.bitmap) draw_photo(input.canvas, photo, photo.bitmap, []);
      input.show(true);
      say(input.canvas, "photo.shown", { name }, "label");
      await Promise.all([find(photo), changed()]);
    },
    async again() {
      if (made.photo && !detection) await find(made.photo);
    },
    /** Mark the face that was compared. @param {number} left The left side of its box. */
    choose(left) {
      if (made.photo && detection) show(made.photo, detection, left);
      else chosen = left;
    },
  };
  /** @type {number | null} */
  let chosen = null;

  /** @param {Photo} photo */
  async function find(photo) {
    details.setAttribute("aria-busy", "true");
    try {
      const found = await detect(photo);
      if (photo !== made.photo) return;
      detection = found;
      show(photo, found, chosen);
    } catch (error) {
      if (photo === made.photo) details.replaceChildren(problem_box(error, () => find(photo)));
    } finally {
      details.removeAttribute("aria-busy");
      chosen = null;
    }
  }

  /** @param {Photo} photo @param {Detection} found @param {number | null} left */
  function show(photo, found, left) {
    const face = found.faces.find((each) => each.box[0] === left) ?? found.faces[0];
    draw_photo(input.canvas, photo, found.image, found.faces.map((each) => ({ face: each, muted: each !== face })));
    details.replaceChildren(
      face ? face_card(photo, face, found.faces_found) : el("p", { class: "small-print", text: "face.none" }));
  }
  return made;
}

/** @param {Verification} answer @param {Calibration | null} calibration @param {string[]} names */
function verdict_panel(answer, calibration, names) {
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
      el("span", { text: match ? "verify.within" : "verify.beyond", values: numbers }), " ",
      calibration ? el("span", { text: "verify.rates", values: rates }) : el("span", { text: "verify.uncalibrated" }));
    say(chart, "chart.described", { ...numbers }, "label");
    draw?.();
    code.update({
      path: "verify",
      files: { image1: names[0] ?? "a.jpg", image2: names[1] ?? "b.jpg" },
      fields: asked ? { fmr: Number(point.fmr.toPrecision(12)) } : {},
    });
  }
  const start = { threshold: Number(threshold.base), fmr: threshold.fmr ?? COARSEST, fnmr: threshold.fnmr ?? 0 };
  const slider = calibration && threshold.fmr !== null && rate_slider(calibration, threshold.fmr, (fmr) => show(point_at(calibration, fmr), true));
  show(start, false);
  const figures = el("dl", { class: "figures" },
    ...figure("verify.distance", number(distance, 3)),
    ...figure("verify.similarity", number(answer.similarity, 3)),
    ...(answer.probability === null ? [] : figure("verify.probability", probability_words(answer.probability))),
    ...figure("verify.base", number(Number(threshold.base), 3)));
  const left = el("div", { class: "verdict-side" }, verdict, sentences, slider, figures);
  const legend = calibration && el("p", { class: "legend small-print" },
    el("span", { class: "key genuine", text: "chart.genuine" }), el("span", { class: "key impostor", text: "chart.impostor" }));
  const right = calibration && el("div", { class: "chart-side" }, el("h2", { text: "chart.title" }), legend, chart,
    el("p", { class: "small-print", text: "chart.explained", values: { data: calibration.data.name } }));
  return el("article", { class: "verdict-panel" }, left, right, code.element);
}

/** @param {import("../parts/dom.js").Key} name @param {string} value */
function figure(name, value) {
  return [el("dt", { text: name }), el("dd", {}, value)];
}

/** @param {Calibration} calibration @param {number} initial @param {(fmr: number) => unknown} choose */
export function rate_slider(calibration, initial, choose) {
  const rates = [...new Set([...steps(calibration), initial])].sort((one, other) => other - one);
  const chosen = el("output", { for: "rate" });
  const input = el("input", { type: "range", min: 0, max: rates.length - 1, step: 1, id: "rate" });
  input.value = String(rates.indexOf(initial));
  const show = () => {
    const fmr = Number(rates[Number(input.value)]);
    say(chosen, "slider.value", { strangers: one_in(fmr), percent: percent(fmr) });
    input.setAttribute("aria-valuetext", chosen.textContent ?? "");
    return fmr;
  };
  input.addEventListener("input", () => choose(show()));
  show();
  return el("div", { class: "slider" },
    el("label", { for: "rate", text: "slider.title" }), chosen, input,
    el("div", { class: "ends small-print", "aria-hidden": "true" }, el("span", { text: "slider.loose" }), el("span", { text: "slider.strict" })));
}
