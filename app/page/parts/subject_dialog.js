/** One subject: faces, metadata and history, and what can be done with it. */

import { call, gallery_path, Problem, segment, send, subject_path } from "./api.js";
import { ask, button, el, moment, save, table, theirs } from "./dom.js";
import { problem_box } from "./problems.js";
import { percent } from "./words.js";

/** @typedef {import("./api.js").Schemas} Schemas */
/** @typedef {Schemas["SubjectOut"]} Subject */

/**
 * @param {string} gallery
 * @param {Subject} subject
 * @param {(words: import("./words.js").Key, values: import("./words.js").Values) => unknown} changed Called after each change.
 */
export function open_subject(gallery, subject, changed) {
  const id = subject.subject_id;
  const path = subject_path(gallery, id);
  const faces = el("div", { "aria-busy": "true" });
  const history = el("div", {});
  const failed = el("div", {});
  const close = () => {
    dialog.close();
    dialog.remove();
  };
  /**
   * Do something, tell what failed, close after success.
   * @param {() => Promise<unknown>} work
   * @param {import("./words.js").Key} done
   * @param {string} [now]
   */
  const attempt = async (work, done, now = id) => {
    try {
      await work();
      close();
      changed(done, { subject: now });
    } catch (error) {
      failed.replaceChildren(problem_box(error));
    }
  };

  async function rename() {
    const to = await ask({
      title: "subject.rename",
      text: "rename.explained",
      values: { subject: id },
      confirm: "subject.rename",
      ask: "rename.label",
      initial: id,
    });
    if (to && to !== id) await attempt(() => call("PATCH", path, { json: { id: to } }), "subject.renamed", to);
  }
  async function merge() {
    const from = await ask({
      title: "subject.merge",
      text: "merge.explained",
      values: { subject: id },
      confirm: "subject.merge",
      ask: "merge.label",
    });
    if (from) await attempt(() => call("POST", `${path}/merge`, { json: { from } }), "subject.merged");
  }
  async function erase() {
    const sure = await ask({
      title: "subject.erase",
      text: "erase.explained",
      values: { subject: id, faces: subject.faces },
      confirm: "subject.erase",
      danger: true,
    });
    if (sure !== null) await attempt(() => call("DELETE", path), "subject.erased");
  }
  async function export_all() {
    try {
      save(`${id.replace(/[^\p{L}\p{N}._-]+/gu, "_")}.json`, await (await send("GET", `${path}/export`)).blob());
    } catch (error) {
      failed.replaceChildren(problem_box(error));
    }
  }
  /** @param {string} face */
  async function erase_face(face) {
    const sure = await ask({
      title: "face.erase",
      text: "face.erase_explained",
      values: { subject: id },
      confirm: "face.erase",
      danger: true,
    });
    if (sure !== null) await attempt(() => call("DELETE", `${path}/faces/${segment(face)}`), "face.erased");
  }

  async function load_faces() {
    try {
      /** @type {Schemas["EnrolledFaces"]} */
      const listed = await call("GET", `${path}/faces`);
      const rows = listed.faces.map((face) => [
        moment(face.enrolled_at),
        face.quality ? percent(face.quality.overall) : "–",
        button("face.erase", () => erase_face(face.face_id), { class: "small secondary outline" }),
      ]);
      faces.replaceChildren(
        rows.length
          ? table(["enrolled_at", "quality", "actions"], rows, "faces")
          : el("p", { text: "subject.no_faces" }),
      );
    } catch (error) {
      faces.replaceChildren(problem_box(error));
    } finally {
      faces.removeAttribute("aria-busy");
    }
  }

  async function load_history() {
    if (history.childElementCount) return;
    try {
      /** @type {Schemas["SubjectExport"]} */
      const file = await call("GET", `${path}/export`);
      const rows = file.events.map((event) => [
        moment(String(event["at"])),
        String(event["action"]),
        theirs(String(event["by"])),
      ]);
      history.replaceChildren(table(["time", "action", "actor"], rows, "subject.history"));
    } catch (error) {
      history.replaceChildren(problem_box(error));
    }
  }

  const facts = el(
    "dl",
    { class: "facts" },
    el("dt", { text: "created_at" }),
    el("dd", {}, moment(subject.created_at)),
    el("dt", { text: "consent" }),
    el("dd", {}, subject.consent ? theirs(subject.consent) : "–"),
    el("dt", { text: "expires_at" }),
    el("dd", {}, subject.expires_at ? moment(subject.expires_at) : "–"),
    el("dt", { text: "metadata" }),
    el("dd", {}, Object.keys(subject.metadata).length ? el("pre", {}, JSON.stringify(subject.metadata, null, 1)) : "–"),
  );
  const past = el(
    "details",
    {},
    el("summary", { text: "subject.history" }),
    el("p", { class: "small-print", text: "subject.history_explained" }),
    history,
  );
  past.addEventListener("toggle", () => past.open && load_history());
  const body = el(
    "article",
    { class: "subject" },
    el("header", {}, button("close", close, { class: "close secondary outline small" }), el("h2", {}, theirs(id))),
    failed,
    facts,
    el("h3", { text: "faces" }),
    faces,
    past,
    el(
      "div",
      { class: "actions end" },
      button("subject.export", export_all, { class: "secondary outline" }),
      button("subject.rename", rename, { class: "secondary outline" }),
      button("subject.merge", merge, { class: "secondary outline" }),
      button("subject.erase", erase, { class: "danger" }),
    ),
  );
  const dialog = el("dialog", { label: "subject" }, body);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  load_faces();
}

/**
 * Erase a gallery after a question; answers whether it was erased.
 * @param {string} gallery
 * @returns {Promise<boolean>}
 */
export async function erase_gallery(gallery) {
  const sure = await ask({
    title: "gallery.erase",
    text: "gallery.erase_explained",
    values: { gallery },
    confirm: "gallery.erase",
    danger: true,
  });
  if (sure === null) return false;
  await call("DELETE", gallery_path(gallery)).catch((error) => {
    if (!(error instanceof Problem && error.code === "not_found")) throw error;
  });
  return true;
}
