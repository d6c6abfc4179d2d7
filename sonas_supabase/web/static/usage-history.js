// The section with the history: a page of it at a time, one line per thing that happened, and on request which grants it
// touched. Filters by type and time; all of it as a file.

import { h, icon } from "./dom.js";
import { explanation, titleOf } from "./usage-parts.js";
import { addWords } from "./words.js";

const PAGE = 50;
const DAYS = 30;
const COLUMNS = ["what", "type", "when", "credits", "after"];

// Lines that are one thing that happened, in order.
function grouped(lines) {
  const groups = new Map();
  for (const line of lines) groups.set(line.group, [...(groups.get(line.group) ?? []), line]);
  return [...groups.values()];
}

export class UsageHistory {
  #ask;
  #save;
  #again;
  #words = null;
  #open = new Map();
  #report = null;
  // The cursors of the pages up to this one; the first page has none.
  #cursors = [null];
  #page = null;
  #turn = 0;
  #rows = h("tbody", { role: "rowgroup" });
  #head = h("tr", { role: "row" });
  #title = h("h3", { id: "history" });
  #types = h("select", { "data-key": "history-type", onchange: () => this.#choose() });
  #times = h("select", { "data-key": "history-time", onchange: () => this.#choose() });
  #from = h("input", { type: "date", "data-key": "history-from", onchange: () => this.#choose() });
  #to = h("input", { type: "date", "data-key": "history-to", onchange: () => this.#choose() });
  #dates = h("span", { class: "dates", hidden: true }, this.#from, this.#to);
  #csv = h("button", { type: "button", class: "quiet", onclick: () => this.#saveFile() });
  #empty = h("p", { class: "empty" });
  #retry = null;
  #tryAgain = h("button", { type: "button", class: "quiet", "data-key": "history-again", onclick: () => this.#retry?.() });
  #wrong = h("span");
  #failed = h("p", { class: "failed", role: "alert", hidden: true }, this.#wrong, " ", this.#tryAgain);
  #newer = h("button", { type: "button", class: "quiet", "data-key": "newer", onclick: () => this.#turnTo(-1) });
  #older = h("button", { type: "button", class: "quiet", "data-key": "older", onclick: () => this.#turnTo(1) });

