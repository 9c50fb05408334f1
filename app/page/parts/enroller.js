/** Enrol many photos: a request a photo, two at a time, with a result for each and a way to try it again. */

import { call, form_of, new_idempotency_key, patiently, Problem, subject_path } from "./api.js";
import { button, el, icon, theirs } from "./dom.js";
import { thumbnail } from "./photo.js";
import { accept_drops, file_input, folder_of } from "./photo_input.js";
import { problem_line } from "./problems.js";
import { say } from "./words.js";

/** @typedef {import("./api.js").Schemas["Enrollment"]} Enrollment */
/**
 * @typedef {object} Job
 * @property {File} file
 * @property {string} gallery
 * @property {string} subject
 * @property {string} consent
 * @property {string} key The Idempotency-Key: a photo that is sent again is not enrolled twice.
 * @property {HTMLElement} row
 * @property {HTMLElement} outcome
 * @property {"waiting" | "done" | "failed"} state
 */

const AT_ONCE = 2;

/**
 * @param {{ gallery: () => string, enrolled: () => unknown }} options `enrolled` is called when the queue is empty.
 */
export function enroller({ gallery, enrolled }) {
  const subject = el("input", {
    id: "enrol-subject",
    maxlength: 128,
    autocomplete: "off",
    spellcheck: "false",
    hint: "enrol.subject_hint",
  });
  const consent = el("input", {
    id: "enrol-consent",
    maxlength: 256,
    autocomplete: "off",
    hint: "enrol.consent_hint",
  });
  const progress = el("progress", { hidden: true, label: "enrol.progress" });
  const summary = el("p", { role: "status", class: "small-print" });
  const rows = el("ol", { class: "jobs" });
  const again = button("enrol.retry_all", () => retry(jobs.filter((job) => job.state === "failed")), {
    class: "small secondary",
    hidden: true,
  });
  const clear = button("enrol.clear", () => forget(), { class: "small secondary outline", hidden: true });
  const many = file_input({ multiple: true }, (files) => add(files));
  const folder = file_input({ webkitdirectory: true }, (files) => add(files));
  const zone = el(
    "div",
    { class: "zone", role: "group", label: "enrol.title" },
    icon("people"),
    el("p", { text: "enrol.invite" }),
    el(
      "div",
      { class: "actions" },
      button("enrol.choose", () => many.click(), { class: "small" }),
      button("choose_folder", () => folder.click(), { class: "small secondary outline" }),
    ),
    many,
    folder,
  );
  accept_drops(zone, (files) => add(files));
  const element = el(
    "article",
    { class: "enrol" },
    el("h2", { text: "enrol.title" }),
    el(
      "div",
      { class: "fields" },
      el("div", {}, el("label", { for: "enrol-subject", text: "enrol.subject" }), subject),
      el("div", {}, el("label", { for: "enrol-consent", text: "enrol.consent" }), consent),
    ),
    zone,
    progress,
    summary,
    el("div", { class: "actions" }, again, clear),
    rows,
  );

  /** @type {Job[]} */
  let jobs = [];
  let running = 0;

  /** @param {File[]} files */
  function add(files) {
    const added = files.map((file) => {
      const outcome = el("span", { class: "outcome", text: "enrol.waiting" });
      const name = subject.value.trim() || folder_of(file) || file.name.replace(/\.[^.]*$/, "");
      const small = el("canvas", { class: "thumb", "aria-hidden": "true" });
      const words = el("span", { class: "job-name" }, theirs(file.name), " → ", el("strong", {}, theirs(name)));
      const row = el("li", {}, small, words, outcome);
      /** @type {Job} */
      const job = {
        file,
        gallery: gallery(),
        subject: name,
        consent: consent.value.trim(),
        key: new_idempotency_key(),
        row,
        outcome,
        state: "waiting",
      };
      if (jobs.length < 200) show_thumbnail(small, file);
      return job;
    });
    jobs.push(...added);
    rows.append(...added.map((job) => job.row));
    work();
  }

  /** @param {Job[]} chosen */
  function retry(chosen) {
    for (const job of chosen) {
      job.state = "waiting";
      say(job.outcome, "enrol.waiting");
    }
    work();
  }

  function work() {
    while (running < AT_ONCE) {
      const job = jobs.find((each) => each.state === "waiting" && !each.row.hasAttribute("aria-busy"));
      if (!job) break;
      running += 1;
      job.row.setAttribute("aria-busy", "true");
      enrol(job).finally(() => {
        job.row.removeAttribute("aria-busy");
        running -= 1;
        work();
        if (!running) enrolled();
      });
    }
    show();
  }

  /** @param {Job} job */
  async function enrol(job) {
    job.outcome.removeAttribute("data-text");
    try {
      await patiently(() => send(job));
      job.state = "done";
      job.outcome.replaceChildren(icon("check"), el("span", { text: "enrol.done" }));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      job.state = "failed";
      job.outcome.replaceChildren(
        problem_line(error),
        button("retry", () => retry([job]), { class: "small secondary outline" }),
      );
    }
    job.row.dataset["state"] = job.state;
  }

  function show() {
    const [done, failed] = ["done", "failed"].map((state) => jobs.filter((job) => job.state === state).length);
    const ended = Number(done) + Number(failed);
    progress.hidden = !jobs.length || ended === jobs.length;
    progress.max = Math.max(1, jobs.length);
    progress.value = ended;
    if (jobs.length) say(summary, "enrol.summary", { done: Number(done), failed: Number(failed), all: jobs.length });
    again.hidden = !failed || running > 0;
    clear.hidden = !jobs.length || running > 0;
  }

  function forget() {
    jobs = [];
    rows.replaceChildren();
    summary.removeAttribute("data-text");
    summary.replaceChildren();
    show();
  }
  return { element };
}

/** @param {Job} job */
async function send(job) {
  const path = subject_path(job.gallery, job.subject);
  /** @type {Enrollment} */
  const answer = await call("POST", `${path}/faces`, {
    form: form_of({ image: job.file }),
    headers: { "Idempotency-Key": job.key },
  });
  if (job.consent) await call("PUT", path, { json: { consent: job.consent } });
  return answer;
}

/** @param {HTMLCanvasElement} canvas @param {File} file */
async function show_thumbnail(canvas, file) {
  const small = await thumbnail(file, 96);
  if (!small) return;
  canvas.width = small.width;
  canvas.height = small.height;
  canvas.getContext("2d")?.drawImage(small, 0, 0);
  small.close();
}
