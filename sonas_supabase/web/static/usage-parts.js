// What the panel is put together from: elements out of figures, without a state of their own.

import { bdi, h } from "./dom.js";
import { HELD_UP, isHeldUp, isNothing, wayTo } from "./usage-states.js";

const SHOWN_GRANTS = 3;

export function headOf({ plan, period, balances, may_buy: mayBuy, next_steps: steps }, plansUrl, words) {
  const step = ["upgrade", "buy_credits"].find((one) => Object.values(steps).includes(one));
  const facts = [];
  if (period.end) {
    const when = h("time", { datetime: period.end }, words.fullTime(period.end));
    const ends = plan.status === "canceled" || plan.status === "trialing";
    const relative = words.fromNow(period.end);
    facts.push(
      h(
        "p",
        { class: "period" },
        h("span", {}, words.t("panel.period", { from: words.date(period.start), to: words.date(period.end) })),
        (ends || (plan.status !== "frozen" && balances.some((balance) => balance.renews_at))) &&
          h("span", {}, ...words.parts(ends ? "panel.ends" : "panel.renews", { relative, when })),
      ),
    );
  }
  const name = h("span", { class: "plan" }, plan.name);
  const status = words.has(`status.${plan.status}`) && h("span", { class: "status" }, words.t(`status.${plan.status}`));
  return [
    h(
      "div",
      { class: "bar" },
      h("h2", {}, ...words.parts("panel.plan", { plan: name }), status),
      mayBuy && step && !HELD_UP.includes(plan.status) && h("a", { href: wayTo(step, plansUrl), class: "upgrade", "data-key": "upgrade" }, words.t(`panel.${step}`)),
    ),
    ...facts,
  ];
}

export function balanceRow(balance, grants, words) {
  const name = words.nameOf(balance.credit_type);
  const isLimit = balance.kind === "limit";
  const held = balance.reserved ? words.t("balance.held", { n: balance.reserved }) : "";
  if (balance.unlimited) {
    const used = words.t(isLimit ? "balance.in_use" : "balance.used", { n: balance.used });
    return h(
      "li",
      { class: "balance", "data-type": balance.credit_type },
      h(
        "div",
        { class: "bar" },
        h("span", { class: "name" }, name),
        h("span", { class: "left" }, h("strong", {}, words.t("balance.unlimited"))),
      ),
      h("p", { class: "fine-print" }, [used, held].filter(Boolean).join(" · ")),
    );
  }
  const whole = balance.used + balance.reserved + balance.remaining;
  const isWaiting = isHeldUp(balance, grants);
  const hasNone = isNothing(balance);
  const percent = isWaiting || hasNone ? 0 : balance.percent_used;
  const of = hasNone ? words.t("balance.none") : isWaiting ? words.t("balance.used", { n: balance.used }) : words.t(isLimit ? "balance.in_use_of" : "balance.used_of", { n: balance.used, all: whole });
  const beside = balance.allowance && whole > balance.allowance ? words.t("balance.beside", { n: whole - balance.allowance }) : "";
  const debt = balance.debt ? words.t("balance.debt", { n: balance.debt }) : "";
  const fill = h("div", { class: "fill" });
  fill.style.width = `${Math.min(percent, 100)}%`;
  const left = h("strong", {}, words.count(balance.remaining));
  return h(
    "li",
    { class: `balance ${(percent && balance.warning) || "fine"}`, "data-type": balance.credit_type },
    h(
      "div",
      { class: "bar" },
      h("span", { class: "name" }, name),
      h("span", { class: "left" }, ...words.parts("balance.left", { n: left })),
    ),
    h(
      "div",
      {
        class: "meter",
        role: "meter",
        "aria-label": words.t("balance.meter", { what: name }),
        "aria-valuemin": "0",
        "aria-valuemax": "100",
        "aria-valuenow": String(percent),
        "aria-valuetext": words.t("balance.meter_value", { percent, of }),
      },
      fill,
    ),
    h(
      "p",
      { class: "fine-print" },
      h("span", {}, [of, held, beside, debt].filter(Boolean).join(" · ")),
      !isWaiting && !hasNone && h("span", { class: "percent" }, words.t("balance.percent", { n: percent })),
    ),
    isLimit ? "" : endsOf(balance, grants, words),
  );
}

