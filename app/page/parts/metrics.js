/** Read Prometheus' text format, as far as the page shows it. */

/** @typedef {{ name: string, labels: Record<string, string>, value: number }} Sample */
/** @typedef {{ name: string, requests: number, errors: number, per_second: number | null, median: number | null, slow: number | null }} Route */

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;
/** What machines ask for every few seconds, and the page itself. */
const QUIET = new Set(["/healthz", "/readyz", "/metrics", "/", "/page/{name:path}", "/openapi.json", "unmatched"]);

/** @param {string} text @returns {Sample[]} */
export function parse_metrics(text) {
  const samples = [];
  for (const line of text.split("\n")) {
    const [, name, labels, value] = LINE.exec(line) ?? [];
    if (!name) continue;
    const pairs = [...(labels ?? "").matchAll(LABEL)].map(([, label, quoted]) => [label, unquote(quoted ?? "")]);
    samples.push({ name, labels: Object.fromEntries(pairs), value: value === "+Inf" ? Infinity : Number(value) });
  }
  return samples;
}

/** @param {string} quoted */
function unquote(quoted) {
  return quoted.replace(/\\(.)/g, (_, character) => (character === "n" ? "\n" : character));
}

/**
 * Return what happened on each route since the start, how many requests a second came since `before`, and the queues.
 * Latencies are of the time since `before` where something came in it, else since the start.
 * @param {Sample[]} now
 * @param {Sample[]} before
 * @param {number} seconds Between both; 0 without `before`.
 */
export function summary_of(now, before, seconds) {
  /** @param {Sample[]} samples @param {string} name */
  const named = (samples, name) => samples.filter((sample) => sample.name === name);
  const requests = named(now, "likeness_requests_total");
  const names = [...new Set(requests.map((sample) => String(sample.labels["route"])))].filter(
    (name) => !QUIET.has(name),
  );
  const routes = names.map((name) => {
    /** @param {Sample[]} samples @param {RegExp} [status] */
    const counted = (samples, status = /./) =>
      sum(
        named(samples, "likeness_requests_total").filter(
          (each) => each.labels["route"] === name && status.test(String(each.labels["status"])),
        ),
      );
    const total = counted(now);
    const recent = total - counted(before);
    const buckets = buckets_of(named(now, "likeness_request_seconds_bucket"), name);
    const old = buckets_of(named(before, "likeness_request_seconds_bucket"), name);
    const counts =
      seconds && recent
        ? buckets.map(
            ([bound, value], index) => /** @type {[number, number]} */ ([bound, value - Number(old[index]?.[1] ?? 0)]),
          )
        : buckets;
    return {
      name,
      requests: total,
      errors: counted(now, /^[45]/),
      per_second: seconds ? recent / seconds : null,
      median: quantile(counts, 0.5),
      slow: quantile(counts, 0.95),
    };
  });
  const queues = named(now, "likeness_queue_depth").map((depth) => {
    const limit = named(now, "likeness_queue_limit").find((each) => each.labels["queue"] === depth.labels["queue"]);
    return { name: String(depth.labels["queue"]), depth: depth.value, limit: limit?.value ?? 0 };
  });
  return { routes: routes.sort((one, other) => other.requests - one.requests), queues };
}

/** @param {Sample[]} samples */
function sum(samples) {
  return samples.reduce((total, sample) => total + sample.value, 0);
}

/**
 * @param {Sample[]} samples
 * @param {string} route
 * @returns {[number, number][]} Upper bounds with cumulative counts.
 */
function buckets_of(samples, route) {
  return samples
    .filter((each) => each.labels["route"] === route)
    .map((each) => [each.labels["le"] === "+Inf" ? Infinity : Number(each.labels["le"]), each.value]);
}

/**
 * Return the bound of the bucket that the quantile is in.
 * @param {[number, number][]} buckets
 * @param {number} share
 */
function quantile(buckets, share) {
  const total = Number(buckets.at(-1)?.[1] ?? 0);
  return total ? Number(buckets.find(([, value]) => value >= share * total)?.[0]) : null;
}
