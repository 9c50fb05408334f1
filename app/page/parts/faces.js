/** A face beside its photo: the aligned crop, its quality, and by how much the photo was turned. */

import { draw_crop } from "./drawing.js";
import { el } from "./dom.js";
import { number, percent } from "./words.js";

/** @typedef {import("./photo.js").Photo} Photo */
/** @typedef {import("./photo.js").Face} Face */

const PARTS = /** @type {const} */ (["size", "sharpness", "frontality", "inside"]);

/** @param {Photo} photo @param {Face} face */
export function crop_of(photo, face) {
  const canvas = el("canvas", { class: "crop", role: "img", label: "face.crop" });
  draw_crop(canvas, photo, face);
  return canvas;
}

/** @param {Photo} photo @param {Face} face @param {number} faces_found */
export function face_card(photo, face, faces_found) {
  const bars = PARTS.map((part) => quality_bar(part, face.quality[part]));
  const turned = face.rotated ?? 0;
  const notes = el(
    "p",
    { class: "small-print" },
    el("span", { text: "face.confidence", values: { percent: percent(face.confidence) } }),
    liveness_of(face),
    faces_found > 1 && el("span", { text: "face.one_of", values: { count: faces_found } }),
    turned > 0 && el("span", { text: "face.rotated", values: { degrees: turned } }),
  );
  return el(
    "div",
    { class: "face-card" },
    crop_of(photo, face),
    el("div", {}, el("dl", { class: "quality" }, ...bars.flat()), notes),
  );
}

/** Return what the service thinks of a face as a living one, if it was asked. @param {Face} face */
export function liveness_of({ liveness }) {
  if (!liveness) return null;
  const text = liveness.live ? "face.live" : "face.not_live";
  return el("span", { class: liveness.live ? "" : "doubt", text, values: { score: number(liveness.score) } });
}

/** @param {typeof PARTS[number]} part @param {number} value */
function quality_bar(part, value) {
  const bar = el("span", { class: `bar ${value < 0.25 ? "poor" : ""}`, "aria-hidden": "true" }, el("span"));
  /** @type {HTMLElement} */ (bar.firstElementChild).style.width = `${100 * value}%`;
  return [el("dt", { text: `quality.${part}` }), el("dd", {}, bar, percent(value))];
}
