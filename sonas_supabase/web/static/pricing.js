// What is on sale, out of the tables of plans and packs, and the way to it.

import "./prices-card.js";
import { fillAccounts } from "./accounts.js";
import { ask, home } from "./api.js";
import { buy, manage } from "./billing.js";
import { showBell } from "./bell.js";
import { h, icon, isolated } from "./dom.js";
import { addWords, t, translate, words } from "./i18n.js";
import { notice } from "./notice.js";
import { persist, showOutage } from "./outage.js";
import { askSignedIn, onChange, session, setup } from "./session.js";
import { showLeft, showWho } from "./who.js";
import { statesOf } from "./usage-states.js";
import pricing from "./words/pricing.js";
import usage from "./words/usage.js";

addWords(pricing);
addWords(usage);

const byId = (id) => document.getElementById(id);
const ORDER = ["message", "integration", "project"];

let plans = [];
let packs = [];
let report = null;
let current = null;
// The workspace that is bought for; a payment that was broken off names it, too.
let workspace = ["workspace", "workspace_id"].map((name) => new URLSearchParams(location.search).get(name)).find(Boolean) ?? null;
let upgrade = "none";

// Work whose failure is heard of when it is waited for.
function started(work) {
  const doing = persist(work);
  doing.catch(() => {});
  return doing;
}

async function load() {
  showWho(byId("who"));
  byId("said").replaceChildren();
  try {
    // Asked for at once: on a slow line all of them wait for the same round trip.
    const onSale = started(() => ask("api/plans"));
    const own = started(() => session() && reportOf(workspace));
    const teams = started(() => session() && askSignedIn(ask, "api/workspaces"));
    ({ upgrade } = await setup);
    const onTop = started(() => (upgrade === "billing" ? ask("api/billing/packs") : []));
    plans = await onSale;
    packs = await onTop;
    const { workspaces } = (await teams) || { workspaces: [] };
    // A workspace that the viewer is not in is none.
    if (!workspaces.some((one) => one.workspace_id === workspace)) workspace = null;
    fillAccounts(byId("account"), workspaces, workspace);
    report = (await own) || null;
    current = report?.plan.id ?? null;
    if (!workspace) showLeft(report);
  } catch (problem) {
    if (!problem.isSignedOut) byId("said").replaceChildren(notice(problem, load));
  }
  show();
}

// The figures of the account that is chosen; of one's own where the workspace is none of the viewer's.
const reportOf = (id) =>
  askSignedIn(ask, `api/usage?days=1${id ? `&workspace=${encodeURIComponent(id)}` : ""}`).catch((problem) => {
    if (!id || ![404, 422].includes(problem.status)) throw problem;
    return reportOf(null);
  });

const mayBuy = () => !workspace || Boolean(report?.may_buy);
// An application's own checkout sells to persons alone.
const isSold = () => mayBuy() && !(workspace && upgrade === "checkout");

function how() {
  if (!mayBuy()) return t(report.buyers.length ? "pricing.how_team" : "pricing.how_team_plain", { who: words.list(report.buyers.map(isolated)) });
  return t(`pricing.how_${isSold() ? upgrade : "not_team"}`);
}

function show() {
  byId("states").replaceChildren(...(report ? statesOf(report, wayOn, words) : []));
  byId("how").replaceChildren(how(), managing());
  byId("interval").hidden = !plans.some((plan) => priceOf(plan, "year"));
  byId("plans").replaceChildren(...plans.map(card));
  byId("packs").hidden = !packs.length;
  byId("pack-list").replaceChildren(...packs.map(packCard));
}

// What a state of the plan leads to on this page. Where there is something to choose, it is below.
function wayOn(key, values) {
  const go = { pay: payAgain, resume: payAgain, keep: keep }[key]?.();
  return go ? button("link", t(`state.${key}`, values), (pressed) => pay(go, pressed)) : null;
}

const settle = () => manage(workspace);
const mine = () => plans.find((plan) => plan.id === current);
const payAgain = () => ({ billing: settle, checkout: isSold() && mine()?.price_cents && (() => elsewhere(mine())) })[upgrade];
// A change to come is taken back where it was asked for.
const keep = () => ({ billing: settle, demo: () => atOnce(mine()) })[upgrade];

const interval = () => document.querySelector("[name=interval]:checked").value;

// What a plan costs by the month or year. Where one pays for plans, they have prices that are registered.
function priceOf(plan, every) {
  if (upgrade !== "billing") return null;
  return plan.prices?.find((one) => one.interval === every && one.price_id) ?? null;
}

function managing() {
  if (upgrade !== "billing" || !mine()?.price_cents || !mayBuy()) return "";
  const button = h("button", { type: "button", class: "button small quiet" }, t("pricing.manage"));
  button.addEventListener("click", () => pay(settle, button));
  return h("span", { class: "manage" }, button);
}

