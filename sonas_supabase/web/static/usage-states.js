// What state a plan is in and what a person does about it, and which credits are running out: sentences with one next
// step each.

import { h, icon, isolated } from "./dom.js";

const soon = (words, iso) => ({ relative: words.fromNow(iso), when: words.fullTime(iso) });

// A way is asked for by what it is for: `pay`, `resume`, `choose`, `keep`. Null where there is none.
export function statesOf(report, find, words) {
  const { plan, period, free_credits: free, support_contact: contact, can_upgrade: canUpgrade } = report;
  const way = (key, values) => (report.may_buy ? find(key, values) : buyersOf(report, words));
  const { t } = bound(words);
  const states = [];
  if (plan.status === "frozen") {
    states.push(["danger", t("state.frozen"), contact ? words.parts("contact", { contact: contactLink(contact) }) : t("state.ask")]);
  }
  if (plan.status === "past_due" || plan.status === "unpaid") states.push(["danger", t(`state.${plan.status}`), way("pay")]);
  if (plan.status === "paused") states.push(["low", t("state.paused"), way("resume")]);
  if (plan.status === "canceled") {
    const until = period.end ? t("state.canceled", { when: words.fullTime(period.end) }) : t("state.canceled_now");
    states.push(["low", until, way("choose")]);
  }
  if (plan.status === "trialing" && plan.trial_ends_at) {
    states.push(["info", t("state.trialing", soon(words, plan.trial_ends_at)), way("choose")]);
  }
  // A canceled plan, or one that is tried out, changes by its own end: that is said already.
  if (plan.pending_plan && !ENDING.includes(plan.status)) {
    const values = { plan: plan.pending_name ?? words.t("state.other"), when: words.fullTime(plan.pending_at) };
    states.push(["info", t("state.pending", values), way("keep", { plan: plan.name })]);
  }
  const isWithheld = report.balances.every(({ kind, allowance }) => kind !== "credit" || allowance === 0);
  if (free !== "own" && isWithheld) {
    states.push(["info", t(`state.${free}`), canUpgrade && way("choose")]);
  }
  return states.map(([level, sentence, next]) => note(level, h("span", {}, sentence), next));
}

const ENDING = ["canceled", "trialing"];
// The state has its own next step, so a larger plan is none.
export const HELD_UP = ["past_due", "unpaid", "paused", "frozen", "canceled"];

// What a plan that is held up gives is there and cannot be used: nothing of it is used up.
export const isHeldUp = ({ credit_type: type, remaining }, grants) =>
  remaining === 0 && grants.some((grant) => grant.frozen && grant.remaining && grant.credit_type === type);

// Of what was never there nothing is used up.
export const isNothing = ({ allowance, used, reserved, remaining }) => allowance === 0 && !used && !reserved && !remaining;

const bound = (words) => ({ t: (key, values) => words.t(key, values) });

function contactLink(contact) {
  const isAddress = /^[^\s@:]+@[^\s@]+$/.test(contact);
  if (!isAddress && !/^https?:/.test(contact)) return h("span", {}, contact);
  return h("a", { href: isAddress ? `mailto:${contact}` : contact }, contact);
}

function note(level, ...content) {
  return h("div", { class: `warning ${level}` }, icon(level === "info" ? "info" : "warn"), h("p", {}, ...spaced(content)));
}

const spaced = (content) => content.flat().filter(Boolean).flatMap((part, at) => (at ? [" ", part] : [part]));

export const isWarned = (balance, grants) => balance.warning && !isNothing(balance) && !isHeldUp(balance, grants);

// The balances that are low or used up, in the order of the panel.
export function warningsOf(report, balances, ways, words) {
  const { plan, grants } = report;
  return balances
    .filter((balance) => isWarned(balance, grants))
    .map((balance) =>
      note(balance.warning, h("strong", {}, sentenceOf(balance, words)), hintOf(balance, plan, words), nextOf(balance, report, ways, words)),
    );
}

// What a person does about credits that run out.
function nextOf({ credit_type: type }, report, ways, words) {
  const step = HELD_UP.includes(report.plan.status) ? null : report.next_steps[type];
  if (step && !report.may_buy) return buyersOf(report, words);
  if (step) return h("a", { href: wayTo(step, ways.plans), "data-key": `upgrade-${type}` }, words.t(`step.${step}`));
  const { support_contact: contact } = report;
  if (contact) return words.parts("contact", { contact: contactLink(contact) });
  return h("button", { type: "button", class: "link", "data-key": `why-${type}`, onclick: ways.history }, words.t("warning.history"));
}

// Packs stand below the plans.
export const wayTo = (step, plans) => (step === "buy_credits" ? `${plans}#packs` : plans);

const SHOWN_BUYERS = 3;

// Who buys for a workspace, for members who do not.
export function buyersOf({ buyers }, words) {
  const who = words.list(buyers.slice(0, SHOWN_BUYERS).map(isolated));
  return words.t(who ? "panel.buyers" : "panel.buyers_plain", { who });
}

export function sentenceOf(balance, words) {
  const values = { what: words.creditsOf(balance.credit_type), percent: balance.percent_used, n: balance.remaining };
  return words.t(`warning.${balance.warning}`, values);
}

function hintOf({ kind, warning, renews_at: end }, { status }, words) {
  if (kind === "limit") return warning === "exhausted" ? words.t("warning.place") : "";
  const renews = end && !HELD_UP.includes(status);
  if (warning === "exhausted") return renews ? words.t("warning.refused_until", soon(words, end)) : "";
  return renews ? words.t("warning.renews", soon(words, end)) : "";
}
