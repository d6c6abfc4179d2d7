// One account's usage, kept up to date while somebody looks at it: an answer that stays open and tells what is new
// (server-sent events). Where something between here and the server holds such an answer back, it is asked for again and
// again instead.

import { events, Problem, send } from "./api.js";
import { timeZone } from "./words.js";

const LOOK = 1_000;
const ASK_EVERY = 3_000;
const SLOWEST = 15_000;
// The head of the answer and the first event come at once, and a sign of life every ten seconds.
const HEAD_WITHIN = 10_000;
const FIRST_WITHIN = 6_000;
const SILENCE = 30_000;

const feeds = new Map();

// One per app, workspace, person and length of the chart.
export function feedFor(base, days, workspace, person) {
  const key = `${base} ${days} ${workspace} ${person}`;
  if (!feeds.has(key)) feeds.set(key, new Feed(base, days, workspace));
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
  #query;
  #readers = new Set();
  #timer = null;
  #etag = null;
  #pause = LOOK;
  #asking = null;
  #again = false;
  #stream = null;
  #isHeldBack = false;

  report = null;
  problem = null;
  token = null;

  constructor(base, days, workspace) {
    this.#base = base;
    const query = new URLSearchParams({ time_zone: timeZone });
    if (days) query.set("days", days);
    if (workspace) query.set("workspace", workspace);
    this.#query = query;
    document.addEventListener("visibilitychange", () => this.#follow());
    addEventListener("online", () => this.#follow());
    addEventListener("pagehide", () => this.#close());
  }

  join(reader) {
    this.#readers.add(reader);
    this.#follow();
  }

  leave(reader) {
    this.#readers.delete(reader);
    this.#follow();
  }

  use(token) {
    if (token === this.token) return;
    // A token without a readable owner may be anybody's.
    if (ownerOf(token) === null) this.#etag = this.report = null;
    this.token = token;
    this.problem = null;
    this.#close();
    this.#follow();
  }

  // What was asked for before this call may be older than what the caller has just done.
  async refresh() {
    if (this.#asking) {
      this.#again = true;
      return this.#asking;
    }
    if (!this.#isWanted) return;
    if (!this.#stream && !this.#isHeldBack && this.#isSeen) {
      // It begins with what is new.
      this.#follow();
      return;
    }
    this.#asking = this.#ask();
    await this.#asking;
    this.#asking = null;
    if (!this.#again) return;
    this.#again = false;
    return this.refresh();
  }

  get #isWanted() {
    return Boolean(this.token) && this.#readers.size > 0 && !this.problem?.isSignedOut;
  }

  get #isSeen() {
    return !document.hidden && [...this.#readers].some((reader) => reader.isSeen);
  }

  // Opens the stream when somebody looks, closes it when nobody does, and asks where there is none to be had.
  #follow() {
    clearTimeout(this.#timer);
    if (!this.#isWanted) return this.#close();
    if (!this.#isSeen) {
      this.#close();
      this.#timer = setTimeout(() => this.#follow(), LOOK);
      return;
    }
    if (this.#isHeldBack) {
      this.refresh().then(() => this.#later(Math.max(this.#pause, ASK_EVERY)));
      return;
    }
    if (!this.#stream) this.#listen();
    this.#timer = setTimeout(() => this.#follow(), LOOK);
  }

  #later(pause) {
    clearTimeout(this.#timer);
    if (this.#isWanted) this.#timer = setTimeout(() => this.#follow(), pause);
  }

  #close() {
    this.#stream?.abort();
    this.#stream = null;
  }

  async #listen() {
    const stream = (this.#stream = new AbortController());
    const token = this.token;
    let heard = false;
    let patience = null;
    const wait = (time) => {
      clearTimeout(patience);
      patience = setTimeout(() => stream.abort("silent"), time);
    };
    wait(HEAD_WITHIN);
    try {
      const response = await send(`api/usage/events?${this.#query}`, {
        base: this.#base,
        token,
        headers: { accept: "text/event-stream" },
        signal: stream.signal,
      });
      wait(FIRST_WITHIN);
      for await (const { event, data } of events(response)) {
        if (stream !== this.#stream || token !== this.token) return;
        heard = true;
        this.#pause = LOOK;
        wait(SILENCE);
        if (event === "usage") this.#take(data);
      }
      if (!heard) throw new Problem(0, null);
    } catch (problem) {
      if (stream.signal.reason === "silent" && !heard) this.#isHeldBack = true;
      else if (!stream.signal.aborted && stream === this.#stream) this.#fail(problem instanceof Problem ? problem : new Problem(0, null));
    } finally {
      clearTimeout(patience);
      if (stream === this.#stream) {
        this.#stream = null;
        this.#later(this.#pause);
      }
    }
  }

  async #ask() {
    const token = this.token;
    const headers = this.#etag ? { "if-none-match": this.#etag } : {};
    try {
      const response = await send(`api/usage?${this.#query}`, { base: this.#base, token, headers });
      const report = response.status === 304 ? this.report : await response.json();
      if (token !== this.token) return;
      this.#etag = response.headers.get("etag") ?? this.#etag;
      this.#take(report);
    } catch (problem) {
      if (token === this.token) this.#fail(problem);
    }
  }

  #take(report) {
    this.#pause = LOOK;
    const isOlder = this.report && Date.parse(report.now) < Date.parse(this.report.now);
    if (!this.problem && (isOlder || report === this.report)) return;
    if (!isOlder) this.report = report;
    this.problem = null;
    this.#tell();
  }

  #fail(problem) {
    this.problem = problem;
    this.#pause = Math.min(this.#pause * 2, SLOWEST);
    this.#tell();
  }

  #tell() {
    for (const reader of this.#readers) reader.show(this);
  }
}
