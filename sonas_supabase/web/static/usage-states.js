// What state a plan is in and what a person does about it, and which credits are running out: sentences with one next
// step each.

import { h, icon } from "./dom.js";

const soon = (words, iso) => ({ relative: words.fromNow(iso), when: words.fullTime(iso) });

// The ways that a panel offers: `plans` is where plans are chosen and paid, `history` shows what credits were used for.
export function statesOf({ plan, period, free_credits: free, support_contact: contact, can_upgrade: canUpgrade }, ways, words) {
  const { t } = bound(words);
  const choose = (key, values) => h("a", { href: ways.plans, "data-key": `state-${key}` }, t(`state.${key}`, values));
  const states = [];
  if (plan.status === "frozen") {
    states.push(["danger", t("state.frozen"), contact && words.parts("contact", { contact: contactLink(contact) })]);
  }
  if (plan.status === "past_due" || plan.status === "unpaid") states.push(["danger", t(`state.${plan.status}`), choose("pay")]);
  if (plan.status === "paused") states.push(["low", t("state.paused"), choose("resume")]);
  if (plan.status === "canceled") {
    const until = period.end ? t("state.canceled", { when: words.fullTime(period.end) }) : t("state.canceled_now");
    states.push(["low", until, choose("choose")]);
  }
  if (plan.status === "trialing" && plan.trial_ends_at) {
    states.push(["info", t("state.trialing", soon(words, plan.trial_ends_at)), choose("choose")]);
  }
  if (plan.pending_plan) {
    const values = { plan: plan.pending_name ?? plan.pending_plan, when: words.fullTime(plan.pending_at) };
    states.push(["info", t("state.pending", values), choose("keep", { plan: plan.name })]);
  }
  if (free === "anonymous" || free === "other_account") {
    states.push(["info", t(`state.${free}`), canUpgrade && choose("choose")]);
  }
  return states.map(([level, sentence, way]) => note(level, h("span", {}, sentence), way));
}

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

// The balances that are low or used up, in the order of the panel.
export function warningsOf({ can_upgrade: canUpgrade, support_contact: contact, plan }, balances, ways, words) {
  return balances
    .filter((balance) => balance.warning)
    .map((balance) => {
      const way = canUpgrade
        ? h("a", { href: ways.plans, "data-key": `upgrade-${balance.credit_type}` }, words.t("panel.upgrade_plan"))
        : contact
          ? words.parts("contact", { contact: contactLink(contact) })
          : h("button", { type: "button", class: "link", "data-key": `why-${balance.credit_type}`, onclick: ways.history }, words.t("warning.history"));
      return note(balance.warning, h("strong", {}, sentenceOf(balance, words)), hintOf(balance, plan, words), way);
    });
}

export function sentenceOf(balance, words) {
  const values = { what: words.creditsOf(balance.credit_type), percent: balance.percent_used, n: balance.remaining };
  return words.t(`warning.${balance.warning}`, values);
}

function hintOf({ kind, warning, period_end: end }, { status }, words) {
  if (kind === "limit") return warning === "exhausted" ? words.t("warning.place") : "";
  const renews = end && !["past_due", "unpaid", "paused", "canceled", "frozen"].includes(status);
  if (warning === "exhausted") return renews ? words.t("warning.refused_until", soon(words, end)) : "";
  return renews ? words.t("warning.renews", soon(words, end)) : "";
}
