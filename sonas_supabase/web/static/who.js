// The corner that says who is signed in.

import { bdi, h } from "./dom.js";
import { t, words } from "./i18n.js";
import { session, signOut } from "./session.js";

// From here on a corner has no room for every digit.
const MANY = 1e6;

const chip = h("a", { class: "chip", href: "./#usage", hidden: true });

// How many messages are left, wherever one is on the page.
export function showLeft(report) {
  const balance = report?.balances.find((one) => one.credit_type === "message");
  chip.hidden = !balance;
  if (!balance) return;
  chip.className = `chip ${balance.warning ?? ""}`;
  chip.textContent = balance.unlimited
    ? t("who.unlimited")
    : t("who.left", { n: balance.remaining < MANY ? balance.remaining : words.short(balance.remaining) });
}

export function showWho(element) {
  const now = session();
  if (!now) showLeft(null);
  element.replaceChildren(
    ...(now
      ? [
          chip,
          h("span", { class: "email" }, bdi(now.email)),
          h("button", { type: "button", class: "plain", onclick: () => signOut() }, t("who.sign_out")),
        ]
      : []),
  );
}
