// The section with the history: what each operation cost, and on request which grants it took that from.

import { h, icon } from "./dom.js";
import { change, count, fullTime, nameOf, time } from "./format.js";
import { explanation } from "./usage-parts.js";

const COLUMNS = ["What", "Type", "When", "Credits", "Balance after"];
const keyOf = (line) => `${line.operation_id}-${line.kind}-${line.credit_type}`;
const byTime = (a, b) => b.created_at.localeCompare(a.created_at);

export class UsageHistory {
  #ask;
  #again;
  #seen = new Map();
  #open = new Map();
  #isLong = false;
  #cursor = null;
  #rows = h("tbody", { role: "rowgroup" });
  #empty = h("p", { class: "empty" }, "Nothing yet. What you spend shows here at once.");
  #more = h("button", { type: "button", class: "quiet", onclick: () => this.#loadOlder() }, "Show older");

  // `ask` asks the app for a path; `again` is called when something else than the figures has changed.
  constructor(ask, again) {
    this.#ask = ask;
    this.#again = again;
    const head = COLUMNS.map((name, at) =>
      h("th", { role: "columnheader", scope: "col", class: at > 2 ? "figure" : "" }, name),
    );
    this.element = h(
      "section",
      { class: "history wide", "aria-labelledby": "history" },
      h("h3", { id: "history" }, "History"),
      h(
        "table",
        { role: "table", "aria-labelledby": "history" },
        h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...head)),
        this.#rows,
      ),
      this.#empty,
      this.#more,
    );
  }

  forget() {
    this.#seen.clear();
    this.#open.clear();
    this.#isLong = false;
    this.#cursor = null;
    this.#rows.replaceChildren();
  }

  show({ operations, next_cursor: cursor }) {
    for (const line of operations) this.#seen.set(keyOf(line), line);
    if (!this.#isLong) this.#cursor = cursor;
    const lines = this.#isLong ? [...this.#seen.values()].sort(byTime) : operations;
    this.#rows.replaceChildren(...lines.flatMap((line) => this.#row(line)));
    this.#empty.hidden = lines.length > 0;
    this.#more.hidden = !this.#cursor;
  }

  #row(line) {
    const key = keyOf(line);
    const details = this.#open.get(key);
    const button = h(
      "button",
      {
        type: "button",
        class: "open",
        "aria-expanded": String(Boolean(details)),
        "aria-controls": `details-${key}`,
        "data-key": key,
        onclick: () => this.#toggle(line),
      },
      icon("down"),
      h("span", {}, line.title),
    );
    const when = h("time", { datetime: line.created_at, title: fullTime(line.created_at) }, time(line.created_at));
    const cell = (kind, ...content) => h("td", { role: "cell", class: kind }, ...content);
    return [
      h(
        "tr",
        { role: "row", class: line.refused ? "refused" : line.amount > 0 ? "given" : "" },
        cell("what", button),
        cell("type", nameOf(line.credit_type)),
        cell("when", when),
        cell("figure cost", line.refused ? "refused" : change(line.amount)),
        cell("figure after", line.balance_after === null ? "–" : count(line.balance_after)),
      ),
      h(
        "tr",
        { role: "row", class: "explained", id: `details-${key}`, hidden: !details },
        h("td", { role: "cell", colspan: "5" }, details ?? ""),
      ),
    ];
  }

  async #toggle(line) {
    const key = keyOf(line);
    if (this.#open.delete(key)) return this.#again();
    this.#open.set(key, h("p", {}, "Looking it up …"));
    this.#again();
    const path = `api/usage/operations/${line.operation_id}`;
    const details = await this.#ask(path).then(
      (operation) => explanation(line, operation),
      (problem) => h("p", {}, problem.message),
    );
    // It may have been closed again meanwhile.
    if (this.#open.has(key)) this.#open.set(key, details);
    this.#again();
  }

  async #loadOlder() {
    this.#more.disabled = true;
    try {
      const page = await this.#ask(`api/usage/operations?limit=20&cursor=${encodeURIComponent(this.#cursor)}`);
      for (const line of page.operations) this.#seen.set(keyOf(line), line);
      this.#isLong = true;
      this.#cursor = page.next_cursor;
      this.#more.textContent = "Show older";
    } catch {
      this.#more.textContent = "That did not work. Try again";
    }
    this.#more.disabled = false;
    this.#again();
  }
}
