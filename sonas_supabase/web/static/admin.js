// The founder's page: asks for the figures as whoever is signed in. Only operators get them.

import { ask } from "./api.js";
import { lines } from "./admin-chart.js";
import { h } from "./dom.js";
import { count, nameOf, sourceOf, timeZone } from "./format.js";
import { freshToken, session } from "./session.js";

const byId = (id) => document.getElementById(id);
const WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const percent = (rate) => (rate === null ? "–" : `${(rate * 100).toFixed(1)} %`);

let pasted = null;
let asked = 0;

async function load() {
  const turn = ++asked;
  const token = pasted ?? (session() ? await freshToken() : null);
  if (!token) return refuse("");
  byId("said").textContent = "Adding up…";
  const query = new URLSearchParams({ days: byId("days").value, bucket: byId("bucket").value, time_zone: timeZone });
  try {
    const found = await ask(`api/admin/metrics?${query}`, { token });
    if (turn === asked) show(found);
  } catch (problem) {
    if (turn !== asked) return;
    if (problem.status === 404 || problem.isSignedOut) refuse("There is nothing here for this token.");
    else byId("said").textContent = problem.message;
  }
}

function refuse(sentence) {
  pasted = null;
  byId("figures").replaceChildren();
  byId("window").hidden = true;
  byId("enter").hidden = false;
  byId("said").textContent = sentence || "This page is for those who run the app.";
}

function show(found) {
  byId("enter").hidden = true;
  byId("window").hidden = false;
  byId("said").textContent = `${count(found.health.accounts)} accounts. ${lag(found.health)}`;
  const figures = h("div", { class: "figures" });
  byId("figures").replaceChildren(figures);
  const { consumption, conversion, active, exhaustion, breakage, liability } = found;

  for (const type of [...new Set(consumption.rows.map((row) => row.credit_type))]) {
    const rows = consumption.rows.filter((row) => row.credit_type === type);
    const totals = found.consumption_in_all.rows.filter((row) => row.credit_type === type);
    add(figures, `${nameOf(type)}: spent by plan`, chart(conversion.rows, rows, (row) => row.plan, (row) => row.spent), [
      ["Plan", "Granted", "Spent", "Refunded", "Rate"],
      ...totals.map((row) => [row.plan, count(row.granted), count(row.spent), count(row.refunded), percent(row.rate)]),
    ]);
  }
  add(figures, "From free to paid", chart(conversion.rows, conversion.rows, () => "upgrades", (row) => row.upgrades), [
    ["", "Of", "Upgrades", "Rate"],
    ["All free accounts", count(conversion.free), count(conversion.upgrades), percent(conversion.rate)],
    ...after("a denial", conversion.after_denial),
    ...after("80 % spent", conversion.after_80_percent),
  ]);
  add(figures, "Active accounts", chart(conversion.rows, active.rows, (row) => row.plan ?? "all", (row) => row.active), []);
  add(figures, "Credits owed", chart(conversion.rows, liability.rows, (row) => `${nameOf(row.credit_type)}, ${sourceOf(row.source)}`, (row) => row.owed), [
    ["Credits", "Owed now", "Held", "Accounts"],
    ...liability.now.map((row) => [`${nameOf(row.credit_type)}, ${sourceOf(row.source)}`, count(row.owed), count(row.held), count(row.accounts)]),
  ]);
  add(figures, "Exhaustion", null, [
    ["Plan", "Type", "Periods", "Past 80 %", "Ran dry", "Share", "Denied"],
    ...exhaustion.rows.map((row) => [row.plan, nameOf(row.credit_type), count(row.periods), count(row.crossed_80_percent), count(row.ran_dry), percent(row.share), count(row.denied)]),
  ]);
  add(figures, "Breakage", null, [
    ["Plan", "Type", "Source", "Spent", "Expired", "Voided", "Unused"],
    ...breakage.rows.map((row) => [row.plan, nameOf(row.credit_type), sourceOf(row.source), count(row.spent), count(row.expired), count(row.voided), percent(row.share)]),
  ]);
  for (const [title, usage, name] of [
    ["Who spends most", found.top_accounts, (value) => value],
    ["By weekday", found.weekdays, (value) => WEEKDAYS[value - 1]],
    ["By hour", found.hours, (value) => `${value}:00`],
    ["By month of the sign-up", found.cohorts, (value) => value],
  ]) {
    add(figures, title, null, [
      ["", "Spent", "Share", "Operations"],
      ...usage.rows.map((row) => [row.value === null ? "All others" : name(row.value), count(row.spent), percent(row.share), count(row.operations)]),
    ]);
  }
}

function lag(health) {
  return health.renewal_lag_seconds > 3600 ? "Renewals are booked late: is the job running? Balances are right all the same." : "";
}

function after(what, found) {
  return [
    [`Within 24 hours of ${what}`, count(found.spells), count(found.within_24_hours), percent(found.rate_24_hours)],
    [`Within 7 days of ${what}`, count(found.spells), count(found.within_7_days), percent(found.rate_7_days)],
  ];
}

// The conversion has a row for every bucket, also where nothing happened.
function chart(every, rows, nameOfRow, value) {
  const buckets = every.map((row) => row.bucket);
  const place = new Map(buckets.map((at, nth) => [Date.parse(at), nth]));
  const series = {};
  for (const row of rows) {
    const line = (series[nameOfRow(row)] ??= buckets.map(() => 0));
    line[place.get(Date.parse(row.bucket))] += value(row);
  }
  return { buckets, series };
}

function add(figures, title, drawn, table) {
  const section = h("section", {}, h("h2", {}, title));
  figures.append(section);
  if (drawn && Object.keys(drawn.series).length) {
    const target = h("div", { class: "chart", "aria-hidden": "true" });
    section.append(target);
    const legend = lines(target, drawn.buckets, drawn.series);
    if (legend.length > 1 || !table.length) section.append(h("ul", { class: "legend" }, ...legend.map(([name, swatch]) => h("li", {}, swatch, name))));
  }
  const [head, ...body] = table;
  if (!body.length) {
    if (!drawn || !Object.keys(drawn.series).length) section.append(h("p", { class: "muted" }, "Nothing yet."));
    return;
  }
  section.append(
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": title },
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, ...head.map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, ...body.map((row) => h("tr", {}, ...row.map((cell) => h("td", {}, String(cell)))))),
      ),
    ),
  );
}

byId("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  pasted = byId("token").value.trim();
  byId("token").value = "";
  load();
});
for (const id of ["days", "bucket"]) byId(id).addEventListener("change", load);
load();
