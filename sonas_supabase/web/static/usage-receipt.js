// The receipt of a priced operation: what was used, at which price, and what stays of a credit. It adds up by hand.

import { credits, readable } from "./decimals.js";
import { h } from "./dom.js";
import rates from "./words/rates.js";

// Who asks for this when it is needed adds the words.
export { rates };

export function receiptOf(price, words) {
  if (price.refunds_operation_id) return [h("p", {}, sentence("receipt.returned", price, words))];
  if (!price.lines) return [];
  const row = (what, cost, kind = "") => h("li", { class: kind }, h("span", {}, what), h("span", { class: "figure" }, cost));
  const lines = price.lines.map((line) => {
    const values = { used: dimension(line.dimension, words), quantity: words.exact(line.quantity), price: priceOf(line, words) };
    return row([words.t("receipt.line", values), boundOf(line, words)].filter(Boolean).join(" "), words.exact(line.cost));
  });
  const unpaid = Number(price.unpaid) ? h("p", {}, words.t("receipt.unpaid", { n: words.exact(price.unpaid) })) : "";
  const refunded = Number(price.refunded) ? h("p", {}, words.t("receipt.refunded", { n: words.exact(price.refunded) })) : "";
  return [
    h("ul", { class: "receipt", role: "list" }, ...lines, row(words.t("receipt.total"), words.exact(price.cost), "sum")),
    h("p", {}, sentence("receipt.remainder", price, words)),
    unpaid,
    refunded,
  ];
}

function sentence(key, price, words) {
  const { remainder_before: before, whole, cost, remainder: after } = price;
  return words.t(key, { before: words.exact(before), whole, cost: words.exact(cost), after: words.exact(after) });
}

export function priceOf({ nano_per_unit: nano, per }, words) {
  const [price, units] = readable(nano, per);
  return units === 1 ? words.exact(price) : words.t("rates.per", { price: words.exact(price), units });
}

export function boundOf({ minimum_nano: least, maximum_nano: most }, words) {
  const said = [];
  if (least) said.push(words.t("rates.least", { n: words.exact(credits(least)) }));
  if (most !== null && most !== undefined) said.push(words.t("rates.most", { n: words.exact(credits(most)) }));
  return said.length ? `(${said.join(", ")})` : "";
}

export function dimension(name, words) {
  return words.has(`dimension.${name}`) ? words.t(`dimension.${name}`) : name.replaceAll("_", " ");
}
