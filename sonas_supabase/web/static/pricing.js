// What is on sale, out of the table of plans, and the way to it.

import { ask, home } from "./api.js";
import { h, icon } from "./dom.js";
import { count, nameOf, price } from "./format.js";
import { notice } from "./notice.js";
import { persist, showOutage } from "./outage.js";
import { askSignedIn, onChange, session, setup } from "./session.js";
import { showLeft, showWho } from "./who.js";

const byId = (id) => document.getElementById(id);
const ORDER = ["message", "integration", "project"];
const HOW = {
  demo: "This is a demo on your own machine: a plan changes at once, and nothing is paid.",
  checkout: "You pay on the next page; the plan changes when the payment has arrived.",
  none: "Buying is not connected in this app yet. Whoever runs it passes a checkout to create_app.",
};

let plans = [];
let current = null;

async function load() {
  showWho(byId("who"));
  byId("said").replaceChildren();
  try {
    plans = await persist(() => ask("api/plans"));
    const report = await persist(() => (session() ? askSignedIn(ask, "api/usage?days=1") : null));
    current = report?.plan.id ?? null;
    showLeft(report);
  } catch (problem) {
    if (!problem.isSignedOut) byId("said").replaceChildren(notice(problem, load));
  }
  const { upgrade } = await setup;
  byId("how").textContent = HOW[upgrade];
  byId("plans").replaceChildren(...plans.map((plan) => card(plan, upgrade)));
}

function card(plan, upgrade) {
  const isMine = plan.id === current;
  return h(
    "li",
    { class: `card plan${isMine ? " mine" : ""}` },
    h("div", { class: "row top-line" }, h("h2", {}, plan.name)),
    h("p", { class: "muted small" }, plan.description),
    h(
      "p",
      { class: "price" },
      h("strong", {}, plan.price_cents ? price(plan.price_cents, plan.currency) : "Free"),
      plan.price_cents ? h("span", { class: "muted" }, " / month") : "",
    ),
    h(
      "ul",
      { class: "includes", role: "list" },
      ...plan.limits
        .toSorted((a, b) => ORDER.indexOf(a.credit_type) - ORDER.indexOf(b.credit_type))
        .map((limit) => h("li", {}, icon("check"), h("span", {}, included(limit)))),
    ),
    way(plan, isMine, upgrade),
  );
}

function included(limit) {
  const what = nameOf(limit.credit_type).toLowerCase();
  if (limit.kind === "limit") return limit.unlimited ? `Unlimited ${what}` : `${count(limit.allowance)} ${what}`;
  const credits = `${nameOf(limit.credit_type).replace(/s$/, "").toLowerCase()} credits`;
  return limit.unlimited ? `Unlimited ${credits}` : `${count(limit.allowance)} ${credits}`;
}

function way(plan, isMine, upgrade) {
  if (isMine) return h("p", { class: "current" }, "Your plan");
  if (!session()) return h("a", { class: "button quiet", href: home.href }, "Sign in to choose");
  if (upgrade === "none" || (upgrade === "checkout" && !plan.price_cents)) return "";
  const mine = plans.find((other) => other.id === current);
  const isUp = !mine || plan.rank > mine.rank;
  const isNext = isUp && !plans.some((other) => other.rank < plan.rank && other.rank > (mine?.rank ?? -1));
  return h(
    "button",
    {
      type: "button",
      class: isNext ? "button" : "button quiet",
      onclick: (event) => choose(plan, upgrade, event.currentTarget),
    },
    isUp ? `Upgrade to ${plan.name}` : `Switch to ${plan.name}`,
  );
}

async function choose(plan, upgrade, button) {
  button.disabled = true;
  try {
    if (upgrade === "checkout") {
      const { url } = await askSignedIn(ask, "api/checkout", { method: "POST", body: { plan: plan.id } });
      location.assign(url);
      return;
    }
    await askSignedIn(ask, "api/demo/change-plan", { method: "POST", body: { plan: plan.id } });
    await load();
    byId("said").replaceChildren(
      h(
        "p",
        { class: "notice good" },
        icon("check"),
        h("span", {}, `You are on ${plan.name} now. `, h("a", { href: home.href }, "Back to My Projects")),
      ),
    );
    byId("main").scrollIntoView();
  } catch (problem) {
    button.disabled = false;
    if (!problem.isSignedOut) byId("said").replaceChildren(notice(problem, () => choose(plan, upgrade, button)));
  }
}

showOutage(byId("main"));
onChange(load);
load();
