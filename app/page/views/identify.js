/** Who of the enrolled people is in a photo? */

import { call, form_of, key_changed, liveness_field } from "../parts/api.js";
import { el, table, theirs } from "../parts/dom.js";
import { draw_photo } from "../parts/drawing.js";
import { crop_of, liveness_of } from "../parts/faces.js";
import { choose_gallery } from "../parts/gallery_choice.js";
import { open_photo } from "../parts/photo.js";
import { accept_pastes, photo_input } from "../parts/photo_input.js";
import { problem_box } from "../parts/problems.js";
import { snippets } from "../parts/snippets.js";
import { count, number, one_in, probability_words, say, t } from "../parts/words.js";

/** @typedef {import("../parts/api.js").Schemas["Identification"]} Identification */
/** @typedef {import("../parts/photo.js").Face & Identification["faces"][number]} IdentifiedFace */
/** @typedef {import("../parts/photo.js").Photo} Photo */

export function identify_view() {
  const result = el("div", { class: "result", "aria-live": "polite" });
  const galleries = choose_gallery(() => search());
  const input = photo_input({ label: "identify.photo", take });
  const section = el(
    "section",
    { id: "identify" },
    el(
      "header",
      { class: "lead" },
      el("h1", { tabindex: "-1", text: "identify.title" }),
      el("p", { text: "identify.lead" }),
    ),
    galleries.element,
    el("div", { class: "aside" }, input.element, result),
  );
  accept_pastes(section, (file) => take(file, file.name));
  key_changed.addEventListener("change", () => search());

  /** @type {Photo | null} */
  let photo = null;

  /** @param {Blob} blob @param {string} name */
  async function take(blob, name) {
    photo = await open_photo(blob, name);
    if (photo.bitmap) draw_photo(input.canvas, photo, photo.bitmap, []);
    input.show(true);
    say(input.canvas, "photo.shown", { name }, "label");
    await search();
  }

  let latest = 0;
  async function search() {
    if (!photo) return;
    const [mine, searched] = [++latest, photo];
    result.setAttribute("aria-busy", "true");
    try {
      const form = form_of({
        image: searched.blob,
        gallery: galleries.chosen(),
        faces: "all",
        ...(await liveness_field()),
      });
      /** @type {Identification} */
      const answer = await call("POST", "identify", { form });
      if (mine === latest) show(searched, answer);
    } catch (error) {
      if (mine === latest) result.replaceChildren(problem_box(error, search));
    } finally {
      if (mine === latest) result.removeAttribute("aria-busy");
    }
  }

  /** @param {Photo} searched @param {Identification} answer */
  function show(searched, answer) {
    const faces = /** @type {IdentifiedFace[]} */ (answer.faces);
    const marked = faces.map((face) => ({
      face,
      label: shortened(face.candidates[0]?.subject_id ?? t("identify.unknown")),
    }));
    draw_photo(input.canvas, searched, sizes(searched, faces), marked);
    const code = snippets(
      'for face in answer["faces"]:\n    print([each["subject_id"] for each in face["candidates"]])',
    );
    code.update({
      path: "identify",
      files: { image: searched.name },
      fields: { gallery: galleries.chosen(), faces: "all" },
    });
    result.replaceChildren(
      el("p", {
        text: "identify.found",
        values: { faces: answer.faces_found, people: count(answer.gallery.subjects) },
      }),
      (answer.threshold.fpir !== null &&
        el("p", {
          class: "small-print",
          text: "identify.rates",
          values: { strangers: one_in(Number(answer.threshold.fpir)) },
        })) ||
        "",
      el("ol", { class: "faces" }, ...faces.map((face) => face_row(searched, face))),
      code.element,
    );
  }
  return { section, shown: galleries.load };
}

/** @param {string} words */
function shortened(words) {
  return words.length > 24 ? `${words.slice(0, 23)}…` : words;
}

/**
 * Return the size that boxes refer to; without a bitmap it is what holds all boxes.
 * @param {Photo} photo
 * @param {IdentifiedFace[]} faces
 */
function sizes(photo, faces) {
  if (photo.bitmap) return photo.bitmap;
  const far = (/** @type {number} */ side) => Math.max(1, ...faces.map((face) => Number(face.box[side])));
  return { width: far(2), height: far(3) };
}

/** @param {Photo} photo @param {IdentifiedFace} face */
function face_row(photo, face) {
  const best = face.candidates[0];
  const name = best ? el("h2", {}, theirs(best.subject_id)) : el("h2", { class: "unknown", text: "identify.unknown" });
  const rows = face.candidates.map((each) => [
    theirs(each.subject_id),
    number(each.distance),
    number(each.threshold.distance),
    each.probability === null ? "–" : probability_words(each.probability),
    theirs(words_of(each.metadata)),
  ]);
  return el(
    "li",
    { class: "identified" },
    crop_of(photo, face),
    el(
      "div",
      {},
      name,
      face.liveness && el("p", { class: "small-print" }, liveness_of(face)),
      best
        ? table(["subject", "distance", "threshold", "probability", "metadata"], rows, "candidates")
        : el("p", { class: "small-print", text: "identify.stranger" }),
    ),
  );
}

/** Return metadata as words. @param {Record<string, unknown>} metadata */
export function words_of(metadata) {
  return Object.entries(metadata)
    .map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(", ");
}
