// <sonas-usage>: what somebody has, what it was used for, and where to get more. For any page:
//
//   <script type="module" src="https://your-app/sonas-usage.js"></script>
//   <sonas-usage token="the user's access token"></sonas-usage>
//
// src      where the app is; by default where this script came from
// token    the access token, as an attribute or a property; set it anew when it is refreshed
// days     how many days the chart has, 30 by default
// view     "compact" leaves out chart and history
// quiet    leaves it to the page to say that the server cannot be reached
//
// Events: sonas-usage (detail: the report) and sonas-unauthorized (the token is not good any more).

import { ask, home } from "./api.js";
import { h } from "./dom.js";
import { feedFor, forgetFeedsOf, ownerOf } from "./feed.js";
import { UsageByDay } from "./usage-days.js";
import { UsageHistory } from "./usage-history.js";
import { balanceRow, headOf, warningsOf } from "./usage-parts.js";
import { sheet } from "./usage-style.js";

const ORDER = ["message", "integration", "project"];
const place = (balance) => (ORDER.includes(balance.credit_type) ? ORDER.indexOf(balance.credit_type) : ORDER.length);

class SonasUsage extends HTMLElement {
  static observedAttributes = ["src", "token", "days", "view"];

  #feed = null;
  #token = null;
  #drawn = {};
  #live = h("p", { class: "hidden", role: "status" });
  #note = h("p", { class: "note" }, "Loading your usage …");
  #head = h("header", { class: "head" });
  #warnings = h("div", { class: "warnings" });
  #balances = h("ul", { class: "balances", role: "list" });
  #byDay = new UsageByDay(() => this.#redraw("chart"));
  #history = new UsageHistory(
    (path) => ask(path, { base: this.#base, token: this.#token }),
    () => this.#redraw("history"),
  );
  #body = h(
    "div",
    { hidden: true },
    this.#head,
    this.#warnings,
    this.#balances,
    this.#byDay.element,
    this.#history.element,
  );

  get token() {
    return this.#token;
  }

  set token(value) {
    if (!value || ownerOf(value) !== ownerOf(this.#token)) this.#forget(ownerOf(this.#token));
    this.#token = value || null;
    if (this.isConnected) this.#join();
  }

  get isSeen() {
    return this.checkVisibility();
  }

  get #base() {
    return this.hasAttribute("src") ? new URL(this.getAttribute("src").replace(/\/?$/, "/"), document.baseURI) : home;
  }

  connectedCallback() {
    if (!this.shadowRoot) {
      const root = this.attachShadow({ mode: "open" });
      root.adoptedStyleSheets = [sheet];
      root.append(this.#live, this.#note, this.#body);
    }
    this.#join();
  }

  disconnectedCallback() {
    this.#feed?.leave(this);
    this.#feed = null;
  }

  attributeChangedCallback(name, before, value) {
    if (name === "token") this.token = value;
    else if (this.isConnected && before !== value) this.#join();
  }

  refresh() {
    return this.#feed?.refresh();
  }

  #join() {
    this.#feed?.leave(this);
    this.#feed = null;
    if (!this.#token) return this.#say("Sign in to see your usage.");
    this.#feed = feedFor(this.#base.href, Number(this.getAttribute("days")) || 30, ownerOf(this.#token));
    this.#feed.use(this.#token);
    this.#feed.join(this);
    if (this.#feed.report) this.show(this.#feed);
    else this.#say("Loading your usage …");
  }

  // Nothing of the person who was shown stays in the page, not even where it cannot be seen.
  #forget(person) {
    if (person) forgetFeedsOf(person);
    this.#drawn = {};
    this.#live.textContent = "";
    this.#history.forget();
    this.#byDay.forget();
    for (const part of [this.#head, this.#warnings, this.#balances]) part.replaceChildren();
  }

  #say(sentence) {
    this.#note.textContent = sentence;
    this.#note.hidden = false;
    this.#body.hidden = true;
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
    const isOld = problem && !this.hasAttribute("quiet");
    this.#note.hidden = !isOld;
    this.#note.textContent = isOld ? "These figures may be old: the server cannot be reached. Trying again …" : "";
    this.#body.hidden = false;
    this.#fill(report);
    this.dispatchEvent(new CustomEvent("sonas-usage", { detail: report, bubbles: true, composed: true }));
  }

  #fill(report) {
    const upgradeUrl = new URL(report.upgrade_url, this.#base).href;
    const balances = report.balances.toSorted((a, b) => place(a) - place(b));
    this.#draw("head", [report.plan, report.period, report.can_upgrade], () =>
      this.#head.replaceChildren(...headOf(report, upgradeUrl)),
    );
    this.#draw("warnings", [report.warnings, report.can_upgrade], () => {
      this.#warnings.replaceChildren(...warningsOf(report, upgradeUrl));
      this.#live.textContent = report.warnings.map((warning) => warning.message).join(" ");
    });
    this.#draw("balances", balances, () => this.#balances.replaceChildren(...balances.map(balanceRow)));
    if (this.getAttribute("view") === "compact") return;
    this.#draw("chart", report.series, () => this.#byDay.show(report.series, balances));
    this.#draw("history", [report.operations, report.next_cursor], () => this.#history.show(report));
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

  #redraw(part) {
    this.#drawn[part] = null;
    if (this.#feed?.report) this.#fill(this.#feed.report);
  }
}

if (!customElements.get("sonas-usage")) customElements.define("sonas-usage", SonasUsage);
