/** Charts by uPlot. A chart is drawn anew when the colours, the language or its width change. */

import uPlot from "../vendor/uPlot.esm.js";
import { distributions } from "./calibration.js";
import { color } from "./drawing.js";
import { in_every_language, percent, t } from "./words.js";

/** @typedef {import("./calibration.js").Calibration} Calibration */
/** @typedef {{ at: number, text: string, style: string, dash?: number[], high?: boolean }} Line */

/** In sizes of its words. */
const HEIGHT = 25;

/**
 * Keep a chart in the element: `options` gives it for the present language and colours.
 * @param {HTMLElement} element
 * @param {() => { options: Omit<uPlot.Options, "width" | "height">, data: uPlot.AlignedData }} describe
 */
export function keep_chart(element, describe) {
  /** @type {uPlot | undefined} */
  let chart;
  const gone = new AbortController();
  const draw = () => {
    if (chart && !element.isConnected) return gone.abort(); // another verdict took its place
    const width = element.clientWidth;
    if (!width) return;
    chart?.destroy();
    const { options, data } = describe();
    const height = HEIGHT * font_size();
    chart = new uPlot({ ...options, width, height, legend: { show: false }, cursor: { show: false } }, data, element);
    chart.root.setAttribute("aria-hidden", "true");
  };
  new ResizeObserver(() => {
    if (element.clientWidth !== chart?.width) draw();
  }).observe(element);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw, { signal: gone.signal });
  in_every_language(draw, gone.signal);
  return draw;
}

/** @param {Partial<uPlot.Axis>} more @returns {uPlot.Axis} */
function axis(more) {
  const [size, grid] = [font_size(), { stroke: color("--grid"), width: 1 }];
  const font = `${size}px system-ui, sans-serif`;
  return {
    stroke: color("--axis"),
    font,
    labelFont: font,
    grid,
    ticks: { ...grid, size: 4 },
    labelSize: 1.7 * size,
    ...more,
  };
}

/** Return the size of words in a chart, in pixels; it follows the page's, which grows with the window. */
function font_size() {
  return 0.75 * Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
}

/**
 * Draw how pairs of one person and of strangers are spread over the distance. `shift` is what this pair's offsets take
 * off each threshold, so that the curves lie where they are for such a pair.
 * @param {Calibration} calibration
 * @param {{ shift: number, lines: Line[] }} pair
 */
export function distribution_chart(calibration, { shift, lines }) {
  const { scores, genuine, impostor } = distributions(calibration);
  /** @type {uPlot.Options["series"]} */
  const series = [
    {},
    { stroke: color("--genuine"), fill: color("--genuine-fill"), width: font_size() / 6, points: { show: false } },
    {
      stroke: color("--impostor"),
      fill: color("--impostor-fill"),
      width: font_size() / 6,
      points: { show: false },
    },
  ];
  const longest = Math.min(4, Math.max(Number(scores.at(-1)) - shift, ...lines.map((line) => line.at)) + 0.1);
  const shortest = Math.min(0, Number(scores[0]) - shift, ...lines.map((line) => line.at));
  return {
    options: {
      series,
      scales: {
        x: { time: false, range: /** @type {[number, number]} */ ([shortest, longest]) },
        y: { range: headroom },
      },
      axes: [axis({ label: t("axis.distance"), size: 2.5 * font_size() }), axis({ show: false })],
      padding: /** @type {uPlot.Padding} */ ([2.5 * font_size(), 12, 0, 12]),
      hooks: { draw: [/** @param {uPlot} chart */ (chart) => draw_lines(chart, lines)] },
    },
    data: /** @type {uPlot.AlignedData} */ ([scores.map((score) => score - shift), genuine, impostor]),
  };
}

/** @param {uPlot} _ @param {number} low @param {number} high @returns {[number, number]} */
function headroom(_, low, high) {
  return [Math.min(0, low), high * 1.08];
}

/** @param {uPlot} chart @param {Line[]} lines */
function draw_lines(chart, lines) {
  const { ctx: context, bbox } = chart;
  const ratio = (devicePixelRatio * font_size()) / 12;
  context.save();
  for (const { at, text, style, dash, high } of lines) {
    const x = Math.round(chart.valToPos(at, "x", true));
    context.strokeStyle = context.fillStyle = style;
    context.lineWidth = 2 * ratio;
    context.setLineDash((dash ?? []).map((length) => length * ratio));
    context.beginPath();
    context.moveTo(x, bbox.top - (high ? 16 : 2) * ratio);
    context.lineTo(x, bbox.top + bbox.height);
    context.stroke();
    context.font = `600 ${12 * ratio}px system-ui, sans-serif`;
    const width = context.measureText(text).width;
    const left = Math.min(Math.max(x - width / 2, bbox.left), bbox.left + bbox.width - width);
    context.textAlign = "left";
    context.textBaseline = "bottom";
    context.fillText(text, left, bbox.top - (high ? 17 : 3) * ratio);
  }
  context.restore();
}

/**
 * Draw the false non-match rate over the false match rate, both on logarithmic axes, with the chosen point.
 * @param {Calibration} calibration
 * @param {{ fmr: number, fnmr: number }} point
 */
export function det_chart(calibration, point) {
  const rates = calibration.rates.filter(({ fmr, fnmr }) => fmr >= calibration.finest_fmr && fnmr > 0);
  const xs = rates.map((rate) => rate.fmr);
  const marked = xs.findLastIndex((fmr) => fmr <= point.fmr);
  /** @type {(number | null)[]} */
  const marks = xs.map((_, index) => (index === marked ? Number(rates[index]?.fnmr) : null));
  /** @param {uPlot} _ @param {(number | null)[]} splits */
  const values = (_, splits) => splits.map((value) => (value === null ? "" : percent(value)));
  /**
   * Label powers of ten only, and in a narrow chart each second one.
   * @param {uPlot} chart
   * @param {number[]} splits
   */
  const filter = (chart, splits) => {
    const every = chart.width < 30 * font_size() ? 2 : 1;
    return splits.map((value) => (Math.abs(Math.log10(value) % every) < 1e-6 ? value : null));
  };
  /** @type {uPlot.Options["series"]} */
  const series = [
    {},
    { stroke: color("--accent"), width: font_size() / 6, points: { show: false } },
    { stroke: color("--accent"), width: 0, points: { show: true, size: 12, fill: color("--accent") } },
  ];
  return {
    options: {
      series,
      scales: { x: { time: false, distr: /** @type {const} */ (3) }, y: { distr: /** @type {const} */ (3) } },
      axes: [
        axis({ label: t("axis.fmr"), values, filter, size: 2.5 * font_size() }),
        axis({ label: t("axis.fnmr"), values, filter, size: 5.2 * font_size() }),
      ],
      padding: /** @type {uPlot.Padding} */ ([12, 20, 0, 0]),
    },
    data: /** @type {uPlot.AlignedData} */ ([xs, rates.map((rate) => rate.fnmr), marks]),
  };
}
