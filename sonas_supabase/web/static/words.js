// Words, figures and dates in one language: English or German, by the viewer's browser or by what a page says.
//
// A page adds its own words (`addWords`, a file in words/ with both languages) and asks for them by key. `{n}` in a text
// stands for a value; a text with forms `one` and `other` is chosen by `n`.

const texts = { en: {}, de: {} };

export function addWords(topic) {
  for (const [language, words] of Object.entries(topic)) Object.assign(texts[language], words);
}

const languageOf = (tag) => String(tag).split("-")[0].toLowerCase();

// The first of the wished-for tags that there are words for; a tag keeps its region, for figures and dates.
export function choose(wishes) {
  return wishes.find((tag) => languageOf(tag) in texts) ?? "en";
}

const made = new Map();

// The words of a language tag such as "de-AT"; of the browser's without one.
export function wordsFor(tag) {
  const locale = choose([tag, ...(globalThis.navigator?.languages ?? [])].filter(Boolean));
  if (!made.has(locale)) made.set(locale, new Words(locale));
  return made.get(locale);
}

export const timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

const DAY = { day: "numeric", month: "short", year: "numeric" };
const CLOCK = { hour: "2-digit", minute: "2-digit" };
const SIZES = [
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
];

class Words {
  #texts;
  #plural;
  #formats = new Map();

  constructor(locale) {
    this.locale = locale;
    this.language = languageOf(locale);
    this.#texts = texts[this.language];
    this.#plural = new Intl.PluralRules(locale);
  }

  has(key) {
    return key in this.#texts;
  }

  // A text, with its values written as the language writes them.
  t(key, values = {}) {
    return this.#text(key, values).replace(/\{(\w+)\}/g, (_, name) => this.#written(values[name]));
  }

  // The same as a list of nodes, for values that are elements.
  parts(key, values) {
    return this.#text(key, values)
      .split(/\{(\w+)\}/)
      .map((part, at) => (at % 2 ? (values[part] instanceof Node ? values[part] : this.#written(values[part])) : part))
      .filter((part) => part !== "");
  }

  #text(key, values) {
    const found = this.#texts[key];
    if (found === undefined) return key;
    return typeof found === "string" ? found : found[this.#plural.select(values.n)] ?? found.other;
  }

  #written(value) {
    return typeof value === "number" ? this.count(value) : (value ?? "");
  }

  #number(name, options) {
    return this.#kept(`number ${name}`, () => new Intl.NumberFormat(this.locale, options));
  }

  #date(name, options) {
    return this.#kept(`date ${name}`, () => new Intl.DateTimeFormat(this.locale, options));
  }

  #kept(name, make) {
    if (!this.#formats.has(name)) this.#formats.set(name, make());
    return this.#formats.get(name);
  }

  count(value) {
    return this.#number("count").format(value);
  }

  // A decimal that comes as text, with all of its digits.
  exact(text) {
    return this.#number("exact", { maximumFractionDigits: 20 }).format(text);
  }

  // For the axis of a chart, where there is little room.
  short(value) {
    return this.#number("short", { notation: "compact", maximumFractionDigits: 1 }).format(value);
  }

  change(value) {
    return this.#number("change", { signDisplay: "exceptZero" }).format(value).replace("-", "−");
  }

  percent(rate) {
    return this.#number("percent", { style: "percent", maximumFractionDigits: 1 }).format(rate);
  }

  date(iso) {
    return this.#date("day", DAY).format(new Date(iso));
  }

  time(iso) {
    return this.#date("time", { ...DAY, ...CLOCK }).format(new Date(iso));
  }

  fullTime(iso) {
    return this.#date("full", { ...DAY, ...CLOCK, timeZoneName: "short" }).format(new Date(iso));
  }

  // A day of the calendar has no zone: it is read and written in the same one.
  calendarDay(text) {
    return this.#date("calendar", { day: "numeric", month: "short", timeZone: "UTC" }).format(new Date(`${text}T00:00:00Z`));
  }

  calendarDate(text) {
    return this.#date("calendar date", { ...DAY, timeZone: "UTC" }).format(new Date(`${text}T00:00:00Z`));
  }

  fromNow(iso) {
    const relative = this.#kept("relative", () => new Intl.RelativeTimeFormat(this.locale, { numeric: "auto" }));
    const seconds = (new Date(iso) - Date.now()) / 1000;
    const [unit, size] = SIZES.find(([, size]) => Math.abs(seconds) >= size) ?? [];
    if (unit) return relative.format(Math.round(seconds / size), unit);
    return this.t(seconds > 0 ? "time.soon" : "time.now");
  }

  list(items) {
    return this.#kept("list", () => new Intl.ListFormat(this.locale, { type: "conjunction" })).format(items);
  }

  // A credit type by its name on the screen; a type of the project's own by its id.
  nameOf(creditType) {
    const words = creditType.replaceAll("_", " ");
    return this.has(`type.${creditType}`) ? this.t(`type.${creditType}`) : words[0].toUpperCase() + words.slice(1);
  }

  // An amount of a credit type: "3 message credits", "1 project".
  amountOf(creditType, n) {
    const key = `amount.${creditType}`;
    return this.has(key) ? this.t(key, { n }) : `${this.count(n)} ${creditType.replaceAll("_", " ")}`;
  }

  // "message credits", "projects": what there is or is not enough of.
  creditsOf(creditType) {
    const key = `credits.${creditType}`;
    return this.has(key) ? this.t(key) : this.t("credits.of", { what: creditType.replaceAll("_", " ") });
  }

  sourceOf(source) {
    return this.has(`source.${source}`) ? this.t(`source.${source}`) : source;
  }

  price(cents, currency) {
    const digits = this.#number(`of ${currency}`, { style: "currency", currency }).resolvedOptions().maximumFractionDigits;
    const shown = cents % 10 ** digits ? digits : 0;
    return this.#number(`${shown} of ${currency}`, { style: "currency", currency, minimumFractionDigits: shown }).format(
      cents / 10 ** digits,
    );
  }
}
