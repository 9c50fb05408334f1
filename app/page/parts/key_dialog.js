/** The dialog that asks for an API key. */

import { has_key, use_key } from "./api.js";
import { button, el } from "./dom.js";

export function open_key_dialog() {
  const input = el("input", {
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    id: "api-key",
    name: "api-key",
  });
  const end = () => {
    dialog.close();
    dialog.remove();
  };
  /** @param {Event} event */
  const submit = (event) => {
    event.preventDefault();
    use_key(input.value);
    end();
  };
  const forget = () => {
    use_key("");
    end();
  };
  const form = el(
    "form",
    { on: { submit } },
    el("h2", { text: "key.title" }),
    el("p", { text: "key.explained" }),
    el("label", { for: "api-key", text: "key.label" }),
    input,
    el(
      "div",
      { class: "actions end" },
      button("cancel", end, { class: "secondary outline" }),
      has_key() && button("key.forget", forget, { class: "secondary" }),
      el("button", { type: "submit", text: "key.use" }),
    ),
  );
  const dialog = el("dialog", { label: "key.title" }, el("article", {}, form));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  input.focus();
}
