/** What the service was asked for, how often it failed and how long it took, by route. */

import { el, table } from "./dom.js";
import { summary_of } from "./metrics.js";
import { count, number } from "./words.js";

/** @typedef {import("./metrics.js").Sample} Sample */

/** @param {{ at: number, samples: Sample[] }} now @param {{ at: number, samples: Sample[] } | null} last */
export function traffic_panel(now, last) {
  const summary = summary_of(now.samples, last?.samples ?? [], last ? (now.at - last.at) / 1000 : 0);
  const rows = summary.routes.map((route) => [
    el("code", {}, route.name),
    count(route.requests),
    route.per_second === null ? "…" : number(route.per_second, 1),
    count(route.errors),
    milliseconds(route.median),
    milliseconds(route.slow),
  ]);
  const queues = summary.queues.map((queue) =>
    el("span", { text: "system.queue", values: { name: queue.name, depth: queue.depth, limit: queue.limit } }),
  );
  return el(
    "div",
    {},
    rows.length
      ? table(["route", "requests", "per_second", "errors", "median", "p95"], rows, "system.traffic")
      : el("p", { text: "system.no_traffic" }),
    el("p", { class: "small-print queues" }, ...queues),
    el("p", { class: "small-print", text: "system.traffic_explained" }),
  );
}

/** @param {number | null} seconds */
function milliseconds(seconds) {
  if (seconds === null) return "–";
  return Number.isFinite(seconds) ? `≤ ${count(1000 * seconds)} ms` : "> 30 s";
}
