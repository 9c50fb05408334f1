/** The frame of the page: navigation, language, key, and one section for each view. */

import { has_key, key_changed } from "./parts/api.js";
import { button, el, icon } from "./parts/dom.js";
import { open_key_dialog } from "./parts/key_dialog.js";
import { choose_language, in_every_language, language, LANGUAGES, say, t } from "./parts/words.js";
import { gallery_view } from "./views/gallery.js";
import { groups_view } from "./views/groups.js";
import { identify_view } from "./views/identify.js";
import { system_view } from "./views/system.js";
import { verify_view } from "./views/verify.js";

/** @typedef {{ section: HTMLElement, shown?: () => unknown, hidden?: () => unknown }} View */

const NAMES = /** @type {const} */ (["verify", "identify", "gallery", "groups", "system"]);
/** @type {Record<typeof NAMES[number], () => View>} */
const MAKERS = {
  verify: verify_view,
  identify: identify_view,
  gallery: gallery_view,
  groups: groups_view,
  system: system_view,
};

/**
 * A view is made when it is first shown, and stays as it was left.
 * @type {Partial<Record<typeof NAMES[number], View>>}
 */
const views = {};
const links = NAMES.map((name) => el("a", { href: `#${name}`, text: `nav.${name}` }));
const main = el("main", { class: "container", id: "main" });

/** @param {boolean} moved Whether a person asked for it: then the focus goes to its heading. */
function show(moved) {
  const asked = location.hash.slice(1);
  const name = NAMES.find((each) => each === asked) ?? "verify";
  const view = (views[name] ??= MAKERS[name]());
  if (!view.section.isConnected) main.append(view.section);
  for (const [index, each] of NAMES.entries()) {
    const other = views[each];
    if (other && other !== view && !other.section.hidden) other.hidden?.();
    if (other) other.section.hidden = other !== view;
    if (each === name) links[index]?.setAttribute("aria-current", "page");
    else links[index]?.removeAttribute("aria-current");
  }
  view.shown?.();
  document.title = `${t(`nav.${name}`)} · Likeness`;
  if (moved) {
    scrollTo(0, 0);
    view.section.querySelector("h1")?.focus({ preventScroll: true });
  }
}

function header() {
  const logo = el("img", { src: "page/icon.svg", alt: "", width: 32, height: 32 });
  const languages = el(
    "select",
    { id: "language", label: "language" },
    ...Object.entries(LANGUAGES).map(([code, { name }]) => el("option", { value: code, lang: code }, name)),
  );
  languages.value = language();
  languages.addEventListener("change", () => choose_language(languages.value));
  const key = button("key.none", open_key_dialog, { class: "small secondary outline key-button", id: "key" });
  const words = el("span");
  const show_key = () => say(words, has_key() ? "key.in_use" : "key.none");
  key.removeAttribute("data-text");
  key.replaceChildren(icon("key"), words);
  show_key();
  key_changed.addEventListener("change", show_key);
  return el(
    "header",
    { class: "top" },
    el(
      "div",
      { class: "container" },
      el("a", { class: "brand", href: "#verify" }, logo, el("strong", {}, "Likeness")),
      el("nav", { label: "nav.label" }, el("ul", {}, ...links.map((link) => el("li", {}, link)))),
      el("div", { class: "tools" }, languages, key),
    ),
  );
}

const footer = el(
  "footer",
  { class: "container small-print" },
  el("p", {}, el("span", { text: "footer.kept" }), " ", el("a", { href: "docs", text: "footer.docs" })),
);

// a photo that misses its place must not replace the page
for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());
const skip = el("a", { href: "#main", class: "skip", text: "nav.skip" });
skip.addEventListener("click", (event) => {
  event.preventDefault();
  /** @type {HTMLElement | null} */ (main.querySelector("section:not([hidden]) h1"))?.focus();
});
document.body.replaceChildren(skip, header(), main, footer);
choose_language(language());
addEventListener("hashchange", () => show(true));
in_every_language(() => show(false));
