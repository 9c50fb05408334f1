/** Places for photos: drop, paste, choose or photograph. */

import { button, el, icon } from "./dom.js";
import { may_be_photo } from "./photo.js";
import { photograph } from "./camera.js";

/** @typedef {import("./words.js").Key} Key */

/**
 * Return a place that takes photos, and calls `take` with each.
 * @param {{ label: Key, take: (blob: Blob, name: string) => unknown }} options
 */
export function photo_input({ label, take }) {
  const canvas = el("canvas", { role: "img", hidden: true });
  const input = file_input({}, ([file]) => file && take(file, file.name));
  const shoot = async () => {
    const shot = await photograph();
    if (shot) take(shot, "camera.jpg");
  };
  const invitation = el("div", { class: "invitation" }, icon("photo"), el("p", { text: "photo.invite" }));
  const stage = el("div", { class: "stage" }, invitation, canvas);
  const element = el(
    "div",
    { class: "slot", role: "group", label },
    el("h2", { text: label }),
    stage,
    input,
    el(
      "div",
      { class: "actions" },
      button("photo.choose", () => input.click(), { class: "small" }),
      button("photo.camera", shoot, { class: "small secondary outline" }),
    ),
  );
  accept_drops(element, (files) => files[0] && take(files[0], files[0].name));
  const show = (/** @type {boolean} */ filled) => {
    canvas.hidden = !filled;
    invitation.hidden = filled;
  };
  return { element, canvas, show };
}

/**
 * Return a hidden file input; a button opens it, so that it looks and is reached like everything else. Of a folder it
 * takes what may be photos; of files that were chosen one by one, all, and the service says what is wrong with them.
 * @param {Record<string, unknown>} attributes
 * @param {(files: File[]) => unknown} take
 */
export function file_input(attributes, take) {
  const input = el("input", { type: "file", accept: "image/*,.heic,.heif", hidden: true, ...attributes });
  input.addEventListener("change", () => {
    const all = [...(input.files ?? [])];
    const files = input.webkitdirectory ? all.filter(may_be_photo) : all;
    input.value = "";
    take(files);
  });
  return input;
}

/** @param {HTMLElement} element @param {(files: File[]) => unknown} take */
export function accept_drops(element, take) {
  element.addEventListener("dragover", (event) => {
    event.preventDefault();
    element.classList.add("over");
  });
  element.addEventListener("dragleave", () => element.classList.remove("over"));
  element.addEventListener("drop", async (event) => {
    event.preventDefault();
    element.classList.remove("over");
    if (event.dataTransfer) take(await files_of(event.dataTransfer));
  });
}

/** Return the photos in what was dropped, also those in folders. @param {DataTransfer} dropped */
async function files_of(dropped) {
  const entries = [...dropped.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  if (!entries.length) return [...dropped.files].filter(may_be_photo);
  const found = await Promise.all(entries.map((entry) => files_below(entry, "")));
  return found.flat().filter(may_be_photo);
}

/**
 * The folder that a dropped file lay in; browsers tell it only for files that were chosen.
 * @type {WeakMap<File, string>}
 */
const folders = new WeakMap();

/** @param {FileSystemEntry} entry @param {string} folder @returns {Promise<File[]>} */
async function files_below(entry, folder) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) =>
      /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject),
    );
    folders.set(file, folder);
    return [file];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  const found = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    for (const each of some) found.push(...(await files_below(each, entry.name)));
  }
}

/** Return the name of the folder that a file was in, or "". @param {File} file */
export function folder_of(file) {
  return folders.get(file) ?? file.webkitRelativePath.split("/").at(-2) ?? "";
}

/**
 * Call `take` with a pasted photo while the section is shown.
 * @param {HTMLElement} section
 * @param {(file: File) => unknown} take
 */
export function accept_pastes(section, take) {
  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find(may_be_photo);
    if (file && !section.hidden) {
      event.preventDefault();
      take(file);
    }
  });
}