// What ends when, the nearest first. What the plan gives alone ends with the period, which is said above.
function endsOf(balance, grants, words) {
  const mine = grants.filter((grant) => grant.credit_type === balance.credit_type && grant.remaining - grant.held > 0);
  if (!mine.some((grant) => grant.frozen || grant.source !== "plan")) return "";
  const at = (grant) => (grant.expires_at ? Date.parse(grant.expires_at) : Infinity);
  const sorted = mine.toSorted((a, b) => at(a) - at(b));
  const items = sorted.slice(0, SHOWN_GRANTS).map((grant) => h("li", {}, endOf(grant, words)));
  const rest = sorted.length - items.length;
  if (rest) items.push(h("li", {}, words.t("balance.more", { n: rest })));
  return h("ul", { class: "ends" }, ...items);
}

function endOf(grant, words) {
  const n = grant.remaining - grant.held;
  if (grant.frozen) return words.t("balance.frozen", { n });
  const when = grant.expires_at && words.date(grant.expires_at);
  if (grant.source === "plan") return words.t("balance.ends", { n, when });
  return words.t(when ? "balance.expires" : "balance.lasts", { n, when, source: words.sourceOf(grant.source) });
}

// What lines of one group did, out of what the operations behind them say.
// `receiptOf` writes the receipt of what a price book has priced.
export function explanation(lines, operations, words, receiptOf) {
  const [line] = lines;
  if (line.refused) return h("p", {}, deniedOf(line, words));
  const moves = lines.flatMap((line, nth) =>
    operations[nth].entries
      .filter((entry) => entry.kind === line.kind && entry.credit_type === line.credit_type)
      .map((entry) => h("li", {}, moveOf(entry, lines.length > 1 ? words.nameOf(entry.credit_type) : null, words))),
  );
  const each = operations.filter(
    (operation, nth) => operations.findIndex((one) => one.operation_id === operation.operation_id) === nth,
  );
  const given = each
    .flatMap((operation) => operation.refunds)
    .map((refund) => h("li", {}, words.t("history.returned", { n: refund.amount, when: words.fullTime(refund.created_at) })));
  const receipts = each.flatMap((operation) => receiptOf(operation.price, words));
  return h("div", {}, ...receipts, h("ul", {}, ...moves, ...given));
}

function deniedOf({ required, available }, words) {
  if (required === null || available === null) return words.t("history.denied_plain");
  return words.t("history.denied", { required, available });
}

function moveOf(entry, type, words) {
  const n = Math.abs(entry.amount);
  const begin = type ? `${type}: ` : "";
  if (entry.grant_id === null) return begin + words.t("history.unlimited", { n });
  let move = words.t(entry.amount < 0 ? "history.from_grant" : "history.into_grant", { n, source: words.sourceOf(entry.source) });
  if (entry.expires_at) move = words.t("history.until", { move, when: words.date(entry.expires_at) });
  return begin + words.t("history.moved", { move, before: entry.balance_before, after: entry.balance_after });
}

// What happened, in the words of the viewer: of one line, or of several that are one thing.
export function titleOf(lines, words) {
  const named = (what) => lines.find((line) => line.what === what);
  const given = named("plan");
  const ended = named("ended");
  const generated = named("generate");
  if (named("restarted")) return words.t("what.restarted");
  if (given && ended) {
    return given.plan === ended.plan
      ? words.t("what.renewed", { plan: given.plan })
      : words.t("what.changed", { old: ended.plan ?? "–", plan: given.plan ?? "–" });
  }
  if (given) return given.plan ? words.t("what.allowance", { plan: given.plan }) : words.t("what.allowance_plain");
  for (const what of ["upgrade", "trial", "rollover", "withdrawn"]) if (named(what)) return words.t(`what.${what}`);
  if (ended) return words.t("what.ended", { plan: ended.plan ?? "" });
  return titleOfWork(generated ?? lines[0], words);
}

function titleOfWork({ what, about, source }, words) {
  if (what === "generate" || (what === "chat" && about)) return words.parts(`what.${what}`, { about: bdi(about) });
  if (what === "chat") return words.t("what.chat_plain");
  if (what === "expired") return words.t("what.expired", { source: capital(words.sourceOf(source ?? "")) });
  return about ? bdi(capital(about)) : words.t(`what.${what}`);
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
