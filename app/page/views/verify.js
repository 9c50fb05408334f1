/** Are two photos of one person? */

import { call, embedder_calibration, form_of, key_changed, liveness_field } from "../parts/api.js";
import { button, el } from "../parts/dom.js";
import { draw_photo } from "../parts/drawing.js";
import { face_card } from "../parts/faces.js";
import { detect, open_photo } from "../parts/photo.js";
import { accept_pastes, photo_input } from "../parts/photo_input.js";
import { problem_box } from "../parts/problems.js";
import { verdict_panel } from "../parts/verdict.js";
import { say } from "../parts/words.js";

/** @typedef {import("../parts/api.js").Schemas["Verification"]} Verification */
/** @typedef {import("../parts/photo.js").Face} Face */
/** @typedef {import("../parts/photo.js").Photo} Photo */
/** @typedef {import("../parts/photo.js").Detection} Detection */

const EXAMPLES = ["collins.jpg", "collins-again.jpg"];

export function verify_view() {
  const result = el("div", { class: "result", "aria-live": "polite" });
  const slots = [slot("verify.first", () => compare()), slot("verify.second", () => compare())];
  const examples = button("verify.examples", () => show_examples(), { class: "small secondary outline" });
  const section = el(
    "section",
    { id: "verify" },
    el(
      "header",
      { class: "lead" },
      el("h1", { tabindex: "-1", text: "verify.title" }),
      el("p", { text: "verify.lead" }),
      examples,
    ),
    el("div", { class: "pair" }, ...slots.map((each) => each.element)),
    result,
  );
  accept_pastes(section, (file) => (slots.find((each) => !each.photo) ?? slots[1])?.take(file, file.name));

  async function show_examples() {
    await Promise.all(
      EXAMPLES.map(async (name, index) => {
        const response = await fetch(`page/examples/${name}`);
        await slots[index]?.take(await response.blob(), name);
      }),
    );
  }

  let latest = 0;
  async function compare() {
    const [first, second] = slots.map((each) => each.photo);
    if (!first || !second) return;
    const mine = ++latest;
    result.setAttribute("aria-busy", "true");
    try {
      const form = form_of({ image1: first.blob, image2: second.blob, ...(await liveness_field()) });
      /** @type {Verification} */
      const answer = await call("POST", "verify", { form });
      const calibration = await embedder_calibration();
      if (mine !== latest) return;
      slots.forEach((each, index) => each.choose(answer.faces[index]));
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
      compared = undefined;
      details.replaceChildren();
      if (photo.bitmap) draw_photo(input.canvas, photo, photo.bitmap, []);
      input.show(true);
      say(input.canvas, "photo.shown", { name }, "label");
      await Promise.all([find(photo), changed()]);
    },
    async again() {
      if (made.photo && !detection) await find(made.photo);
    },
    /** Mark the face that was compared. @param {Face | undefined} face */
    choose(face) {
      compared = face;
      if (made.photo && detection) show(made.photo, detection);
    },
  };
  /** @type {Face | undefined} */
  let compared;

  /** @param {Photo} photo */
  async function find(photo) {
    details.setAttribute("aria-busy", "true");
    try {
      const found = await detect(photo);
      if (photo !== made.photo) return;
      detection = found;
      show(photo, found);
    } catch (error) {
      if (photo === made.photo) details.replaceChildren(problem_box(error, () => find(photo)));
    } finally {
      details.removeAttribute("aria-busy");
    }
  }

  /** @param {Photo} photo @param {Detection} found */
  function show(photo, found) {
    const face = found.faces.find((each) => each.box[0] === compared?.box[0]) ?? found.faces[0];
    draw_photo(
      input.canvas,
      photo,
      found.image,
      found.faces.map((each) => ({ face: each, muted: each !== face })),
    );
    details.replaceChildren(
      face
        ? face_card(photo, { ...face, liveness: compared?.liveness }, found.faces_found)
        : el("p", { class: "small-print", text: "face.none" }),
    );
  }
  return made;
}
