// One account's usage, kept up to date: asked for again and again with an ETag, while anybody can see it.

import { send } from "./api.js";
import { timeZone } from "./format.js";

const EVERY = 1_000;
const SLOWEST = 15_000;

const feeds = new Map();

// One per app, person and length of the chart.
export function feedFor(base, days, person) {
  const key = `${base} ${days} ${person}`;
  if (!feeds.has(key)) feeds.set(key, new Feed(base, days));
  return feeds.get(key);
}

export function forgetFeedsOf(person) {
  for (const key of feeds.keys()) if (key.endsWith(` ${person}`)) feeds.delete(key);
}

// Whose token it is. Nothing is trusted on its account: it only decides which figures are shown while new ones are on their way.
export function ownerOf(token) {
  try {
    return JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"))).sub ?? null;
  } catch {
    return null;
  }
}

class Feed {
  #base;
  #path;
  #readers = new Set();
  #timer = null;
  #etag = null;
  #pause = EVERY;
  #asking = null;
  #again = false;

  report = null;
  problem = null;
  token = null;

  constructor(base, days) {
    this.#base = base;
    this.#path = `api/usage?days=${days}&time_zone=${encodeURIComponent(timeZone)}`;
    document.addEventListener("visibilitychange", () => !document.hidden && this.refresh());
    addEventListener("online", () => this.refresh());
  }

  join(reader) {
    this.#readers.add(reader);
    this.refresh();
  }

  leave(reader) {
    this.#readers.delete(reader);
    if (!this.#readers.size) clearTimeout(this.#timer);
  }

  use(token) {
    if (token === this.token) return;
    // A token without a readable owner may be anybody's.
    if (ownerOf(token) === null) this.#etag = this.report = null;
    this.token = token;
    this.problem = null;
    this.refresh();
  }

  // What was asked for before this call may be older than what the caller has just done.
  async refresh() {
    if (this.#asking) {
      this.#again = true;
      return this.#asking;
    }
    clearTimeout(this.#timer);
    if (!this.#readers.size || !this.token) return;
    this.#asking = this.#ask();
    await this.#asking;
    this.#asking = null;
    if (this.#again) {
      this.#again = false;
      return this.refresh();
    }
    if (!this.problem?.isSignedOut) this.#timer = setTimeout(() => this.#tick(), this.#pause);
  }

  #tick() {
    if (!document.hidden && [...this.#readers].some((reader) => reader.isSeen)) this.refresh();
    else this.#timer = setTimeout(() => this.#tick(), EVERY);
  }

  async #ask() {
    const token = this.token;
    const headers = this.#etag ? { "if-none-match": this.#etag } : {};
    try {
      const response = await send(this.#path, { base: this.#base, token, headers });
      const report = response.status === 304 ? this.report : await response.json();
      if (token !== this.token) return;
      const isNew = report !== this.report || this.problem;
      this.#etag = response.headers.get("etag") ?? this.#etag;
      this.report = report;
      this.problem = null;
      this.#pause = EVERY;
      if (isNew) this.#tell();
    } catch (problem) {
      if (token !== this.token) return;
      this.problem = problem;
      this.#pause = Math.min(this.#pause * 2, SLOWEST);
      this.#tell();
    }
  }

  #tell() {
    for (const reader of this.#readers) reader.show(this);
  }
}
