// What went wrong, said where it went wrong.

import { home } from "./api.js";
import { h, icon } from "./dom.js";
import { fromNow, fullTime, t, words } from "./i18n.js";

// `again` is what "Try again" does; a denial has no use for it.
export function notice(problem, again) {
  if (!problem.isDenial) {
    return h(
      "div",
      { class: "notice problem", role: "alert" },
      icon("warn"),
      h("p", {}, problem.say(words)),
      again && h("button", { type: "button", class: "button small quiet", onclick: again }, t("problem.again")),
    );
  }
  return h(
    "div",
    { class: "notice problem", role: "alert" },
    icon("warn"),
    h(
      "div",
      {},
      h("p", {}, h("strong", {}, titleOf(problem)), " ", wayOut(problem), t("denied.kept")),
      problem.upgradeUrl &&
        h("p", {}, h("a", { class: "button small", href: new URL(problem.upgradeUrl, home).href }, t("denied.plans"))),
    ),
  );
}

function titleOf(problem) {
  const key = `denied.${problem.code}`;
  return t(words.has(key) ? key : "denied.other", { what: words.creditsOf(problem.creditType ?? "message") });
}

function wayOut(problem) {
  if (problem.code === "limit_reached") return `${t("denied.place")} `;
  if (!problem.resetsAt) return "";
  return `${t("denied.renews", { relative: fromNow(problem.resetsAt), when: fullTime(problem.resetsAt) })} `;
}
