// <sonas-usage>: what somebody has, what it was used for, and where to get more. For any page:
//
//   <script type="module" src="https://your-app/sonas-usage.js"></script>
//   <sonas-usage token="the user's access token"></sonas-usage>
//
// src      where the app is; by default where this script came from
// token    the access token, as an attribute or a property; set it anew when it is refreshed
// days     how many days the chart has; those of the running period, and thirty at least, unless said
// view     "compact" leaves out chart and history
// lang     "en" or "de"; the browser's language unless said
// theme    "light" or "dark"; that of the page around it unless said
// quiet    leaves it to the page to say that the server cannot be reached
//
// Events: sonas-usage (detail: the report), sonas-unauthorized (the token is not good any more) and sonas-history (somebody
// wants to see the history, which a compact panel does not have).

import { ask, home, Problem, send } from "./api.js";
import { h } from "./dom.js";
import { feedFor, forgetFeedsOf, ownerOf } from "./feed.js";
import { followTheme } from "./theme.js";
import { UsageByDay } from "./usage-days.js";
import { UsageHistory } from "./usage-history.js";
import { balanceRow, headOf } from "./usage-parts.js";
import { isWarned, sentenceOf, statesOf, warningsOf } from "./usage-states.js";
import { sheet } from "./usage-style.js";
import common from "./words/common.js";
import usageWords from "./words/usage.js";
import { addWords, wordsFor } from "./words.js";

addWords(common);
addWords(usageWords);

const ORDER = ["message", "integration", "project"];
const place = (balance) => (ORDER.includes(balance.credit_type) ? ORDER.indexOf(balance.credit_type) : ORDER.length);

class SonasUsage extends HTMLElement {
  static observedAttributes = ["src", "token", "days", "view", "lang", "workspace"];