  // `ask` asks the app for a path; `save` saves what a path answers as a file; `again` is called when something else than
  // the figures has changed.
  constructor({ ask, save, again }) {
    this.#ask = ask;
    this.#save = save;
    this.#again = again;
    this.element = h(
      "section",
      { class: "history wide", "aria-labelledby": "history" },
      h("div", { class: "bar" }, this.#title, h("div", { class: "filters" }, this.#types, this.#times, this.#dates, this.#csv)),
      h(
        "table",
        { role: "table", "aria-labelledby": "history" },
        h("thead", { role: "rowgroup" }, this.#head),
        this.#rows,
      ),
      this.#empty,
      this.#failed,
      h("div", { class: "pager" }, this.#newer, this.#older),
    );
  }

  forget() {
    this.#turn += 1;
    this.#open.clear();
    this.#report = this.#page = null;
    this.#cursors = [null];
    for (const part of [this.#rows, this.#types, this.#times, this.#empty]) part.replaceChildren();
    this.#from.value = this.#to.value = "";
    this.#dates.hidden = this.#failed.hidden = true;
  }

  // For a page that the panel's own words lead to.
  reveal() {
    this.element.scrollIntoView({ block: "start" });
    this.#types.focus();
  }

  show(report, types, words) {
    const isFirst = !this.#report || this.#words !== words;
    this.#report = report;
    this.#words = words;
    if (isFirst) this.#label();
    this.#fillTypes(types);
    // The newest lines come with the report. What is filtered or older is asked for, the newest page again.
    if (this.#isPlain) this.#page = this.#cursors.length === 1 ? { operations: report.operations, next_cursor: report.next_cursor } : this.#page;
    else if (this.#cursors.length === 1 && this.#page) this.#load();
    this.#draw();
  }

  get #isPlain() {
    return !this.#types.value && !this.#times.value;
  }

  #label() {
    const t = (key, values) => this.#words.t(`history.${key}`, values);
    const cells = COLUMNS.map((name, at) =>
      h("th", { role: "columnheader", scope: "col", class: at > 2 ? "figure" : "" }, t(name)),
    );
    this.#head.replaceChildren(...cells);
    this.#title.textContent = t("title");
    for (const [field, key] of [[this.#types, "filter_type"], [this.#times, "filter_time"], [this.#from, "from"], [this.#to, "to"]]) {
      field.setAttribute("aria-label", t(key));
    }
    const times = { "": t("ever"), period: t("period"), days: t("days", { n: DAYS }), dates: t("dates") };
    this.#times.replaceChildren(...Object.entries(times).map(([value, name]) => h("option", { value }, name)));
    this.#csv.textContent = t("csv");
    this.#newer.textContent = t("newer");
    this.#older.textContent = t("older");
    this.#wrong.textContent = t("failed");
    this.#tryAgain.textContent = t("again");
  }

  #fillTypes(types) {
    const chosen = this.#types.value;
    const names = [["", this.#words.t("history.types")], ...types.map((type) => [type, this.#words.nameOf(type)])];
    this.#types.replaceChildren(...names.map(([value, name]) => h("option", { value, selected: value === chosen }, name)));
  }

  #choose() {
    this.#failed.hidden = true;
    this.#dates.hidden = this.#times.value !== "dates";
    this.#cursors = [null];
    this.#page = null;
    if (this.#isPlain) this.#again();
    else this.#load();
  }

  // What is asked for: a type, and a window of time in the viewer's own days.
  #query() {
    const query = new URLSearchParams();
    if (this.#types.value) query.set("type", this.#types.value);
    const { period, now } = this.#report;
    const midnight = (day, later) => {
      const at = new Date(`${day}T00:00`);
      at.setDate(at.getDate() + later);
      return at.toISOString();
    };
    if (this.#times.value === "period" && period.start) query.set("since", period.start);
    if (this.#times.value === "days") query.set("since", new Date(Date.parse(now) - DAYS * 86400_000).toISOString());
    if (this.#times.value === "dates") {
      if (this.#from.value) query.set("since", midnight(this.#from.value, 0));
      if (this.#to.value) query.set("until", midnight(this.#to.value, 1));
    }
    return query;
  }

  async #load() {
    const turn = ++this.#turn;
    const query = this.#query();
    query.set("limit", PAGE);
    if (this.#cursors.at(-1)) query.set("cursor", this.#cursors.at(-1));
    this.#older.disabled = this.#newer.disabled = true;
    try {
      const page = await this.#ask(`api/usage/operations?${query}`);
      if (turn !== this.#turn) return true;
      this.#page = page;
      this.#failed.hidden = true;
      return true;
    } catch {
      if (turn === this.#turn) this.#fail(() => this.#load());
      return false;
    } finally {
      this.#older.disabled = this.#newer.disabled = false;
      if (turn === this.#turn) this.#again();
    }
  }

  async #turnTo(step) {
    const before = this.#cursors;
    this.#cursors = step > 0 ? [...before, this.#page.next_cursor] : before.slice(0, -1);
    if (this.#cursors.length === 1 && this.#isPlain) this.#again();
    else if (!(await this.#load())) {
      this.#cursors = before;
      this.#fail(() => this.#turnTo(step));
    }
    this.element.scrollIntoView({ block: "nearest" });
  }

  #fail(retry) {
    this.#retry = retry;
    this.#failed.hidden = false;
  }

  async #saveFile() {
    this.#csv.disabled = true;
    this.#csv.textContent = this.#words.t("history.saving");
    this.#failed.hidden = true;
    await this.#save(`api/usage/history.csv?${this.#query()}`, "credits.csv").catch(() => this.#fail(() => this.#saveFile()));
    this.#csv.disabled = false;
    this.#csv.textContent = this.#words.t("history.csv");
  }

  #draw() {
    const groups = grouped(this.#page?.operations ?? []);
    this.#rows.replaceChildren(...groups.flatMap((lines) => this.#row(lines)));
    this.#empty.textContent = this.#words.t(this.#isPlain ? "history.empty" : "history.none");
    this.#empty.hidden = groups.length > 0 || !this.#page;
    this.#older.hidden = !this.#page?.next_cursor;
    this.#newer.hidden = this.#cursors.length === 1;
  }

  #row(lines) {
    const words = this.#words;
    const [line] = lines;
    const key = line.group;
    const details = this.#open.get(key);
    const asked = line.refused && line.required !== null && words.t("history.asked", line);
    const button = h(
      "button",
      {
        type: "button",
        class: "open",
        "aria-expanded": String(Boolean(details)),
        "aria-controls": `details-${key}`,
        "data-key": key,
        onclick: () => this.#toggle(lines),
      },
      icon("down"),
      h("span", {}, ...[titleOf(lines, words)].flat()),
    );
    const when = h("time", { datetime: line.created_at, title: words.fullTime(line.created_at) }, words.time(line.created_at));
    const cell = (kind, ...content) => h("td", { role: "cell", class: kind }, ...content);
    const sums = line.refused ? [line] : netOf(lines);
    const stacked = (write) => sums.map((sum) => h("span", { class: "part", "data-name": words.nameOf(sum.credit_type) }, write(sum)));
    const isGiven = sums.every((sum) => sum.amount > 0);
    return [
      h(
        "tr",
        {
          role: "row",
          class: [line.refused ? "refused" : isGiven ? "given" : "", sums.length > 1 ? "several" : ""].join(" ").trim(),
        },
        cell("what", button, asked && h("span", { class: "asked" }, asked)),
        cell("type", ...stacked((sum) => words.nameOf(sum.credit_type))),
        cell("when", when),
        cell("figure cost", ...(line.refused ? [words.t("history.refused")] : stacked((sum) => words.change(sum.amount)))),
        cell(sums.every((sum) => sum.balance_after === null) ? "figure after none" : "figure after", ...stacked((sum) => (sum.balance_after === null ? "–" : words.count(sum.balance_after)))),
      ),
      h(
        "tr",
        { role: "row", class: "explained", id: `details-${key}`, hidden: !details },
        h("td", { role: "cell", colspan: "5" }, details ?? ""),
      ),
    ];
  }

  async #toggle(lines) {
    const key = lines[0].group;
    if (this.#open.delete(key)) return this.#again();
    this.#open.set(key, h("p", {}, this.#words.t("history.looking")));
    this.#again();
    const ids = [...new Set(lines.map((line) => line.operation_id))];
    const look = async () => {
      if (lines[0].refused) return explanation(lines, [], this.#words);
      const found = await Promise.all(ids.map((id) => this.#ask(`api/usage/operations/${id}`)));
      const of = Object.fromEntries(ids.map((id, nth) => [id, found[nth]]));
      const { receiptOf, rates } = await import("./usage-receipt.js");
      addWords(rates);
      return explanation(lines, lines.map((line) => of[line.operation_id]), this.#words, receiptOf);
    };
    const details = await look().catch((problem) => h("p", {}, problem.say?.(this.#words) ?? ""));
    // It may have been closed again meanwhile.
    if (this.#open.has(key)) this.#open.set(key, details);
    this.#again();
  }
}

// What a group did to each credit type, and the balance after it: the newest line of a type comes first.
function netOf(lines) {
  const sums = new Map();
  for (const { credit_type, amount, balance_after } of lines) {
    const sum = sums.get(credit_type) ?? { credit_type, amount: 0, balance_after };
    sums.set(credit_type, { ...sum, amount: sum.amount + amount });
  }
  return [...sums.values()];
}
