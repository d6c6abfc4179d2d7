// What went wrong, said where it went wrong.

import { home } from "./api.js";
import { h, icon } from "./dom.js";
import { fromNow, fullTime } from "./format.js";

const TITLES = {
  insufficient_credits: "You are out of message credits",
  limit_reached: "Your plan has no place for another project",
  member_cap_reached: "Your share of the workspace's credits is used up",
};

// `again` is what "Try again" does; a denial has no use for it.
export function notice(problem, again) {
  if (!problem.isDenial) {
    return h(
      "div",
      { class: "notice problem", role: "alert" },
      icon("warn"),
      h("p", {}, problem.message),
      again && h("button", { type: "button", class: "button small quiet", onclick: again }, "Try again"),
    );
  }
  const ways =
    problem.code === "limit_reached"
      ? "Delete a project to free its place, or upgrade for more. "
      : problem.resetsAt
        ? `They renew ${fromNow(problem.resetsAt)}, on ${fullTime(problem.resetsAt)}. `
        : "";
  return h(
    "div",
    { class: "notice problem", role: "alert" },
    icon("warn"),
    h(
      "div",
      {},
      h(
        "p",
        {},
        h("strong", {}, `${TITLES[problem.code] ?? "There are not enough credits"}.`),
        " ",
        ways,
        "Nothing was charged, and what you typed is kept.",
      ),
      problem.upgradeUrl &&
        h("p", {}, h("a", { class: "button small", href: new URL(problem.upgradeUrl, home).href }, "See plans")),
    ),
  );
}
