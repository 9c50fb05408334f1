/** What a calibration says: the threshold for a rate, the rates at a threshold, the distributions behind both. */

/** @typedef {import("./api.js").Schemas["Calibration"]} Calibration */
/** @typedef {{ threshold: number, fmr: number, fnmr: number }} Point */

export const COARSEST = 1e-2;
/** Steps of the grid beyond the measured thresholds. */
const TAIL = 5;

/** Return the smallest FMR that the pairs support. @param {Calibration} calibration */
export function finest(calibration) {
  return Math.max(calibration.finest_fmr, Number(calibration.rates[0]?.fmr));
}

/**
 * Return the largest threshold whose FMR is at most `fmr`, as the service chooses it.
 * @param {Calibration} calibration
 * @param {number} fmr
 * @returns {Point}
 */
export function point_at(calibration, fmr) {
  const rates = calibration.rates.findLast((each) => each.fmr <= fmr) ?? calibration.rates[0];
  return { threshold: Number(rates?.threshold), fmr, fnmr: Number(rates?.fnmr) };
}

/**
 * Return the positions of a slider from the coarsest FMR to the finest: 1, 2, 5 of each power of ten.
 * @param {Calibration} calibration
 */
export function steps(calibration) {
  const smallest = finest(calibration);
  const made = [];
  for (let power = -2; power > -12; power--) {
    for (const digit of power === -2 ? [1] : [5, 2, 1]) made.push(Number(`${digit}e${power}`));
  }
  return [...made.filter((fmr) => fmr > smallest), smallest];
}

/**
 * Return how pairs of one person and of strangers are spread over the score, both on a grid. What lies beyond the
 * measured thresholds is drawn as a triangle of the right area.
 * @param {Calibration} calibration
 * @param {number} [step]
 */
export function distributions(calibration, step = 0.05) {
  // beyond the last but one, nothing was measured
  const rates = calibration.rates.filter(({ fmr, threshold }) => fmr < 1 || threshold < 4);
  const edges = Array.from(
    { length: Math.floor(Number(rates.at(-1)?.threshold) / step + 1e-9) + 1 },
    (_, index) => index * step,
  );
  const genuine = edges.map((edge) => 1 - between(rates, edge, "fnmr"));
  const impostor = edges.map((edge) => between(rates, edge, "fmr"));
  const beyond = Array.from({ length: TAIL }, (_, index) => (index + 0.5) * step);
  const middles = edges.slice(1).map((edge) => edge - step / 2);
  return {
    scores: [
      ...beyond.map((each) => -each).reverse(),
      ...middles,
      ...beyond.map((each) => Number(edges.at(-1)) + each),
    ],
    genuine: with_tails(genuine, step, beyond),
    impostor: with_tails(impostor, step, beyond),
  };
}

/** @param {number[]} cumulative @param {number} step @param {number[]} beyond */
function with_tails(cumulative, step, beyond) {
  const inside = slopes(cumulative, step);
  /** @param {number} area @param {number} height */
  const tail = (area, height) =>
    beyond.map((distance) => (height > 0 ? Math.max(0, height * (1 - (distance * height) / (2 * area || 1e-9))) : 0));
  const [first, last] = [
    tail(Number(cumulative[0]), Number(inside[0])),
    tail(1 - Number(cumulative.at(-1)), Number(inside.at(-1))),
  ];
  return [...first.reverse(), ...inside, ...last];
}

/**
 * Return a rate at any threshold, on the line between the measured ones.
 * @param {Calibration["rates"]} rates
 * @param {number} threshold
 * @param {"fmr" | "fnmr"} name
 */
function between(rates, threshold, name) {
  const above = rates.findIndex((each) => each.threshold >= threshold);
  if (above === 0) return Number(rates[0]?.[name]);
  if (above < 0) return name === "fmr" ? 1 : 0;
  const [low, high] = /** @type {[Point, Point]} */ ([rates[above - 1], rates[above]]);
  const share = (threshold - low.threshold) / (high.threshold - low.threshold);
  return low[name] + share * (high[name] - low[name]);
}

/**
 * Return the slope of a cumulative rate, averaged with its neighbours.
 * @param {number[]} rates
 * @param {number} step
 */
function slopes(rates, step) {
  const raw = rates.slice(1).map((rate, index) => (rate - Number(rates[index])) / step);
  return raw.map((slope, index) => (Number(raw[index - 1] ?? slope) + 2 * slope + Number(raw[index + 1] ?? slope)) / 4);
}

/**
 * Return the FMR of each cohort at a threshold, the worst first.
 * @param {Calibration} calibration
 * @param {number} threshold
 */
export function cohorts_at(calibration, threshold) {
  const thresholds = calibration.cohort_thresholds ?? [];
  const above = thresholds.findIndex((each) => each >= threshold);
  const at = above < 0 ? thresholds.length - 1 : above;
  const rows = (calibration.cohorts ?? []).map(({ name, people, fmr, fmr_interval }) => ({
    name,
    people,
    fmr: Number(fmr[at]),
    interval: /** @type {[number, number] | undefined} */ (fmr_interval?.[at]),
  }));
  return { threshold: thresholds[at] ?? threshold, rows: rows.sort((one, other) => other.fmr - one.fmr) };
}
