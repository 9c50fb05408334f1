/** How the service is: models, calibration, health, rates and latency now, audit. */

import { call, embedder_calibration, key_changed, loaded_models, send } from "../parts/api.js";
import { point_at } from "../parts/calibration.js";
import { det_chart, distribution_chart, keep_chart } from "../parts/charts.js";
import { cohort_rows } from "../parts/cohorts.js";
import { el, moment, table, theirs } from "../parts/dom.js";
import { color } from "../parts/drawing.js";
import { parse_metrics } from "../parts/metrics.js";
import { problem_box } from "../parts/problems.js";
import { rate_slider } from "../parts/rate_slider.js";
import { traffic_panel } from "../parts/traffic.js";
import { count, number, one_in, percent, say, t } from "../parts/words.js";

/** @typedef {import("../parts/api.js").Schemas} Schemas */
/** @typedef {import("../parts/calibration.js").Calibration} Calibration */
/** @typedef {import("../parts/metrics.js").Sample} Sample */

const INTERVAL = 5000;
const START = 1e-4;
const ENTRIES = 20;

export function system_view() {
  const health = el("div", { class: "health" });
  const models = el("div", {});
  const traffic = el("div", {});
  const measured = el("div", {});
  const audit = el("div", {});
  const section = el(
    "section",
    { id: "system" },
    el(
      "header",
      { class: "lead" },
      el("h1", { tabindex: "-1", text: "system.title" }),
      el("p", { text: "system.lead" }),
    ),
    el("article", {}, el("h2", { text: "system.health" }), health),
    el("article", {}, el("h2", { text: "system.traffic" }), traffic),
    el("article", {}, el("h2", { text: "system.models" }), models),
    measured,
    el(
      "article",
      {},
      el("h2", { text: "system.audit" }),
      audit,
      el("p", { text: "system.audit_explained" }),
      el(
        "pre",
        { tabindex: "0", role: "region", label: "system.audit" },
        el("code", { lang: "en" }, "likeness audit list --gallery default\nlikeness audit verify"),
      ),
    ),
  );

  async function load() {
    await Promise.all([
      shown_in(models, async () => el("div", {}, ...models_table(await loaded_models()))),
      shown_in(measured, async () => calibration_panel(await embedder_calibration())),
    ]);
  }

  /** @type {{ at: number, samples: Sample[] } | null} */
  let last = null;
  async function watch() {
    await shown_in(health, async () => {
      /** @type {Schemas["Readiness"]} */
      const ready = await call("GET", "readyz");
      return health_words(ready);
    });
    await shown_in(audit, async () => {
      /** @type {Schemas["AuditPage"]} */
      const newest = await call("GET", `audit?limit=${ENTRIES}`);
      return audit_table(newest.entries);
    });
    await shown_in(traffic, async () => {
      const samples = parse_metrics(await (await send("GET", "metrics")).text());
      const now = { at: performance.now(), samples };
      const panel = traffic_panel(now, last);
      last = now;
      return panel;
    });
  }

  /** @type {number | undefined} */
  let timer;
  const stop = () => clearInterval(timer);
  const start = () => {
    stop();
    watch();
    timer = setInterval(() => document.hidden || watch(), INTERVAL);
  };
  let loaded = false;
  const shown = () => {
    if (!loaded) load();
    loaded = true;
    start();
  };
  key_changed.addEventListener("change", () => section.hidden || (load(), start()));
  return { section, shown, hidden: stop };
}

/**
 * Put what `make` returns into the element, or what failed.
 * @param {HTMLElement} element
 * @param {() => Promise<Node>} make
 */
async function shown_in(element, make) {
  const made = await make().catch(problem_box);
  const had_focus = element.contains(document.activeElement);
  element.replaceChildren(made);
  if (had_focus)
    /** @type {HTMLElement | null} */ (element.querySelector("[tabindex]"))?.focus({ preventScroll: true });
}

/** @param {Schemas["Readiness"]} ready */
function health_words(ready) {
  const words = ready.erasures_pending ? "system.ready_pending" : "system.ready";
  return el(
    "p",
    { class: "good" },
    el("span", { class: "lamp", "aria-hidden": "true" }),
    el("span", { text: words, values: { pending: ready.erasures_pending } }),
  );
}

