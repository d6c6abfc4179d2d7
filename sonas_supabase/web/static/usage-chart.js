// Use by day, as bars. A table beside it says the same to those who cannot see a canvas.

import uPlot from "./vendor/uplot.js";
import style from "./vendor/uplot.css.js";

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
  #shown = null;
  #words = null;

  constructor(target, tip) {
    this.#target = target;
    this.#tip = tip;
    const root = target.getRootNode();
    root.adoptedStyleSheets = [sheet, ...root.adoptedStyleSheets];
    new ResizeObserver(() => this.#fit()).observe(target);
    matchMedia("print").addEventListener("change", () => this.#draw());
  }

  forget() {
    this.#plot?.destroy();
    this.#plot = this.#data = null;
    this.#tip.textContent = "";
    this.#tip.hidden = true;
  }

  // `used` is what was used on each of the `days`, `current` the part of it in the running period, which began on the day
  // at `boundary` (-1 without one).
  show(shown, words) {
    const { days, used, current, refused } = shown;
    this.#days = days;
    this.#shown = shown;
    this.#words = words;
    // A mark above the bar: attempts are not credits, so they have no height.
    const above = 0.06 * roundUp(Math.max(...used) * 1.08);
    const marks = refused.map((figure, at) => (figure ? used[at] + above : null));
    this.#data = [days.map((_, at) => at), used, current, marks];
    this.#draw();
  }

  // As many days as have room for their names; today is always one of them.
  #labelled(width) {
    const step = Math.ceil(this.#days.length / Math.max(Math.floor(width / 72), 1));
    return this.#data[0].filter((at) => (this.#days.length - 1 - at) % step === 0);
  }

  #peak() {
    return Math.max(...this.#data[1], ...this.#data[3]);
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
    // As it is painted: what the property says may still depend on the scheme of the page.
    const probe = this.#target.appendChild(document.createElement("i"));
    const color = (name) => {
      probe.style.color = `var(${name})`;
      return getComputedStyle(probe).color;
    };
    const muted = color("--_muted");
    const axis = {
      stroke: muted,
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
        // The name of the last day stands in the middle below its bar.
        padding: [12, Math.max(4, Math.ceil(26 - width / this.#days.length / 2)), 0, 0],
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
            splits: (plot) => this.#labelled(plot.width),
            values: (_, places) => places.map((at) => (this.#days[at] ? this.#words.calendarDay(this.#days[at]) : "")),
          },
          {
            ...axis,
            size: 12 + 7 * this.#words.short(roundUp(this.#peak())).length,
            gap: 6,
            splits: (_, __, low, high) => [low, high / 4, high / 2, (high / 4) * 3, high],
            values: (_, figures) => figures.map((figure) => this.#words.short(figure)),
          },
        ],
        series: [
          {},
          { label: "before", fill: color("--_faint"), stroke: color("--_faint"), width: 0, ...bars },
          { label: "used", fill: color("--_accent"), stroke: color("--_accent"), width: 0, ...bars },
          {
            label: "refused",
            stroke: color("--_danger"),
            width: 0,
            paths: () => null,
            points: { show: true, size: 9, fill: color("--_danger"), stroke: color("--_surface"), width: 1 },
          },
        ],
        hooks: { setCursor: [(plot) => this.#point(plot)], draw: [(plot) => this.#mark(plot, muted, style.fontFamily)] },
      },
      this.#data,
      this.#target,
    );
    probe.remove();
  }

  // Where the period of the meter begins.
  #mark({ ctx, bbox, valToPos }, color, family) {
    const { boundary, days } = this.#shown;
    if (boundary < 1) return;
    const size = 11 * devicePixelRatio;
    const x = valToPos(boundary - 0.5, "x", true);
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = color;
    ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.font = `${size}px ${family}`;
    const isLeft = boundary < days.length / 2;
    ctx.textAlign = isLeft ? "left" : "right";
    ctx.textBaseline = "top";
    ctx.fillText(this.#words.t("chart.renewed"), x + (isLeft ? 4 : -4) * devicePixelRatio, bbox.top);
    ctx.restore();
  }

  #point(plot) {
    const at = plot.cursor.idx;
    const day = plot.cursor.left >= 0 && at !== null ? this.#days[at] : undefined;
    this.#tip.hidden = day === undefined;
    if (day === undefined) return;
    const { used, current, refused, boundary } = this.#shown;
    const t = (key, values) => this.#words.t(`chart.${key}`, values);
    const said = [t("tip", { day: this.#words.calendarDay(day), n: used[at] })];
    if (at === boundary && used[at] > current[at]) said.push(t("tip_before", { n: used[at] - current[at] }));
    if (refused[at]) said.push(t("refused", { n: refused[at] }));
    this.#tip.textContent = said.join(", ");
    const middle = plot.valToPos(at, "x") + plot.bbox.left / devicePixelRatio;
    const half = this.#tip.offsetWidth / 2;
    const left = Math.min(Math.max(middle - half, 0), this.#target.clientWidth - 2 * half);
    this.#tip.style.transform = `translateX(${left}px)`;
  }
}
