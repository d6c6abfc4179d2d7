// A line for each series over the buckets of the window. The tables of the page say the same in figures.

import uPlot from "./vendor/uplot.js";
import chart from "./vendor/uplot.css.js";
import { count } from "./format.js";

const sheet = new CSSStyleSheet();
sheet.replaceSync(chart);
document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];

const HEIGHT = 200;
const HUES = [245, 165, 30, 340, 200, 95];
const DASHES = [[], [6, 3], [2, 3], [10, 3, 2, 3], [4, 4], [1, 2]];

const colour = (nth) => `hsl(${HUES[nth % HUES.length]} 60% 52%)`;

export function lines(target, buckets, series) {
  const names = Object.keys(series);
  let plot = null;
  const draw = () => {
    const width = target.clientWidth;
    if (!width) return;
    plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const axis = {
      stroke: style.getPropertyValue("--sonas-muted").trim(),
      grid: { stroke: style.getPropertyValue("--sonas-line").trim(), width: 1 },
      ticks: { show: false },
    };
    plot = new uPlot(
      {
        width,
        height: HEIGHT,
        legend: { show: false },
        cursor: { show: false },
        scales: { y: { range: (_, __, high) => [0, Math.max(high * 1.08, 1)] } },
        axes: [axis, { ...axis, size: 64, values: (_, figures) => figures.map(count) }],
        series: [
          {},
          ...names.map((label, nth) => ({ label, stroke: colour(nth), dash: DASHES[nth % DASHES.length], width: 2 })),
        ],
      },
      [buckets.map((at) => Date.parse(at) / 1000), ...names.map((name) => series[name])],
      target,
    );
  };
  new ResizeObserver(() => (plot ? plot.setSize({ width: target.clientWidth, height: HEIGHT }) : draw())).observe(target);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  return names.map((name, nth) => [name, swatch(nth)]);
}

function swatch(nth) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 12 12");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  line.setAttribute("width", "12");
  line.setAttribute("height", "12");
  line.setAttribute("rx", "2");
  line.setAttribute("fill", colour(nth));
  svg.append(line);
  return svg;
}
