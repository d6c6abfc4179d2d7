// What the panel is put together from: elements out of figures, without a state of their own.

import { h, icon } from "./dom.js";
import { count, date, fromNow, fullTime, nameOf, sourceOf } from "./format.js";

const STATUS = { past_due: "Payment overdue", canceled: "Canceled", trialing: "Trial", frozen: "Frozen" };

export function headOf({ plan, period, can_upgrade: canUpgrade }, upgradeUrl) {
  const facts = [];
  if (period.end) {
    facts.push(
      h(
        "p",
        { class: "period" },
        h("span", {}, `${date(period.start)} – ${date(period.end)}`),
        h("span", {}, `Renews ${fromNow(period.end)}, on `, h("time", { datetime: period.end }, fullTime(period.end))),
      ),
    );
  }
  if (plan.pending_plan) {
    facts.push(h("p", { class: "pending" }, `Changes to ${plan.pending_plan} on ${fullTime(plan.pending_at)}.`));
  }
  return [
    h(
      "div",
      { class: "bar" },
      h(
        "h2",
        {},
        h("span", { class: "plan" }, plan.name),
        " plan",
        STATUS[plan.status] && h("span", { class: "status" }, STATUS[plan.status]),
      ),
      canUpgrade && h("a", { href: upgradeUrl, class: "upgrade", "data-key": "upgrade" }, "Upgrade"),
    ),
    ...facts,
  ];
}

export function warningsOf({ warnings, can_upgrade: canUpgrade }, upgradeUrl) {
  return warnings.map((warning) =>
    h(
      "div",
      { class: `warning ${warning.level}` },
      icon("warn"),
      h(
        "p",
        {},
        h("strong", {}, warning.message),
        " ",
        warning.hint,
        warning.hint && " ",
        canUpgrade && h("a", { href: upgradeUrl, "data-key": `upgrade-${warning.credit_type}` }, "Upgrade your plan"),
      ),
    ),
  );
}

export function balanceRow(balance) {
  const name = nameOf(balance.credit_type);
  const level = balance.warning ?? "fine";
  const isLimit = balance.kind === "limit";
  if (balance.unlimited) {
    return h(
      "li",
      { class: "balance" },
      h(
        "div",
        { class: "bar" },
        h("span", { class: "name" }, name),
        h("span", { class: "left" }, h("strong", {}, "Unlimited")),
      ),
      h(
        "p",
        { class: "fine-print" },
        isLimit ? `${count(balance.used)} in use` : `${count(balance.used)} used this period`,
      ),
    );
  }
  const whole = balance.used + balance.reserved + balance.remaining;
  const facts = [
    isLimit ? `${count(balance.used)} of ${count(whole)} in use` : `${count(balance.used)} of ${count(whole)} used`,
  ];
  if (balance.reserved) facts.push(`${count(balance.reserved)} on hold`);
  if (whole > balance.allowance) facts.push(`${count(whole - balance.allowance)} on top of the plan`);
  const fill = h("div", { class: "fill" });
  fill.style.width = `${Math.min(balance.percent_used, 100)}%`;
  return h(
    "li",
    { class: `balance ${level}`, "data-type": balance.credit_type },
    h(
      "div",
      { class: "bar" },
      h("span", { class: "name" }, name),
      h("span", { class: "left" }, h("strong", {}, count(balance.remaining)), " left"),
    ),
    h(
      "div",
      {
        class: "meter",
        role: "meter",
        "aria-label": `${name} used`,
        "aria-valuemin": "0",
        "aria-valuemax": "100",
        "aria-valuenow": String(balance.percent_used),
        "aria-valuetext": `${balance.percent_used} %, ${facts[0]}`,
      },
      fill,
    ),
    h(
      "p",
      { class: "fine-print" },
      h("span", {}, facts.join(" · ")),
      h("span", { class: "percent" }, `${balance.percent_used} %`),
    ),
  );
}

export function explanation(line, operation) {
  if (line.refused) return h("p", {}, "Refused: there was not enough. It cost nothing and changed nothing.");
  const mine = operation.entries.filter((entry) => entry.kind === line.kind);
  const moved = mine.map((entry) => {
    if (entry.grant_id === null) return h("li", {}, `${count(Math.abs(entry.amount))}, unlimited`);
    const way = entry.amount < 0 ? "from" : "into";
    const until = entry.expires_at ? ` that expires on ${date(entry.expires_at)}` : "";
    return h(
      "li",
      {},
      `${count(Math.abs(entry.amount))} ${way} the ${sourceOf(entry.source)}${until}: `,
      `${count(entry.balance_before)} → ${count(entry.balance_after)}`,
    );
  });
  const given = operation.refunds.map((refund) =>
    h("li", {}, `${count(refund.amount)} given back on ${fullTime(refund.created_at)}`),
  );
  return h("div", {}, h("ul", {}, ...moved, ...given), h("p", { class: "id" }, `Operation ${operation.operation_id}`));
}
