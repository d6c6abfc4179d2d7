// What went wrong, said where it went wrong.

import { home } from "./api.js";
import { h, icon } from "./dom.js";
import { fromNow, fullTime, t, words } from "./i18n.js";
import { wayTo } from "./usage-states.js";

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
      stepOf(problem) && wayToMore(problem),
    ),
  );
}

// What gives more of each credit type, as the figures beside say it; until they are there, a larger plan does.
let steps = null;
export const followSteps = (report) => (steps = report?.next_steps ?? null);

// More credits make no room in a budget.
function stepOf({ code, creditType }) {
  if (code === "member_cap_reached") return null;
  return steps ? steps[creditType] : "upgrade";
}

function wayToMore(problem) {
  const step = stepOf(problem);
  const href = wayTo(step, new URL(problem.upgradeUrl ?? "pricing", home).href);
  return h("p", {}, h("a", { class: "button small", href }, t(`denied.${step}`)));
}

function titleOf(problem) {
  const key = `denied.${problem.code}`;
  return t(words.has(key) ? key : "denied.other", { what: words.creditsOf(problem.creditType ?? "message") });
}

function wayOut(problem) {
  if (problem.code === "limit_reached") return `${t(stepOf(problem) ? "denied.place" : "denied.place_only")} `;
  if (!problem.resetsAt) return "";
  return `${t("denied.renews", { relative: fromNow(problem.resetsAt), when: fullTime(problem.resetsAt) })} `;
}
