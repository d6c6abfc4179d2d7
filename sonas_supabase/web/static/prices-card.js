// <sonas-prices>: what calls cost, out of the price book. Works on any page, by one script tag.
//
//   <script type="module" src="https://your-app/sonas-prices.js"></script>
//   <sonas-prices></sonas-prices>
//
// Attributes: src (where the app is), book (the price book), name (a part of the names to show), lang (en or de), theme.

import { ask, home } from "./api.js";
import { h } from "./dom.js";
import { followTheme } from "./theme.js";
import { boundOf, dimension, priceOf } from "./usage-receipt.js";
import { sheet } from "./usage-style.js";
import common from "./words/common.js";
import rates from "./words/rates.js";
import { addWords, wordsFor } from "./words.js";

addWords(common);
addWords(rates);

const PAUSE = 250;

class SonasPrices extends HTMLElement {
  static observedAttributes = ["src", "book", "name", "lang"];

  #card = null;
  #turn = 0;
  #timer = null;
  #title = h("h2", { id: "title" });
  #lead = h("p", { class: "total" });
  #find = h("input", { type: "search", maxlength: "200", autocomplete: "off", spellcheck: "false" });
  #rows = h("ul", { class: "rates", role: "list" });
  #said = h("p", { class: "total", role: "status" });
  #more = h("button", { type: "button", onclick: () => this.#load(true) });
  #body = h("section", { class: "wide", "aria-labelledby": "title" }, this.#title, this.#lead, h("p", { class: "filters" }, this.#find), this.#rows, this.#said, h("p", { class: "filters" }, this.#more));

  get #words() {
    return wordsFor(this.getAttribute("lang"));
  }

  get #base() {
    return this.hasAttribute("src") ? new URL(this.getAttribute("src").replace(/\/?$/, "/"), document.baseURI) : home;
  }

  connectedCallback() {
    if (!this.shadowRoot) {
      const root = this.attachShadow({ mode: "open" });
      root.adoptedStyleSheets = [sheet];
      root.append(this.#body);
      followTheme(this, () => {});
      this.#find.addEventListener("input", () => {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#load(), PAUSE);
      });
    }
    this.#load();
  }

  attributeChangedCallback() {
    if (this.isConnected && this.shadowRoot) this.#load();
  }

  // The first page, or the next one below what is shown.
  async #load(isMore = false) {
    const turn = ++this.#turn;
    const wanted = { book: this.getAttribute("book"), name: this.#find.value || this.getAttribute("name"), after: isMore ? this.#card?.after : null };
    const query = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value));
    const page = await ask(`api/prices?${query}`, { base: this.#base }).catch(() => null);
    if (turn !== this.#turn || !page) return;
    this.#card = isMore ? { ...page, operations: [...this.#card.operations, ...page.operations] } : page;
    this.#draw();
    this.dispatchEvent(new CustomEvent("sonas-prices", { detail: this.#card, bubbles: true, composed: true }));
  }

  #draw() {
    const words = this.#words;
    const { operations, total, after, credit_type: type } = this.#card;
    this.#title.textContent = words.t("rates.title");
    this.#lead.textContent = words.t("rates.lead", { what: words.creditsOf(type) });
    this.#find.setAttribute("aria-label", words.t("rates.find"));
    this.#find.placeholder = words.t("rates.find");
    this.#find.parentNode.hidden = total <= operations.length && !after && !this.#find.value;
    this.#rows.replaceChildren(...operations.map((one) => this.#row(one, words)));
    this.#said.textContent = operations.length ? words.t("rates.shown", { n: operations.length, all: total }) : words.t("rates.none");
    this.#more.textContent = words.t("rates.more");
    this.#more.parentNode.hidden = !after;
  }

  #row({ operation, prices }, words) {
    const name = operation.endsWith("*") ? words.t("rates.all", { name: operation.slice(0, -1) }) : operation;
    const step = (price, one) => words.t("rates.above", { above: words.exact(one.above), price: priceOf({ ...price, ...one }, words) });
    const price = (one) => {
      const steps = (one.steps ?? []).map((other) => step(one, other)).join(", ");
      return h("li", {}, h("span", { class: "muted" }, `${dimension(one.dimension, words)}: `), [[priceOf(one, words), boundOf(one, words)].filter(Boolean).join(" "), steps].filter(Boolean).join(", "));
    };
    return h("li", {}, h("span", { class: "name" }, name), h("ul", { role: "list" }, ...prices.map(price)));
  }
}

if (!customElements.get("sonas-prices")) customElements.define("sonas-prices", SonasPrices);