  #feed = null;
  #token = null;
  #given = null;
  #drawn = {};
  #words = null;
  #live = h("p", { class: "hidden", role: "status" });
  #note = h("p", { class: "note" });
  #head = h("header", { class: "head" });
  #warnings = h("div", { class: "warnings" });
  #balances = h("ul", { class: "balances", role: "list" });
  #byDay = new UsageByDay(() => this.#redraw("chart"));
  #drains = null;
  #drainsPlace = h("div");
  #history = new UsageHistory({
    ask: (path) => this.#ask(path),
    save: (path, name) => this.#save(path, name),
    again: () => this.#redraw("history"),
  });
  #body = h(
    "div",
    { hidden: true },
    this.#head,
    this.#warnings,
    this.#balances,
    this.#byDay.element,
    this.#drainsPlace,
    this.#history.element,
  );

  // A page may have given the token before this script was there to take it.
  constructor() {
    super();
    if (!Object.hasOwn(this, "token")) return;
    this.#given = this.token;
    delete this.token;
  }

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
      followTheme(this, () => this.#byDay.repaint());
    }
    if (this.#given) this.#token = this.#given;
    this.#given = null;
    this.#join();
  }

  disconnectedCallback() {
    this.#feed?.leave(this);
    this.#feed = null;
  }

  attributeChangedCallback(name, before, value) {
    if (name === "token") this.token = value;
    else if (name === "lang" && this.#words) this.#translate();
    else if (name === "workspace" && before !== value) this.#change();
    else if (this.isConnected && before !== value) this.#join();
  }

  refresh() {
    return this.#feed?.refresh();
  }

  #translate() {
    this.#words = wordsFor(this.getAttribute("lang"));
    this.#drawn = {};
    if (this.#feed?.report) this.#fill(this.#feed.report);
  }

  #join() {
    this.#feed?.leave(this);
    this.#feed = null;
    this.#words ??= wordsFor(this.getAttribute("lang"));
    if (!this.#token) return this.#say("panel.sign_in");
    this.#feed = feedFor(this.#base.href, Number(this.getAttribute("days")) || null, this.getAttribute("workspace"), ownerOf(this.#token));
    this.#feed.use(this.#token);
    this.#feed.join(this);
    if (this.#feed.report) this.show(this.#feed);
    else this.#say("panel.loading");
  }

  // Another account of the same person: nothing of the one before stays.
  #change() {
    this.#clear();
    if (this.isConnected) this.#join();
  }

  #ask(path, options = {}) {
    return ask(this.#of(path), { base: this.#base, token: this.#token, ...options });
  }

  // What is asked for is of the account that is shown.
  #of(path) {
    const workspace = this.getAttribute("workspace");
    return workspace ? `${path}${path.includes("?") ? "&" : "?"}workspace=${encodeURIComponent(workspace)}` : path;
  }

  // Nothing of the person who was shown stays in the page, not even where it cannot be seen.
  #forget(person) {
    if (person) forgetFeedsOf(person);
    this.#clear();
  }

  #clear() {
    this.#drawn = {};
    this.#live.textContent = "";
    this.#history.forget();
    this.#byDay.forget();
    this.#drains?.forget();
    for (const part of [this.#head, this.#warnings, this.#balances]) part.replaceChildren();
  }

  #say(key) {
    this.#note.textContent = this.#words.t(key);
    this.#note.hidden = false;
    this.#body.hidden = true;
  }

  show({ report, problem }) {
    if (problem?.isSignedOut) {
      this.#say("panel.ended");
      this.dispatchEvent(new CustomEvent("sonas-unauthorized", { bubbles: true, composed: true }));
      return;
    }
    if (!report) {
      if (problem) this.#say("panel.away");
      return;
    }
    const isOld = problem && !this.hasAttribute("quiet");
    this.#note.hidden = !isOld;
    this.#note.textContent = isOld ? this.#words.t("panel.old") : "";
    this.#body.hidden = false;
    this.#fill(report);
    this.dispatchEvent(new CustomEvent("sonas-usage", { detail: report, bubbles: true, composed: true }));
  }

  get #isCompact() {
    return this.getAttribute("view") === "compact";
  }

  #fill(report) {
    const words = this.#words;
    const plans = new URL(report.upgrade_url, this.#base).href;
    const ways = { plans, history: () => this.#showHistory() };
    const way = (key, values) => h("a", { href: plans, "data-key": `state-${key}` }, words.t(`state.${key}`, values));
    const balances = report.balances.toSorted((a, b) => place(a) - place(b));
    const { plan, period, grants, next_steps: steps, may_buy: mayBuy, buyers, support_contact: contact, free_credits: free } = report;
    const buying = [plans, steps, mayBuy, buyers];
    this.#draw("head", [plan, period, buying, balances.map((balance) => balance.renews_at)], () => this.#head.replaceChildren(...headOf(report, plans, words)));
    this.#draw("warnings", [plan, period, buying, contact, free, balances, grants], () => {
      this.#warnings.replaceChildren(...statesOf(report, way, words), ...warningsOf(report, balances, ways, words));
      const said = balances.filter((balance) => isWarned(balance, grants)).map((balance) => sentenceOf(balance, words)).join(" ");
      if (this.#live.textContent !== said) this.#live.textContent = said;
    });
    this.#draw("balances", [balances, report.grants], () =>
      this.#balances.replaceChildren(...balances.map((balance) => balanceRow(balance, report.grants, words))),
    );
    if (this.#isCompact) return;
    this.#draw("chart", [report.series, balances], () => this.#byDay.show(report.series, balances, words));
    if (this.isSeen) this.#showDrains(report, words);
    this.#draw("history", [report.operations, report.next_cursor, balances.length], () =>
      this.#history.show(report, balances.map((balance) => balance.credit_type), words),
    );
  }

  async #showDrains(report, words) {
    const { UsageDrains, rates } = await import("./usage-drains.js");
    if (this.#feed?.report !== report) return;
    addWords(rates);
    this.#drains ??= new UsageDrains((path) => this.#ask(path));
    this.#drainsPlace.replaceChildren(this.#drains.element);
    await this.#drains.show(report, words);
  }

  #showHistory() {
    if (this.#isCompact) this.dispatchEvent(new CustomEvent("sonas-history", { bubbles: true, composed: true }));
    else this.#history.reveal();
  }

  // A file that the app answers to this person alone, so a link cannot fetch it.
  async #save(path, name) {
    const response = await send(this.#of(path), { base: this.#base, token: this.#token, headers: { accept: "text/csv" } });
    if (!response.ok) throw new Problem(response.status, null);
    const link = h("a", { href: URL.createObjectURL(await response.blob()), download: name });
    link.click();
    URL.revokeObjectURL(link.href);
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
