// The section with the chart: one credit type at a time, and the same figures as a table.

import { h } from "./dom.js";
import { calendarDay, count, nameOf } from "./format.js";

const sum = (figures) => figures.reduce((total, figure) => total + figure, 0);

export class UsageByDay {
  #chosen = null;
  #again;
  #chart = null;
  #draw = () => {};
  #types = h("div", { class: "types", role: "group", "aria-label": "Credit type of the chart" });
  #total = h("p", { class: "total" });
  #canvas = h("div", { class: "canvas", role: "img" });
  #rows = h("tbody", {});

  // `again` is called when another credit type was chosen.
  constructor(again) {
    this.#again = again;
    const tip = h("div", { class: "tip", hidden: true, "aria-hidden": "true" });
    // The library that draws comes when there is something to draw where somebody looks.
    const draw = async (seen, observer) => {
      if (!seen.some((one) => one.isIntersecting)) return;
      observer.disconnect();
      const { UsageChart } = await import("./usage-chart.js");
      this.#chart = new UsageChart(this.#canvas, tip);
      this.#draw();
    };
    new IntersectionObserver(draw, { rootMargin: "1500px" }).observe(this.#canvas);
    const head = h("tr", {}, ...["Day", "Used", "Refused"].map((name) => h("th", { scope: "col" }, name)));
    const table = h("table", {}, h("thead", {}, head), this.#rows);
    const scroll = h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Usage by day" }, table);
    this.element = h(
      "section",
      { class: "chart wide", "aria-labelledby": "by-day" },
      h("div", { class: "bar" }, h("h3", { id: "by-day" }, "Usage by day"), this.#types),
      this.#total,
      h("div", { class: "frame" }, this.#canvas, tip),
      h("details", { class: "days" }, h("summary", {}, "As a table"), scroll),
    );
  }

  forget() {
    this.#chosen = null;
    for (const part of [this.#types, this.#total, this.#rows]) part.replaceChildren();
    this.#canvas.removeAttribute("aria-label");
    this.#draw = () => {};
    this.#chart?.forget();
  }

  show({ days, credits, refused }, balances) {
    const types = balances.map((balance) => balance.credit_type);
    if (!types.includes(this.#chosen)) this.#chosen = types[0];
    const used = credits[this.#chosen] ?? [];
    const denied = refused[this.#chosen] ?? [];
    this.#types.replaceChildren(...types.map((type) => this.#choice(type)));
    this.#total.replaceChildren(
      h("strong", {}, count(sum(used))),
      ` used in ${days.length} days`,
      sum(denied) ? h("span", { class: "refusals" }, `${count(sum(denied))} refused`) : "",
    );
    this.#canvas.setAttribute("aria-label", inWords(this.#chosen, days, used));
    this.#rows.replaceChildren(
      ...days
        .map((day, at) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, calendarDay(day)),
            h("td", {}, count(used[at])),
            h("td", {}, count(denied[at])),
          ),
        )
        .toReversed(),
    );
    this.#draw = () => this.#chart?.show(days, used, denied);
    this.#draw();
  }

  #choice(type) {
    const choose = () => {
      this.#chosen = type;
      this.#again();
    };
    const isChosen = String(type === this.#chosen);
    return h(
      "button",
      { type: "button", "aria-pressed": isChosen, "data-key": `type-${type}`, onclick: choose },
      nameOf(type),
    );
  }
}

function inWords(creditType, days, used) {
  const peak = Math.max(...used);
  const most = peak ? `, most on ${calendarDay(days[used.indexOf(peak)])} with ${count(peak)}` : "";
  const span = `${calendarDay(days[0])} to ${calendarDay(days.at(-1))}`;
  return `${nameOf(creditType)} used by day, ${span}: ${count(sum(used))} in all${most}.`;
}
