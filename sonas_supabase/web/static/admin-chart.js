// Lines over the buckets of a window, or bars over such as the hours of a day. The table and the CSV of a card say the
// same in figures.

import uPlot from "./vendor/uplot.js";
import chart from "./vendor/uplot.css.js";
import { count, words } from "./i18n.js";

const sheet = new CSSStyleSheet();
sheet.replaceSync(chart);
document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];

const HEIGHT = 210;
const HUES = [245, 165, 30, 340, 200, 95];
const DASHES = [[], [6, 3], [2, 3], [10, 3, 2, 3], [4, 4], [1, 2]];

const colour = (nth) => `hsl(${HUES[nth % HUES.length]} 60% 52%)`;

// The next figure above that four grid lines divide into whole numbers.
function roundUp(figure) {
  const step = Math.max(figure / 4, 1);
  const size = 10 ** Math.floor(Math.log10(step));
  return 4 * size * [1, 2, 3, 4, 5, 6, 8, 10].find((factor) => factor * size >= step);
}

// `labels` name the places, `names` in full where there is more to say; `series` has a figure for each of them. `place` says which colour a name has, the same in
// every chart. What the pointer is on is written into `said`.
export function draw(target, said, { labels, names: full = labels, series, unit, bars, place }) {
  const names = Object.keys(series);
  const data = [labels.map((_, at) => at), ...names.map((name) => series[name])];
  const look = (name, nth) => ({ hue: colour(place?.(name) ?? nth), dash: DASHES[(place?.(name) ?? nth) % DASHES.length] });
  const peak = Math.max(0, ...names.flatMap((name) => series[name]));
  let plot = null;

  const point = (drawn) => {
    const at = drawn.cursor.left >= 0 ? drawn.cursor.idx : null;
    const figures = names.map((name) => (names.length > 1 ? `${name} ${count(series[name][at])}` : count(series[name][at])));
    said.textContent = at === null || at === undefined ? unit : `${full[at]}: ${figures.join(", ")}`;
  };
  const paint = () => {
    const width = target.clientWidth;
    if (!width) return;
    plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const axis = {
      stroke: style.getPropertyValue("--sonas-muted").trim(),
      font: `11px ${getComputedStyle(target).fontFamily}`,
      grid: { stroke: style.getPropertyValue("--sonas-line").trim(), width: 1 },
      ticks: { show: false },
    };
    // As many places as have room for their names, the last one among them.
    const room = 24 + 6 * Math.max(...labels.map((label) => label.length));
    const step = ({ width }) => Math.ceil(labels.length / Math.max(Math.floor((width - 56) / room), 1));
    const shape = bars
      ? { width: 0, paths: uPlot.paths.bars({ size: [0.7, 28, 1], radius: 0.2 }), points: { show: false } }
      : { width: 2, points: { show: labels.length === 1 } };
    plot = new uPlot(
      {
        width,
        height: HEIGHT,
        legend: { show: false },
        padding: [12, 24, 0, 0],
        cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
        scales: {
          x: { time: false, range: (_, low, high) => (bars ? [low - 0.6, high + 0.6] : [low, Math.max(high, low + 1)]) },
          y: { range: (_, __, high) => [0, roundUp(high ?? 0)] },
        },
        axes: [
          {
            ...axis,
            grid: { show: false },
            size: 28,
            splits: (drawn) => data[0].filter((at) => (labels.length - 1 - at) % step(drawn) === 0),
            values: (_, places) => places.map((at) => labels[at] ?? ""),
          },
          {
            ...axis,
            size: 12 + 7 * Math.max(3, words.short(roundUp(peak)).length),
            splits: (_, __, low, high) => [low, high / 4, high / 2, (high / 4) * 3, high],
            values: (_, figures) => figures.map((figure) => words.short(figure)),
          },
        ],
        series: [
          {},
          ...names.map((label, nth) => {
            const { hue, dash } = look(label, nth);
            return { label, stroke: hue, fill: bars ? hue : undefined, dash: bars ? [] : dash, ...shape };
          }),
        ],
        hooks: { setCursor: [point] },
      },
      data,
      target,
    );
  };
  new ResizeObserver(() => (plot ? plot.setSize({ width: target.clientWidth, height: HEIGHT }) : paint())).observe(target);
  for (const media of ["(prefers-color-scheme: dark)", "print"]) matchMedia(media).addEventListener("change", paint);
  return names.map((name, nth) => [name, swatch(look(name, nth))]);
}

// As the line is drawn: who cannot tell the colours apart can tell the dashes.
function swatch({ hue, dash }) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 12");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", "M0 6h24");
  line.setAttribute("stroke", hue);
  line.setAttribute("stroke-width", "3");
  line.setAttribute("stroke-dasharray", dash.join(" "));
  svg.append(line);
  return svg;
}
