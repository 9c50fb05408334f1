/** Who is on which photos? Faces are embedded by the service and grouped here, so that the slider regroups at once. */

import { call, embedder_calibration, patiently, Problem } from "../parts/api.js";
import { point_at } from "../parts/calibration.js";
import { cluster } from "../parts/clustering.js";
import { button, el, icon, theirs } from "../parts/dom.js";
import { draw_crop } from "../parts/drawing.js";
import { open_photo } from "../parts/photo.js";
import { accept_drops, file_input } from "../parts/photo_input.js";
import { problem_box, problem_line } from "../parts/problems.js";
import { rate_slider } from "../parts/rate_slider.js";
import { number, one_in, percent, say } from "../parts/words.js";

/** @typedef {import("../parts/api.js").Schemas} Schemas */
/** @typedef {Schemas["EmbeddedFace"]} EmbeddedFace */
/** @typedef {{ file: File, face: EmbeddedFace, crop: HTMLCanvasElement }} Found */
/** @typedef {{ file: File, problem: Problem }} Rejected */

const MOST = 500;
const AT_ONCE = 2;
/** Of one request: so that its answer comes within seconds, and its body is far below the limit. */
const PHOTOS = 8;
const BYTES = 24 * 2 ** 20;
const START = 1e-4;
const UNCALIBRATED = 1.1;

export function groups_view() {
  const many = file_input({ multiple: true }, (files) => take(files));
  const folder = file_input({ webkitdirectory: true }, (files) => take(files));
  const zone = el(
    "div",
    { class: "zone", role: "group", label: "groups.title" },
    icon("folder"),
    el("p", { text: "groups.invite", values: { most: MOST } }),
    el(
      "div",
      { class: "actions" },
      button("choose_folder", () => folder.click(), { class: "small" }),
      button("groups.choose", () => many.click(), { class: "small secondary outline" }),
    ),
    many,
    folder,
  );
  accept_drops(zone, (files) => take(files));
  const progress = el("progress", { hidden: true, label: "groups.progress" });
  const status = el("p", { role: "status", class: "small-print" });
  const result = el("div", {});
  const section = el(
    "section",
    { id: "groups" },
    el(
      "header",
      { class: "lead" },
      el("h1", { tabindex: "-1", text: "groups.title" }),
      el("p", { text: "groups.lead" }),
    ),
    zone,
    progress,
    status,
    result,
  );

  let latest = 0;
  /** @param {File[]} files */
  async function take(files) {
    if (!files.length) return;
    const [mine, photos] = [++latest, files.slice(0, MOST)];
    result.replaceChildren();
    progress.hidden = false;
    progress.max = photos.length;
    const advance = (/** @type {number} */ done) => {
      progress.value = done;
      say(status, "groups.sending", { done, all: photos.length });
    };
    try {
      const { found, rejected } = await embed_all(photos, advance, () => mine !== latest);
      const calibration = await embedder_calibration();
      if (mine !== latest) return;
      if (files.length > MOST) say(status, "groups.too_many", { most: MOST, all: files.length });
      else (status.removeAttribute("data-text"), status.replaceChildren());
      result.replaceChildren(...groups_panel(found, rejected, photos.length, calibration));
    } catch (error) {
      if (mine === latest) result.replaceChildren(problem_box(error, () => take(files)));
    } finally {
      if (mine === latest) progress.hidden = true;
    }
  }
  return { section };
}

/**
 * Embed every face of the photos, a few photos a request. Raises Problem where a whole request fails.
 * @param {File[]} files
 * @param {(done: number) => unknown} advance
 * @param {() => boolean} is_over
 */
