// What credits went into in the running period: by model, and by project.

import { bdi, h } from "./dom.js";
import rates from "./words/rates.js";

// Who asks for this when it is needed adds the words.
export { rates };

export class UsageDrains {
  #ask;
  #found = null;
  #asked = null;
  #words = null;
  #title = h("h3", { id: "drains" });
  #lists = h("div", { class: "drains" });

  constructor(ask) {
    this.#ask = ask;
    this.element = h("section", { class: "wide", "aria-labelledby": "drains", hidden: true }, this.#title, this.#lists);
  }

  forget() {
    this.#found = this.#asked = null;
    this.#lists.replaceChildren();
    this.element.hidden = true;
  }

  // Asks again when something was used.
  async show(report, words) {
    this.#words = words;
    const asked = JSON.stringify([report.period.start, report.operations[0]]);
    if (this.#asked !== asked) {
      this.#asked = asked;
      const found = await this.#ask("api/usage/drains").catch(() => null);
      if (this.#asked !== asked) return;
      if (!found) this.#asked = null;
      else this.#found = found;
    }
    this.#draw();
  }

  #draw() {
    const { models = [], projects = [], since } = this.#found ?? {};
    this.element.hidden = !models.length && !projects.length;
    if (this.element.hidden) return;
    this.#title.textContent = this.#words.t("drain.title", { when: this.#words.date(since) });
    this.#lists.replaceChildren(
      ...[["models", models], ["projects", projects]].filter(([, rows]) => rows.length).map(([key, rows]) => this.#list(key, rows)),
    );
  }

  #list(key, rows) {
    const words = this.#words;
    const largest = Math.max(...rows.map((row) => row.credits), 1);
    const row = (one) => {
      const bar = h("div", { class: "fill" });
      bar.style.width = `${(100 * one.credits) / largest}%`;
      const cost = one.cost ? words.t("drain.cost", { n: words.exact(one.cost) }) : "";
      return h(
        "li",
        {},
        h("div", { class: "bar" }, h("span", { class: "name" }, bdi(one.name)), h("span", {}, words.amountOf(one.credit_type, one.credits))),
        h("div", { class: "meter", "aria-hidden": "true" }, bar),
        h("p", { class: "fine-print" }, h("span", {}, [words.t("drain.operations", { n: one.operations }), cost].filter(Boolean).join(" · "))),
      );
    };
    return h("div", {}, h("h4", {}, words.t(`drain.${key}`)), h("ul", { role: "list" }, ...rows.map(row)));
  }
}
