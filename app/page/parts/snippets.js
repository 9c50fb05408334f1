/** The command and the program that do what the page did, with a button that copies them. */

import { has_key } from "./api.js";
import { button, el } from "./dom.js";
import { say } from "./words.js";

/** Quote for a POSIX shell. @param {string} words */
function shell(words) {
  return /^[\w@%+=:,./-]+$/.test(words) ? words : `'${words.replaceAll("'", `'\\''`)}'`;
}

/**
 * Return the argument of `curl -F` for a file; curl reads `"`, `\`, `;` and `,` in a bare name.
 * @param {string} field
 * @param {string} name
 */
function part(field, name) {
  const plain = /^[\w. -]+$/.test(name);
  return shell(plain ? `${field}=@${name}` : `${field}=@"${name.replace(/["\\]/g, "\\$&")}"`);
}

/** @typedef {{ path: string, files: Record<string, string>, fields: Record<string, string | number> }} Request */

/** @param {string} path */
function absolute(path) {
  return new URL(path, document.baseURI.split("#")[0]).href;
}

/** @param {Request} request */
export function as_curl({ path, files, fields }) {
  const key = has_key() ? [`-H "Authorization: Bearer $LIKENESS_KEY"`] : [];
  const parts = Object.entries(files).map(([field, name]) => `-F ${part(field, name)}`);
  const rest = Object.entries(fields).map(([field, value]) => `-F ${shell(`${field}=${value}`)}`);
  return ["curl", ...key, ...parts, ...rest, shell(absolute(path))].join(" \\\n  ");
}

/** @param {Request} request @param {string} result The line that uses the answer. */
export function as_python({ path, files, fields }, result) {
  const opened = Object.entries(files).map(([field, name]) => `open(${JSON.stringify(name)}, "rb") as ${field}`);
  const lines = [
    ...(has_key() ? ["import os", ""] : []),
    "import requests",
    "",
    `with ${opened.join(", ")}:`,
    "    response = requests.post(",
    `        ${JSON.stringify(absolute(path))},`,
    `        files={${Object.keys(files)
      .map((field) => `"${field}": ${field}`)
      .join(", ")}},`,
    ...(Object.keys(fields).length ? [`        data=${JSON.stringify(fields)},`] : []),
    ...(has_key() ? [`        headers={"Authorization": f"Bearer {os.environ['LIKENESS_KEY']}"},`] : []),
    "    )",
    "answer = response.json()",
    result,
  ];
  return lines.join("\n");
}

/** Return a closed section with both; `update` shows another request. @param {string} result */
export function snippets(result) {
  const [curl, python] = [code_block("curl"), code_block("Python")];
  const element = el(
    "details",
    { class: "snippets" },
    el("summary", { text: "snippets.title" }),
    el("p", { class: "small-print", text: "snippets.explained" }),
    curl.element,
    python.element,
  );
  return {
    element,
    /** @param {Request} request */
    update(request) {
      curl.code.textContent = as_curl(request);
      python.code.textContent = as_python(request, result);
    },
  };
}

/** @param {string} name */
function code_block(name) {
  const code = el("code", { lang: "en" });
  const copy = button(
    "copy",
    async () => {
      try {
        await navigator.clipboard.writeText(code.textContent ?? "");
        say(copy, "copied");
      } catch {
        getSelection()?.selectAllChildren(code); // no clipboard without https: Ctrl+C copies what is selected
      }
      setTimeout(() => say(copy, "copy"), 2000);
    },
    { class: "small secondary outline" },
  );
  const head = el("div", { class: "code-head" }, el("strong", {}, name), copy);
  const block = el("pre", { tabindex: "0", role: "region", "aria-label": name }, code);
  return { code, element: el("div", { class: "code-block" }, head, block) };
}