function card(plan) {
  const isMine = plan.id === current;
  const chosen = priceOf(plan, interval()) ?? priceOf(plan, "month");
  const cents = chosen?.unit_amount ?? plan.price_cents;
  const every = chosen?.interval === "year" ? t("pricing.per_year") : t("pricing.per_month");
  return h(
    "li",
    { class: `card plan${isMine ? " mine" : ""}` },
    h("div", { class: "row top-line" }, h("h2", {}, plan.name)),
    h("p", { class: "muted small" }, plan.description),
    h(
      "p",
      { class: "price" },
      h("strong", {}, cents ? words.price(cents, chosen?.currency ?? plan.currency) : t("pricing.free")),
      cents ? h("span", { class: "muted" }, every) : "",
    ),
    h(
      "ul",
      { class: "includes", role: "list" },
      ...plan.limits
        .toSorted((a, b) => ORDER.indexOf(a.credit_type) - ORDER.indexOf(b.credit_type))
        .map((limit) => h("li", {}, icon("check"), h("span", {}, included(limit)))),
    ),
    way(plan, isMine),
  );
}

const included = (limit) =>
  limit.unlimited
    ? t("pricing.unlimited", { what: words.creditsOf(limit.credit_type) })
    : words.amountOf(limit.credit_type, limit.allowance);

function packCard(pack) {
  return h(
    "li",
    { class: "card plan" },
    h("h3", {}, pack.name),
    h("p", { class: "price" }, h("strong", {}, words.price(pack.unit_amount, pack.currency))),
    h("p", { class: "muted small" }, words.amountOf(pack.credit_type, pack.credits)),
    !session()
      ? h("a", { class: "button quiet", href: home.href }, t("pricing.sign_in_to_buy"))
      : mayBuy() &&
        button("button quiet", t("pricing.buy", { name: pack.name }), (pressed) =>
          pay(() => buy({ pack_id: pack.id, workspace_id: workspace }), pressed),
        ),
  );
}

function button(kind, label, act) {
  return h("button", { type: "button", class: kind, onclick: (event) => act(event.currentTarget) }, label);
}

// Goes to where one pays. The button rests meanwhile, so that one click is one order.
async function pay(go, pressed) {
  pressed.disabled = true;
  try {
    await go();
  } catch (problem) {
    pressed.disabled = false;
    if (problem.isSignedOut) return;
    byId("said").replaceChildren(notice(problem, () => pay(go, pressed)));
    byId("main").scrollIntoView();
  }
}

// From when a plan is the viewer's, and until when: a plan that changes says both.
function yours(plan, isMine) {
  const { pending_plan: next, pending_at: at } = report?.plan ?? {};
  if (isMine) return next && at ? t("pricing.yours_until", { when: words.date(at) }) : t(workspace ? "pricing.team" : "pricing.yours");
  return plan.id === next && at ? t("pricing.yours_from", { when: words.date(at) }) : null;
}

function way(plan, isMine) {
  const state = yours(plan, isMine);
  if (state) return h("p", { class: "current" }, state);
  if (!session()) return h("a", { class: "button quiet", href: home.href }, t("pricing.sign_in"));
  const now = mine();
  const cannot = {
    none: true,
    checkout: !plan.price_cents,
    billing: plan.price_cents ? !priceOf(plan, interval()) : !now?.price_cents,
  };
  if (cannot[upgrade] || !isSold()) return "";
  const isUp = !now || plan.rank > now.rank;
  const isNext = isUp && !plans.some((other) => other.rank < plan.rank && other.rank > (now?.rank ?? -1));
  const label = isUp ? t("pricing.upgrade", { name: plan.name }) : t("pricing.switch", { name: plan.name });
  return button(isNext ? "button" : "button quiet", label, (pressed) => choose(plan, pressed));
}

function choose(plan, pressed) {
  // Leaving a paid plan is a cancellation, which has its place where the subscription is managed.
  if (upgrade === "billing") {
    return pay(plan.price_cents ? () => buy({ plan_id: plan.id, interval: interval(), workspace_id: workspace }) : settle, pressed);
  }
  return pay(() => (upgrade === "checkout" ? elsewhere(plan) : atOnce(plan)), pressed);
}

async function elsewhere(plan) {
  const { url } = await askSignedIn(ask, "api/checkout", { method: "POST", body: { plan: plan.id } });
  location.assign(url);
}

async function atOnce(plan) {
  await askSignedIn(ask, "api/demo/change-plan", { method: "POST", body: { plan: plan.id, workspace_id: workspace } });
  await load();
  byId("said").replaceChildren(
    h(
      "p",
      { class: "notice good" },
      icon("check"),
      h("span", {}, t(workspace ? "pricing.changed_team" : "pricing.changed", { name: plan.name }), " ", h("a", { href: home.href }, t("payment.back"))),
    ),
  );
  byId("main").scrollIntoView();
}

translate();
// A book without a price has nothing to show.
byId("rates").lang = words.locale;
byId("rates").addEventListener("sonas-prices", ({ detail }) => (byId("rates").hidden &&= !detail.total));
byId("interval").addEventListener("change", show);
byId("account").addEventListener("change", ({ target }) => {
  const here = new URL(location.href);
  for (const name of ["workspace", "workspace_id", "order"]) here.searchParams.delete(name);
  if (target.value) here.searchParams.set("workspace", target.value);
  history.replaceState(null, "", here);
  workspace = target.value || null;
  load();
});
showOutage(byId("main"));
showBell(byId("who"));
onChange(load);
load().then(() => location.hash === "#packs" && byId("packs").scrollIntoView());