async function embed_all(files, advance, is_over) {
  const waiting = batches(files);
  /** @type {Found[]} */
  const found = [];
  /** @type {Rejected[]} */
  const rejected = [];
  let done = 0;
  advance(0);
  const work = async () => {
    for (let batch = waiting.shift(); batch && !is_over(); batch = waiting.shift()) {
      const answer = await patiently(() => embed(/** @type {File[]} */ (batch)));
      for (const [index, file] of batch.entries()) {
        const each = answer.results[index];
        if (each?.error) rejected.push({ file, problem: new Problem(/** @type {any} */ (each.error)) });
        else if (!each?.faces.length) rejected.push({ file, problem: new Problem({ code: "face_not_found" }) });
        else found.push(...(await with_crops(file, each.faces)));
      }
      advance((done += batch.length));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { found, rejected };
}

/** @param {File[]} files */
function batches(files) {
  /** @type {File[][]} */
  const made = [];
  let bytes = Infinity;
  for (const file of files) {
    const last = made.at(-1);
    if (last && last.length < PHOTOS && bytes + file.size <= BYTES) last.push(file);
    else made.push([file]);
    bytes = made.at(-1) === last ? bytes + file.size : file.size;
  }
  return made;
}

/** @param {File[]} files @returns {Promise<Schemas["Embeddings"]>} */
function embed(files) {
  const form = new FormData();
  for (const file of files) form.append("image", file);
  form.append("faces", "all");
  return call("POST", "embed", { form });
}

/** @param {File} file @param {EmbeddedFace[]} faces @returns {Promise<Found[]>} */
async function with_crops(file, faces) {
  const photo = await open_photo(file, file.name);
  const made = faces.map((face) => ({
    file,
    face,
    crop: el("canvas", { role: "img", label: "groups.photo", values: { name: file.name } }),
  }));
  await Promise.all(made.map((each) => draw_crop(each.crop, photo, each.face)));
  photo.bitmap?.close();
  return made;
}

/**
 * @param {Found[]} found
 * @param {Rejected[]} rejected
 * @param {number} photos
 * @param {Schemas["Calibration"] | null} calibration
 */
function groups_panel(found, rejected, photos, calibration) {
  const summary = el("p", { class: "meaning", role: "status" });
  const rate = el("p", { class: "small-print" });
  const groups = el("div", {});
  const vectors = found.map((each) => each.face);
  const show = (/** @type {number} */ fmr) => {
    const point = calibration ? point_at(calibration, fmr) : { threshold: UNCALIBRATED, fnmr: 0 };
    const people = cluster(vectors, point.threshold);
    const repeated = people.filter((group) => group.length > 1);
    say(summary, "groups.result", {
      photos,
      faces: found.length,
      groups: repeated.length,
      alone: people.length - repeated.length,
      rejected: rejected.length,
    });
    if (calibration)
      say(rate, "groups.rates", {
        strangers: one_in(fmr),
        missed: percent(point.fnmr),
        threshold: number(point.threshold),
        data: calibration.data.name,
      });
    else say(rate, "verify.uncalibrated");
    const alone = people.filter((group) => group.length === 1).flat();
    groups.replaceChildren(
      ...repeated.map((group, index) =>
        group_of(
          el("h2", { text: "groups.person", values: { number: index + 1, photos: group.length } }),
          group,
          found,
        ),
      ),
      ...(alone.length ? [group_of(el("h2", { text: "groups.alone" }), alone, found)] : []),
    );
  };
  const slider = calibration && rate_slider(calibration, START, show);
  show(START);
  const failed = rejected.map(({ file, problem }) => el("li", {}, theirs(file.name), problem_line(problem)));
  return [
    summary,
    slider ?? "",
    rate,
    groups,
    failed.length
      ? el("article", {}, el("h2", { text: "groups.rejected" }), el("ul", { class: "rejected" }, ...failed))
      : "",
  ];
}

/** @param {HTMLElement} heading @param {number[]} group @param {Found[]} found */
function group_of(heading, group, found) {
  const items = group.map((index) => {
    const { crop, file } = /** @type {Found} */ (found[index]);
    return el("li", {}, crop, el("span", { title: file.name, "aria-hidden": "true" }, theirs(file.name)));
  });
  return el("article", { class: "group" }, heading, el("ul", { class: "photos" }, ...items));
}
