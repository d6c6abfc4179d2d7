// The section with the chart: one credit type at a time, and the same figures as a table. What is counted is the period
// that the meter counts; what was used before it stands beside it.

import { h } from "./dom.js";

const sum = (figures) => figures.reduce((total, figure) => total + figure, 0);

export class UsageByDay {
  #chosen = null;
  #again;
  #words = null;
  #chart = null;
  #draw = () => {};
  #title = h("h3", { id: "by-day" });
  #types = h("div", { class: "types", role: "group" });
  #total = h("p", { class: "total" });
  #canvas = h("div", { class: "canvas", role: "img" });
  #head = h("tr", {});
  #rows = h("tbody", {});
  #summary = h("summary", {});
  #scroll = null;

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
    const table = h("table", {}, h("thead", {}, this.#head), this.#rows);
    this.#scroll = h("div", { class: "scroll", tabindex: "0", role: "group" }, table);
    this.element = h(
      "section",
      { class: "chart wide", "aria-labelledby": "by-day" },
      h("div", { class: "bar" }, this.#title, this.#types),
      this.#total,
      h("div", { class: "frame" }, this.#canvas, tip),
      h("details", { class: "days" }, this.#summary, this.#scroll),
    );
  }

  forget() {
    this.#chosen = null;
    for (const part of [this.#types, this.#total, this.#rows]) part.replaceChildren();
    this.#canvas.removeAttribute("aria-label");
    this.#draw = () => {};
    this.#chart?.forget();
  }

  // The page around it has other colours now.
  repaint() {
    this.#draw();
  }

  #label(words) {
    this.#words = words;
    this.#title.textContent = this.#summary.title = words.t("chart.title");
    this.#types.setAttribute("aria-label", words.t("chart.types"));
    this.#scroll.setAttribute("aria-label", words.t("chart.title"));
    this.#summary.textContent = words.t("chart.table");
    const names = ["day", "used_head", "refused_head"].map((key) => h("th", { scope: "col" }, words.t(`chart.${key}`)));
    this.#head.replaceChildren(...names);
  }

  show(series, balances, words) {
    if (this.#words !== words) this.#label(words);
    const { days, credits, refused, since_renewal: since, renewed_on: renewedOn } = series;
    const types = balances.map((balance) => balance.credit_type);
    if (!types.includes(this.#chosen)) this.#chosen = types[0];
    const balance = balances.find((one) => one.credit_type === this.#chosen);
    const used = credits[this.#chosen] ?? [];
    const denied = refused[this.#chosen] ?? [];
    // Of a limit nothing is renewed, so the days are all there is to count.
    const renewed = renewedOn && balance?.kind !== "limit" ? renewedOn : null;
    const current = renewed ? (since[this.#chosen] ?? []) : used;
    this.#types.replaceChildren(...types.map((type) => this.#choice(type)));
    this.#total.replaceChildren(...this.#inAll(renewed ? balance.used : sum(used), renewed, days, sum(denied)));
    this.#canvas.setAttribute("aria-label", inWords(this.#chosen, days, used, words));
    this.#rows.replaceChildren(...days.map((day, at) => this.#row(day, used[at], denied[at], renewed)).toReversed());
    const boundary = renewed ? days.indexOf(renewed) : -1;
    this.#draw = () => this.#chart?.show({ days, used, current, refused: denied, boundary }, words);
    this.#draw();
  }

  #inAll(total, renewed, days, denied) {
    const words = this.#words;
    const when = renewed && words.calendarDate(renewed);
    return [
      h("strong", {}, words.count(total)),
      ` ${when ? words.t("chart.since", { when }) : words.t("chart.in_days", { n: days.length })}`,
      denied ? h("span", { class: "refusals" }, words.t("chart.refused", { n: denied })) : "",
    ];
  }

  #row(day, used, denied, renewed) {
    const words = this.#words;
    const mark = day === renewed ? ` · ${words.t("chart.renewed")}` : "";
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, `${words.calendarDay(day)}${mark}`),
      h("td", {}, words.count(used)),
      h("td", {}, words.count(denied)),
    );
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
      this.#words.nameOf(type),
    );
  }
}

function inWords(creditType, days, used, words) {
  const peak = Math.max(...used);
  const day = words.calendarDay(days[used.indexOf(peak)] ?? days[0]);
  const most = peak ? `, ${words.t("chart.most", { day, n: peak })}` : "";
  const [from, to] = [words.calendarDay(days[0]), words.calendarDay(days.at(-1))];
  return `${words.t("chart.words", { what: words.nameOf(creditType), from, to, n: sum(used) })}${most}.`;
}
