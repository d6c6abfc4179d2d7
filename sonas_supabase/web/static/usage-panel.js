// <sonas-usage>: what somebody has, what it was used for, and where to get more. For any page:
//
//   <script type="module" src="https://your-app/sonas-usage.js"></script>
//   <sonas-usage token="the user's access token"></sonas-usage>
//
// src      where the app is; by default where this script came from
// token    the access token, as an attribute or a property; set it anew when it is refreshed
// days     how many days the chart has, 30 by default
// view     "compact" leaves out chart and history
//
// Events: sonas-usage (detail: the report) and sonas-unauthorized (the token is not good any more).

import { ask, home } from "./api.js";
import { h, icon } from "./dom.js";
import { feedFor, ownerOf } from "./feed.js";
import { calendarDay, change, count, date, fromNow, fullTime, nameOf, sourceOf, time } from "./format.js";
import { UsageChart } from "./usage-chart.js";
import { sheet } from "./usage-style.js";

const ORDER = ["message", "integration", "project"];
const STATUS = { past_due: "Payment overdue", canceled: "Canceled", trialing: "Trial", frozen: "Frozen" };
const place = (balance) => (ORDER.includes(balance.credit_type) ? ORDER.indexOf(balance.credit_type) : ORDER.length);

class SonasUsage extends HTMLElement {
  static observedAttributes = ["src", "token", "days", "view"];

  #feed = null;
  #token = null;
  #parts = null;
  #chart = null;
  #chosen = null;
  #drawn = {};
  #open = new Map();
  #older = [];
  #noneOlder = false;

  get token() {
    return this.#token;
  }

  set token(value) {
    const isSamePerson = value && ownerOf(value) !== null && ownerOf(value) === ownerOf(this.#token);
    this.#token = value || null;
    if (!isSamePerson) {
      this.#older = [];
      this.#noneOlder = false;
      this.#open.clear();
    }
    this.#feed?.use(this.#token);
    if (!this.#token) this.#say("Sign in to see your usage.");
  }

  get isSeen() {
    return this.checkVisibility();
  }

  get #isCompact() {
    return this.getAttribute("view") === "compact";
  }

  get #base() {
    return this.hasAttribute("src") ? new URL(this.getAttribute("src").replace(/\/?$/, "/"), document.baseURI) : home;
  }

  connectedCallback() {
    if (!this.shadowRoot) this.#build();
    this.#join();
  }

  disconnectedCallback() {
    this.#feed?.leave(this);
    this.#feed = null;
  }

