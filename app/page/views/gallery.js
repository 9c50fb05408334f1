/** Galleries and their subjects: enrol, find, rename, merge, export, erase. */

import { call, key_changed, Problem } from "../parts/api.js";
import { button, el, moment, table, theirs } from "../parts/dom.js";
import { enroller } from "../parts/enroller.js";
import { choose_gallery } from "../parts/gallery_choice.js";
import { problem_box } from "../parts/problems.js";
import { erase_gallery, open_subject } from "../parts/subject_dialog.js";
import { say } from "../parts/words.js";
import { words_of } from "./identify.js";

/** @typedef {import("../parts/api.js").Schemas["SubjectPage"]} SubjectPage */
/** @typedef {SubjectPage["subjects"][number]} Subject */

const PAGE = 25;
const READ_AT_ONCE = 1000;

export function gallery_view() {
  const galleries = choose_gallery(() => first_page());
  const list = el("div", { class: "subjects" });
  const told = el("p", { role: "status", class: "told" });
  const search = el("input", {
    type: "search",
    id: "search",
    hint: "gallery.search_hint",
    autocomplete: "off",
    spellcheck: "false",
  });
  const back = button("back", () => previous(), { class: "small secondary outline" });
  const forth = button("forth", () => next(), { class: "small secondary outline" });
  const enrolling = enroller({ gallery: galleries.chosen, enrolled: () => refresh() });
  const erase = button("gallery.erase", erase_all, { class: "small secondary outline" });
  const section = el(
    "section",
    { id: "gallery" },
    el(
      "header",
      { class: "lead" },
      el("h1", { tabindex: "-1", text: "gallery.title" }),
      el("p", { text: "gallery.lead" }),
    ),
    el("div", { class: "gallery-head" }, galleries.element, erase),
    el(
      "div",
      { class: "gallery-columns" },
      enrolling.element,
      el(
        "article",
        { class: "list" },
        el("h2", { text: "gallery.subjects" }),
        el("label", { for: "search", text: "gallery.search" }),
        search,
        told,
        list,
        el("div", { class: "actions" }, back, forth),
      ),
    ),
  );

  /** The cursors of the pages before the one that is shown. @type {string[]} */
  let before = [];
  let cursor = "";
  /** @type {string | null} */
  let after = null;

  function first_page() {
    before = [];
    cursor = "";
    return load();
  }
  async function next() {
    if (after === null) return;
    before.push(cursor);
    cursor = after;
    await load();
  }
  async function previous() {
    cursor = before.pop() ?? "";
    await load();
  }
  async function refresh() {
    await galleries.load();
    await load();
  }

  let latest = 0;
  async function load() {
    const mine = ++latest;
    list.setAttribute("aria-busy", "true");
    try {
      const found = search.value.trim()
        ? await matching(search.value.trim(), () => mine !== latest)
        : await page(cursor, PAGE);
      if (mine === latest) show(found);
    } catch (error) {
      if (mine !== latest) return;
      if (error instanceof Problem && error.code === "not_found") return show({ subjects: [], next_cursor: null });
      list.replaceChildren(problem_box(error, load));
    } finally {
      if (mine === latest) list.removeAttribute("aria-busy");
    }
  }

  /** @param {string} from @param {number} limit @returns {Promise<SubjectPage>} */
  function page(from, limit) {
    const query = new URLSearchParams({ limit: String(limit), ...(from ? { cursor: from } : {}) });
    return call("GET", `${galleries.path()}/subjects?${query}`);
  }

  /**
   * Read the gallery until a page of subjects is found: the service lists by id and has no search of its own.
   * @param {string} words
   * @param {() => boolean} is_over
   * @returns {Promise<SubjectPage>}
   */
  async function matching(words, is_over) {
    const wanted = words.toLocaleLowerCase();
    /** @type {Subject[]} */
    const subjects = [];
    for (let from = ""; ;) {
      const read = await page(from, READ_AT_ONCE);
      subjects.push(...read.subjects.filter((each) => text_of(each).includes(wanted)));
      if (read.next_cursor === null || subjects.length > PAGE || is_over()) {
        return { subjects: subjects.slice(0, PAGE), next_cursor: null };
      }
      from = read.next_cursor;
    }
  }

  /** @param {SubjectPage} found */
  function show(found) {
    after = found.next_cursor;
    back.disabled = !before.length;
    forth.disabled = after === null;
    const rows = found.subjects.map((each) => [
      open_button(each),
      String(each.faces),
      moment(each.created_at),
      theirs(words_of(each.metadata)),
    ]);
    list.replaceChildren(
      rows.length
        ? table(["subject", "faces", "created_at", "metadata"], rows, "gallery.subjects")
        : el("p", { class: "empty", text: search.value.trim() ? "gallery.none_found" : "gallery.empty" }),
    );
  }

  /** @param {Subject} subject */
  function open_button(subject) {
    const open = () =>
      open_subject(galleries.chosen(), subject, (words, values) => {
        say(told, words, values);
        refresh();
      });
    const options = {
      class: "name",
      label: /** @type {const} */ ("open_subject"),
      values: { subject: subject.subject_id },
    };
    return el("button", { type: "button", on: { click: open }, ...options }, theirs(subject.subject_id));
  }

  async function erase_all() {
    try {
      if (!(await erase_gallery(galleries.chosen()))) return;
      say(told, "gallery.erased", { gallery: galleries.chosen() });
      galleries.choose("default");
      await galleries.load();
      await first_page();
    } catch (error) {
      list.replaceChildren(problem_box(error));
    }
  }

  /** @type {number | undefined} */
  let typing;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(first_page, 250);
  });
  key_changed.addEventListener("change", () => section.hidden || refresh());
  return { section, shown: refresh };
}

/** @param {Subject} subject */
function text_of(subject) {
  return `${subject.subject_id} ${words_of(subject.metadata)} ${subject.consent ?? ""}`.toLocaleLowerCase();
}