/** @param {Schemas["AuditPage"]["entries"]} entries */
function audit_table(entries) {
  const rows = entries.map((entry) => [
    moment(String(entry["at"])),
    String(entry["action"]),
    ...["by", "gallery", "subject"].map((name) => (name in entry ? theirs(String(entry[name])) : "–")),
  ]);
  return table(["time", "action", "actor", "gallery", "subject"], rows, "system.audit");
}

/** @param {Schemas["LoadedModels"]} loaded */
function models_table(loaded) {
  const rows = loaded.models.map((model) => [
    model.id,
    el("span", { text: `kind.${model.kind}` }),
    model.provider,
    model.dimension ? String(model.dimension) : "–",
    el("span", { text: model.calibrated ? "yes" : model.kind === "embedder" ? "no" : "dash" }),
    model.license,
    el("code", { title: model.digest }, model.digest.replace("sha256:", "").slice(0, 12)),
  ]);
  const release = { step: number(loaded.distance_step), bound: number(loaded.max_threshold) };
  return [
    table(["model", "kind", "provider", "dimension", "calibrated", "license", "digest"], rows, "system.models"),
    el("p", { class: "small-print", text: "system.release", values: release }),
  ];
}

/** @param {Calibration | null} calibration */
function calibration_panel(calibration) {
  if (!calibration)
    return el("article", {}, el("h2", { text: "system.calibration" }), el("p", { text: "verify.uncalibrated" }));
  const { data } = calibration;
  let point = point_at(calibration, START);
  const [det, spread, cohorts] = [chart(), chart(), el("div", {})];
  const meaning = el("p", { class: "meaning" });
  const draw_det = keep_chart(det, () => det_chart(calibration, point));
  const draw_spread = keep_chart(spread, () =>
    distribution_chart(calibration, {
      shift: 0,
      lines: [{ at: point.threshold, text: t("chart.threshold"), style: color("--axis"), dash: [6, 4] }],
    }),
  );
  /** @param {number} fmr */
  const choose = (fmr) => {
    point = point_at(calibration, fmr);
    const values = {
      strangers: one_in(fmr),
      missed: percent(point.fnmr),
      threshold: number(point.threshold),
      data: data.name,
    };
    say(meaning, "system.point", values);
    say(det, "chart.det_described", values, "label");
    say(spread, "chart.spread_described", values, "label");
    draw_det();
    draw_spread();
    cohorts.replaceChildren(...cohort_rows(calibration, point.threshold));
  };
  choose(START);
  const numbers = {
    people: count(data.people),
    images: count(data.images),
    genuine: count(data.genuine_pairs),
    impostor: count(data.impostor_pairs),
    data: data.name,
  };
  const some = calibration.rates.filter((_, index) => index % 8 === 0);
  const rates = some.map((each) => [number(each.threshold), percent(each.fmr), percent(each.fnmr)]);
  return el(
    "div",
    {},
    el(
      "article",
      {},
      el("h2", { text: "system.calibration" }),
      el("p", { class: "small-print", text: "system.data", values: numbers }),
      rate_slider(calibration, START, choose),
      meaning,
      el(
        "div",
        { class: "charts" },
        el("div", {}, el("h3", { text: "chart.det" }), det),
        el("div", {}, el("h3", { text: "chart.spread" }), legend(), spread),
      ),
      el(
        "details",
        {},
        el("summary", { text: "chart.numbers" }),
        table(["threshold", "fmr", "fnmr"], rates, "chart.numbers"),
      ),
    ),
    el(
      "article",
      {},
      el("h2", { text: "system.cohorts" }),
      el("p", { class: "small-print", text: "system.cohorts_explained" }),
      cohorts,
    ),
  );
}

function chart() {
  return el("div", { class: "chart", role: "img" });
}

function legend() {
  return el(
    "p",
    { class: "legend small-print" },
    el("span", { class: "key genuine", text: "chart.genuine" }),
    el("span", { class: "key impostor", text: "chart.impostor" }),
  );
}
