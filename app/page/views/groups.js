import { el } from "../parts/dom.js";
export function groups_view() { return { section: el("section", { id: "groups" }) }; }
