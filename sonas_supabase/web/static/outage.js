// Whether the server can be reached: one notice for the page, and what failed is done again when it is back.

import { isAway, onAnswer, send } from "./api.js";
import { h, icon } from "./dom.js";
import { t } from "./i18n.js";

const FIRST = 1_000;
const SLOWEST = 15_000;

const waiting = new Set();
const again = h("button", { type: "button", class: "button small quiet", onclick: () => tryAgain() }, t("outage.try"));
const notice = h(
  "div",
  { class: "notice problem outage", role: "status", hidden: true },
  icon("warn"),
  h("p", {}, t("outage.now")),
  again,
);
let pause = FIRST;
let timer = null;

// Shows the notice at the top of `main` for as long as the server is away.
export const showOutage = (main) => main.prepend(notice);

// Does the work, and does it again until the server is there for it. Answers what the work answers, and throws what is
// not the server's absence.
export async function persist(work) {
  for (;;) {
    try {
      return await work();
    } catch (problem) {
      if (!isAway(problem)) throw problem;
      await untilLater();
    }
  }
}

function untilLater() {
  notice.hidden = false;
  timer ??= setTimeout(tryAgain, pause);
  return new Promise((resolve) => waiting.add(resolve));
}

function tryAgain() {
  clearTimeout(timer);
  timer = null;
  pause = Math.min(pause * 2, SLOWEST);
  const all = [...waiting];
  waiting.clear();
  for (const resolve of all) resolve();
  // Nothing waits for the server, so it is asked whether it is there.
  if (!all.length && !notice.hidden) send("api/setup").catch(() => {});
}

// An answer, whoever asked for it, says that the server is back.
onAnswer((isThere) => {
  notice.hidden = isThere;
  if (!isThere) {
    timer ??= setTimeout(tryAgain, pause);
    return;
  }
  clearTimeout(timer);
  timer = null;
  pause = FIRST;
  if (waiting.size) tryAgain();
});

addEventListener("online", tryAgain);
