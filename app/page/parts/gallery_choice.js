/** The choice of a gallery: a list where the key may read it, else a name. */

import { call, gallery_path, key_changed, Problem } from "./api.js";
import { el } from "./dom.js";
import { say } from "./words.js";

/** @typedef {import("./api.js").Schemas["GalleryList"]} GalleryList */

let number_of_lists = 0;

/** @param {(gallery: string) => unknown} choose Called with another choice. */
export function choose_gallery(choose) {
  const [id, list_id] = [`gallery-${++number_of_lists}`, `galleries-${number_of_lists}`];
  const list = el("datalist", { id: list_id });
  const input = el("input", { id, list: list_id, maxlength: 128, autocomplete: "off", spellcheck: "false" });
  input.value = "default";
  const size = el("span", { class: "small-print" });
  const element = el("div", { class: "gallery-choice" }, el("label", { for: id, text: "gallery" }), input, list, size);
  input.addEventListener("change", async () => {
    input.value = input.value.trim() || "default";
    await load();
    choose(input.value);
  });

  /** Read the galleries; a key that may not list them can still name one. */
  async function load() {
    try {
      /** @type {GalleryList} */
      const { galleries } = await call("GET", "galleries");
      list.replaceChildren(...galleries.map((each) => el("option", { value: each.id })));
      const now = galleries.find((each) => each.id === input.value);
      if (now) say(size, "gallery.size", { subjects: now.subjects, faces: now.faces });
      else say(size, "gallery.new");
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      say(size, "gallery.unlisted");
    }
  }
  key_changed.addEventListener("change", () => element.offsetParent && load());
  return {
    element,
    load,
    chosen: () => input.value,
    path: () => gallery_path(input.value),
    choose: (/** @type {string} */ name) => (input.value = name),
  };
}