  attributeChangedCallback(name, before, value) {
    if (name === "token") this.token = value;
    else if (this.#feed && before !== value) this.#join();
  }

  refresh() {
    return this.#feed?.refresh();
  }

  #join() {
    this.#feed?.leave(this);
    this.#feed = feedFor(this.#base.href, Number(this.getAttribute("days")) || 30);
    if (this.#token) this.#feed.use(this.#token);
    this.#feed.join(this);
    if (this.#feed.report) this.show(this.#feed);
    else if (!this.#token) this.#say("Sign in to see your usage.");
  }

  #build() {
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    const tip = h("div", { class: "tip", hidden: true, "aria-hidden": "true" });
    const canvas = h("div", { class: "canvas", role: "img" });
    this.#parts = {
      live: h("p", { class: "hidden", role: "status" }),
      note: h("p", { class: "note" }, "Loading your usage …"),
      head: h("header", { class: "head" }),
      warnings: h("div", { class: "warnings" }),
      balances: h("ul", { class: "balances", role: "list" }),
      types: h("div", { class: "types", role: "group", "aria-label": "Credit type of the chart" }),
      total: h("p", { class: "total" }),
      canvas, tip,
      days: h("details", { class: "days" }),
      rows: h("tbody", { role: "rowgroup" }),
      more: h("button", { type: "button", class: "quiet", onclick: () => this.#loadOlder() }, "Show older"),
      empty: h("p", { class: "empty" }, "Nothing yet. What you spend shows here at once."),
    };
    const p = this.#parts;
    this.#chart = new UsageChart(canvas, tip);
    p.body = h("div", { class: "body", hidden: true },
      p.head, p.warnings, p.balances,
      h("section", { class: "chart wide", "aria-labelledby": "by-day" },
        h("div", { class: "bar" }, h("h3", { id: "by-day" }, "Usage by day"), p.types),
        p.total, h("div", { class: "frame" }, canvas, tip), p.days),
      h("section", { class: "history wide", "aria-labelledby": "history" },
        h("h3", { id: "history" }, "History"),
        h("table", { role: "table", "aria-labelledby": "history" },
          h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
            ...["What", "Type", "When", "Credits", "Balance after"].map((name, at) =>
              h("th", { role: "columnheader", scope: "col", class: at > 2 ? "figure" : "" }, name)))),
          p.rows),
        p.empty, p.more));
    root.append(p.live, p.note, p.body);
  }

  #say(sentence) {
    if (!this.#parts) return;
    this.#parts.note.textContent = sentence;
    this.#parts.note.hidden = false;
    this.#parts.body.hidden = true;
  }

  show({ report, problem }) {
    if (problem?.isSignedOut) {
      this.#say("Your session has ended. Sign in again to see your usage.");
      this.dispatchEvent(new CustomEvent("sonas-unauthorized", { bubbles: true, composed: true }));
      return;
    }
    if (!report) {
      if (problem) this.#say(problem.status ? problem.message : "Usage cannot be shown at the moment. Trying again …");
      return;
    }
    const p = this.#parts;
    p.note.hidden = !problem;
    p.note.textContent = problem ? "These figures may be old: the server cannot be reached. Trying again …" : "";
    p.body.hidden = false;
    const balances = report.balances.toSorted((a, b) => place(a) - place(b));
    this.#draw("head", [report.plan, report.period, report.can_upgrade], () => this.#head(report));
    this.#draw("warnings", report.warnings, () => this.#warnings(report));
    this.#draw("balances", balances, () => p.balances.replaceChildren(...balances.map(balanceRow)));
    if (!this.#isCompact) {
      this.#draw("chart", [report.series, this.#chosen], () => this.#series(report.series, balances));
      this.#draw("history", [report.operations, this.#older.length], () => this.#history(report.operations));
    }
    this.dispatchEvent(new CustomEvent("sonas-usage", { detail: report, bubbles: true, composed: true }));
  }

  // Redraws a part when what it shows has changed, and keeps the keyboard where it was.
  #draw(part, value, draw) {
    const text = JSON.stringify(value);
    if (this.#drawn[part] === text) return;
    this.#drawn[part] = text;
    const focused = this.shadowRoot.activeElement?.dataset.key;
    draw();
    if (focused) this.shadowRoot.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  #head({ plan, period, can_upgrade: canUpgrade, upgrade_url: url }) {
    const facts = [];
    if (period.end) {
      facts.push(h("p", { class: "period" },
        h("span", {}, `${date(period.start)} – ${date(period.end)}`),
        h("span", { class: "renews" }, `Renews ${fromNow(period.end)}, on `, h("time", { datetime: period.end }, fullTime(period.end)))));
    }
    if (plan.pending_plan) facts.push(h("p", { class: "pending" }, `Changes to ${plan.pending_plan} on ${fullTime(plan.pending_at)}.`));
    this.#parts.head.replaceChildren(
      h("div", { class: "bar" },
        h("h2", {}, h("span", { class: "plan" }, plan.name), " plan",
          STATUS[plan.status] && h("span", { class: "status" }, STATUS[plan.status])),
        canUpgrade && h("a", { href: this.#link(url), class: "upgrade", "data-key": "upgrade" }, "Upgrade")),
      ...facts);
  }

  #warnings({ warnings, upgrade_url: url, can_upgrade: canUpgrade }) {
    const boxes = warnings.map((warning) =>
      h("div", { class: `warning ${warning.level}` },
        icon("warn"),
        h("p", {}, h("strong", {}, warning.message), " ",
          warning.hint, warning.hint && " ",
          canUpgrade && h("a", { href: this.#link(url), "data-key": `upgrade-${warning.credit_type}` }, "Upgrade your plan"))));
    this.#parts.warnings.replaceChildren(...boxes);
    this.#parts.live.textContent = warnings.map((warning) => warning.message).join(" ");
  }

  #link(url) {
    return new URL(url, this.#base).href;
  }

  #series({ days, credits, refused }, balances) {
    const p = this.#parts;
    const types = balances.map((balance) => balance.credit_type);
    if (!types.includes(this.#chosen)) this.#chosen = types[0];
    const chosen = this.#chosen;
    p.types.replaceChildren(...types.map((type) =>
      h("button", {
        type: "button", "aria-pressed": String(type === chosen), "data-key": `type-${type}`,
        onclick: () => {
          this.#chosen = type;
          this.show(this.#feed);
        },
      }, nameOf(type))));
    const used = credits[chosen] ?? [];
    const denied = refused[chosen] ?? [];
    const sum = (figures) => figures.reduce((total, figure) => total + figure, 0);
    const total = sum(used);
    p.total.replaceChildren(h("strong", {}, count(total)), ` used in ${days.length} days`,
      sum(denied) ? h("span", { class: "refusals" }, `${count(sum(denied))} refused`) : "");
    const peak = Math.max(...used);
    p.canvas.setAttribute("aria-label",
      `${nameOf(chosen)} used by day, ${calendarDay(days[0])} to ${calendarDay(days.at(-1))}: ${count(total)} in all`
      + (peak ? `, most on ${calendarDay(days[used.indexOf(peak)])} with ${count(peak)}.` : "."));
    const isOpen = p.days.open;
    p.days.replaceChildren(
      h("summary", { "data-key": "days" }, "As a table"),
      h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Usage by day" },
        h("table", {},
          h("thead", {}, h("tr", {}, ...["Day", "Used", "Refused"].map((name) => h("th", { scope: "col" }, name)))),
          h("tbody", {}, ...days.map((day, at) => h("tr", {},
            h("th", { scope: "row" }, calendarDay(day)), h("td", {}, count(used[at])), h("td", {}, count(denied[at])))).toReversed()))));
    p.days.open = isOpen;
    this.#chart.show(days, used, denied);
  }

  #history(recent) {
    const known = new Set(recent.map(keyOf));
    const lines = [...recent, ...this.#older.filter((line) => !known.has(keyOf(line)))];
    const p = this.#parts;
    p.rows.replaceChildren(...lines.flatMap((line) => this.#line(line)));
    p.empty.hidden = lines.length > 0;
    p.more.hidden = this.#noneOlder || recent.length < 20;
  }

  #line(line) {
    const key = keyOf(line);
    const opened = this.#open.get(key);
    const id = `details-${key}`;
    const cost = line.refused ? "refused" : change(line.amount);
    const row = h("tr", { role: "row", class: line.refused ? "refused" : line.amount > 0 ? "given" : "" },
      h("td", { role: "cell", class: "what" },
        h("button", {
          type: "button", class: "open", "aria-expanded": String(Boolean(opened)), "aria-controls": id, "data-key": key,
          onclick: () => this.#toggle(line),
        }, icon("down"), h("span", {}, line.title))),
      h("td", { role: "cell", class: "type" }, nameOf(line.credit_type)),
      h("td", { role: "cell", class: "when" }, h("time", { datetime: line.created_at, title: fullTime(line.created_at) }, time(line.created_at))),
      h("td", { role: "cell", class: "figure cost" }, cost),
      h("td", { role: "cell", class: "figure after" }, line.balance_after === null ? "–" : count(line.balance_after)));
    const more = h("tr", { role: "row", class: "explained", id, hidden: !opened },
      h("td", { role: "cell", colspan: "5" }, opened ?? ""));
    return [row, more];
  }

  async #toggle(line) {
    const key = keyOf(line);
    if (this.#open.has(key)) this.#open.delete(key);
    else {
      this.#open.set(key, h("p", {}, "Looking it up …"));
      this.#redrawHistory();
      try {
        const explained = await ask(`api/usage/operations/${line.operation_id}`, { base: this.#base, token: this.#token });
        this.#open.set(key, explanation(line, explained));
      } catch (problem) {
        this.#open.set(key, h("p", {}, problem.message));
      }
    }
    this.#redrawHistory();
  }

  #redrawHistory() {
    this.#drawn.history = null;
    this.show(this.#feed);
  }

  async #loadOlder() {
    const lines = [...this.#feed.report.operations, ...this.#older];
    const before = encodeURIComponent(lines.at(-1).created_at);
    const page = await ask(`api/usage/operations?limit=20&before=${before}`, { base: this.#base, token: this.#token }).catch(() => []);
    this.#older.push(...page);
    this.#noneOlder = page.length < 20;
    this.#redrawHistory();
  }
}

const keyOf = (line) => `${line.operation_id}-${line.kind}-${line.credit_type}`;

function balanceRow(balance) {
  const name = nameOf(balance.credit_type);
  const level = balance.warning ?? "fine";
  const isLimit = balance.kind === "limit";
  if (balance.unlimited) {
    return h("li", { class: "balance" },
      h("div", { class: "bar" }, h("span", { class: "name" }, name), h("span", { class: "left" }, h("strong", {}, "Unlimited"))),
      h("p", { class: "fine-print" }, isLimit ? `${count(balance.used)} in use` : `${count(balance.used)} used this period`));
  }
  const whole = balance.used + balance.reserved + balance.remaining;
  const facts = [isLimit ? `${count(balance.used)} of ${count(whole)} in use` : `${count(balance.used)} of ${count(whole)} used`];
  if (balance.reserved) facts.push(`${count(balance.reserved)} on hold`);
  if (whole > balance.allowance) facts.push(`${count(whole - balance.allowance)} on top of the plan`);
  const fill = h("div", { class: "fill" });
  fill.style.width = `${Math.min(balance.percent_used, 100)}%`;
  return h("li", { class: `balance ${level}`, "data-type": balance.credit_type },
    h("div", { class: "bar" },
      h("span", { class: "name" }, name),
      h("span", { class: "left" }, h("strong", {}, count(balance.remaining)), " left")),
    h("div", {
      class: "meter", role: "meter", "aria-label": `${name} used`, "aria-valuemin": "0", "aria-valuemax": "100",
      "aria-valuenow": String(balance.percent_used), "aria-valuetext": `${balance.percent_used} %, ${facts[0]}`,
    }, fill),
    h("p", { class: "fine-print" }, h("span", {}, facts.join(" · ")), h("span", { class: "percent" }, `${balance.percent_used} %`)));
}

function explanation(line, operation) {
  if (line.refused) return h("p", {}, "Refused: there was not enough. It cost nothing and changed nothing.");
  const mine = operation.entries.filter((entry) => entry.kind === line.kind);
  const moved = mine.map((entry) => {
    const way = entry.amount < 0 ? "from" : "into";
    const until = entry.expires_at ? ` that expires on ${date(entry.expires_at)}` : "";
    return h("li", {}, `${count(Math.abs(entry.amount))} ${way} the ${sourceOf(entry.source)}${until}: `,
      `${count(entry.balance_before)} → ${count(entry.balance_after)}`);
  });
  const given = operation.refunds.map((refund) => h("li", {}, `${count(refund.amount)} given back on ${fullTime(refund.created_at)}`));
  return h("div", {}, h("ul", {}, ...moved, ...given), h("p", { class: "id" }, `Operation ${operation.operation_id}`));
}

if (!customElements.get("sonas-usage")) customElements.define("sonas-usage", SonasUsage);
