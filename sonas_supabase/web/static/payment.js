// The page that one comes back to: it waits until the payment has arrived here, and says what came of it.

import { home, isAway } from "./api.js";
import { order } from "./billing.js";
import { showBell } from "./bell.js";
import { h, icon } from "./dom.js";
import { addWords, t, translate, words } from "./i18n.js";
import { notice } from "./notice.js";
import { showOutage } from "./outage.js";
import { onChange, session } from "./session.js";
import { showWho } from "./who.js";
import pricing from "./words/pricing.js";

addWords(pricing);

const PATIENCE = 45_000;
const PAUSE = 2_000;
const byId = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search);
const began = Date.now();
let watching = null;

function show(kind, picture, sentence, way) {
  byId("state").replaceChildren(
    h("div", { class: `notice ${kind}` }, icon(picture), h("div", {}, h("p", {}, sentence), h("p", {}, way))),
  );
}

const projects = () => h("a", { class: "button small", href: home.href }, t("payment.back"));
const plans = () => h("a", { class: "button small quiet", href: new URL("pricing", home).href }, t("denied.upgrade"));

function bought(found) {
  if (found.kind === "plan") return t("payment.paid_plan");
  return t("payment.paid_pack", { what: words.amountOf(found.credit_type, found.credits) });
}

const ENDS = {
  paid: (found) => show("good", "check", bought(found), projects()),
  failed: () => show("problem", "warn", t("payment.failed"), plans()),
  expired: () => show("problem", "warn", t("payment.expired"), plans()),
  mismatch: () => show("problem", "warn", t("payment.mismatch"), projects()),
};

function stillWaiting(found) {
  if (found?.state === "pending") return show("", "info", t("payment.pending"), projects());
  if (Date.now() - began > PATIENCE) return show("", "info", t("payment.late"), projects());
  byId("state").replaceChildren(h("p", { class: "waiting" }, t("payment.waiting")));
}

async function watch() {
  showWho(byId("who"));
  watching?.abort();
  watching = new AbortController();
  const { signal } = watching;
  if (!session()) {
    show("", "info", t("payment.sign_in_first"), h("a", { class: "button small", href: home.href }, t("payment.sign_in")));
    return;
  }
  let found = null;
  while (!signal.aborted) {
    stillWaiting(found);
    try {
      found = await order(asked.get("order") ?? "", asked.get("workspace_id"), signal);
      if (signal.aborted) return;
      if (ENDS[found.state]) {
        ENDS[found.state](found);
        return;
      }
    } catch (problem) {
      if (problem.name === "AbortError" || problem.isSignedOut) return;
      if (problem.status === 404 || problem.status === 422) return show("", "info", t("payment.unknown"), projects());
      if (!isAway(problem)) {
        byId("state").replaceChildren(notice(problem, watch));
        return;
      }
      await new Promise((go) => setTimeout(go, PAUSE));
    }
  }
}

translate();
showOutage(byId("main"));
showBell(byId("who"));
onChange(watch);
watch();
