// Use by day, as bars. A table beside it says the same to those who cannot see a canvas.

import uPlot from "./vendor/uplot.js";
import style from "./vendor/uplot.css.js";
import { calendarDay, count } from "./format.js";

const HEIGHT = 180;

// The next figure above that four grid lines divide into whole credits.
function roundUp(figure) {
  const step = Math.max(figure / 4, 1);
  const size = 10 ** Math.floor(Math.log10(step));
  return 4 * size * [1, 2, 3, 4, 5, 6, 8, 10].find((factor) => factor * size >= step);
}

const sheet = new CSSStyleSheet();
sheet.replaceSync(style);

export class UsageChart {
  #target;
  #tip;
  #plot = null;
  #days = [];
  #data = null;
  #refused = [];

  constructor(target, tip) {
    this.#target = target;
    this.#tip = tip;
    const root = target.getRootNode();
    root.adoptedStyleSheets = [sheet, ...root.adoptedStyleSheets];
    new ResizeObserver(() => this.#fit()).observe(target);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
    matchMedia("print").addEventListener("change", () => this.#draw());
  }

  forget() {
    this.#plot?.destroy();
    this.#plot = this.#data = null;
    this.#tip.textContent = "";
    this.#tip.hidden = true;
  }

  show(days, credits, refused) {
    this.#days = days;
    this.#refused = refused;
    // A mark above the bar: attempts are not credits, so they have no height.
    const above = 0.06 * roundUp(Math.max(...credits) * 1.08);
    this.#data = [days.map((_, at) => at), credits, refused.map((figure, at) => (figure ? credits[at] + above : null))];
    this.#draw();
  }

  // As many days as have room for their names; today is always one of them.
  #labelled(width) {
    const step = Math.ceil(this.#days.length / Math.max(Math.floor(width / 72), 1));
    return this.#data[0].filter((at) => (this.#days.length - 1 - at) % step === 0);
  }

  #peak() {
    return Math.max(...this.#data[1], ...this.#data[2]);
  }

  #fit() {
    const width = this.#target.clientWidth;
    if (!width || !this.#data) return;
    if (this.#plot) this.#plot.setSize({ width, height: HEIGHT });
    else this.#draw();
  }

  #draw() {
    const width = this.#target.clientWidth;
    if (!width || !this.#data) return;
    this.#plot?.destroy();
    const style = getComputedStyle(this.#target);
    const color = (name) => style.getPropertyValue(name).trim();
    const axis = {
      stroke: color("--_muted"),
      font: `11px ${style.fontFamily}`,
      ticks: { show: false },
      grid: { stroke: color("--_line"), width: 1 },
    };
    const bars = { paths: uPlot.paths.bars({ size: [0.7, 28, 1], radius: 0.25 }), points: { show: false } };
    this.#plot = new uPlot(
      {
        width,
        height: HEIGHT,
        legend: { show: false },
        padding: [12, width < 640 ? 18 : 4, 0, 0],
        cursor: { x: false, y: false, points: { show: false }, drag: { x: false, y: false } },
        scales: {
          x: { time: false, range: (_, low, high) => [low - 0.6, high + 0.6] },
          y: { range: (_, __, high) => [0, roundUp(high)] },
        },
        axes: [
          {
            ...axis,
            grid: { show: false },
            gap: 6,
            size: 28,
            splits: () => this.#labelled(width),
            values: (_, places) => places.map((at) => (this.#days[at] ? calendarDay(this.#days[at]) : "")),
          },
          {
            ...axis,
            size: 12 + 7 * count(roundUp(this.#peak())).length,
            gap: 6,
            splits: (_, __, low, high) => [low, high / 4, high / 2, (high / 4) * 3, high],
            values: (_, figures) => figures.map(count),
          },
        ],
        series: [
          {},
          { label: "used", fill: color("--_accent"), stroke: color("--_accent"), width: 0, ...bars },
          {
            label: "refused",
            stroke: color("--_danger"),
            width: 0,
            paths: () => null,
            points: { show: true, size: 9, fill: color("--_danger"), stroke: color("--_surface"), width: 1 },
          },
        ],
        hooks: { setCursor: [(plot) => this.#point(plot)] },
      },
      this.#data,
      this.#target,
    );
  }

  #point(plot) {
    const at = plot.cursor.idx;
    const day = plot.cursor.left >= 0 && at !== null ? this.#days[at] : undefined;
    this.#tip.hidden = day === undefined;
    if (day === undefined) return;
    const refused = this.#refused[at];
    this.#tip.textContent = `${calendarDay(day)}: ${count(this.#data[1][at])} used${refused ? `, ${count(refused)} refused` : ""}`;
    const middle = plot.valToPos(at, "x") + plot.bbox.left / devicePixelRatio;
    const half = this.#tip.offsetWidth / 2;
    const left = Math.min(Math.max(middle - half, 0), this.#target.clientWidth - 2 * half);
    this.#tip.style.transform = `translateX(${left}px)`;
  }
}
