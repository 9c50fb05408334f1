/** The slider of the false match rate, from the coarsest to the finest that the calibration supports. */

import { steps } from "./calibration.js";
import { el } from "./dom.js";
import { one_in, percent, say } from "./words.js";

/** @typedef {import("./calibration.js").Calibration} Calibration */

let sliders = 0;

/** @param {Calibration} calibration @param {number} initial @param {(fmr: number) => unknown} choose */
export function rate_slider(calibration, initial, choose) {
  const rates = [...new Set([...steps(calibration), initial])].sort((one, other) => other - one);
  const id = `rate-${++sliders}`;
  const chosen = el("output", { for: id });
  const input = el("input", { type: "range", min: 0, max: rates.length - 1, step: 1, id });
  input.value = String(rates.indexOf(initial));
  const show = () => {
    const fmr = Number(rates[Number(input.value)]);
    say(chosen, "slider.value", { strangers: one_in(fmr), percent: percent(fmr) });
    input.setAttribute("aria-valuetext", chosen.textContent ?? "");
    return fmr;
  };
  input.addEventListener("input", () => choose(show()));
  show();
  return el(
    "div",
    { class: "slider" },
    el("label", { for: id, text: "slider.title" }),
    chosen,
    input,
    el(
      "div",
      { class: "ends small-print", "aria-hidden": "true" },
      el("span", { text: "slider.loose" }),
      el("span", { text: "slider.strict" }),
    ),
  );
}
