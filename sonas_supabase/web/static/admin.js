// The founder's page: asks for the figures as whoever is signed in. Only operators get them. What is shown is in the
// address, so that it can be kept and passed on; the token never is.

import { ask } from "./api.js";
import { cards, tiles } from "./admin-cards.js";
import { draw } from "./admin-chart.js";
import { csv, save } from "./admin-csv.js";
import { h } from "./dom.js";
import { addWords, t, translate, words } from "./i18n.js";
import { freshToken, session } from "./session.js";
import admin from "./words/admin.js";
import { timeZone } from "./words.js";

addWords(admin);

const byId = (id) => document.getElementById(id);
const DEFAULTS = { days: "90", bucket: "day", key: "" };

let pasted = null;
let asked = 0;

function readAddress() {
  const given = new URLSearchParams(location.search);
  for (const [id, usual] of Object.entries(DEFAULTS)) {
    const field = byId(id);
    field.value = given.get(id) ?? usual;
    if (!field.value) field.value = usual;
  }
}

function writeAddress() {
  const kept = Object.keys(DEFAULTS).filter((id) => byId(id).value !== DEFAULTS[id]);
  const query = new URLSearchParams(kept.map((id) => [id, byId(id).value]));
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
}

async function load() {
  const turn = ++asked;
  const token = pasted ?? (session() ? await freshToken() : null);
  if (!token) return refuse("");
  busy(true);
  say(t("admin.adding"));
  const query = new URLSearchParams({ days: byId("days").value, bucket: byId("bucket").value, time_zone: timeZone });
  if (byId("key").value) query.set("key", byId("key").value);
  try {
    const found = await ask(`api/admin/metrics?${query}`, { token });
    if (turn === asked) show(found);
  } catch (problem) {
    if (turn !== asked) return;
    if (problem.status === 404 || problem.isSignedOut) return refuse(t("admin.nothing_for_token"));
    const why = problem.status === 0 ? t("admin.away") : problem.code ? problem.say(words) : t("admin.no_answer");
    say(`${why} ${t("admin.old")}`, { again: true });
  }
  if (turn === asked) busy(false);
}

function busy(is) {
  byId("figures").setAttribute("aria-busy", String(is));
}

function say(sentence, { again = false } = {}) {
  byId("said").textContent = sentence;
  byId("again").hidden = !again;
}

function refuse(sentence) {
  pasted = null;
  busy(false);
  byId("figures").replaceChildren();
  byId("window").hidden = true;
  byId("enter").hidden = false;
  say(sentence || t("admin.for_operators"));
}

function show(found) {
  byId("enter").hidden = true;
  byId("window").hidden = false;
  const { since, until, time_zone: zone } = found.conversion;
  const day = new Intl.DateTimeFormat(words.locale, { timeZone: zone, dateStyle: "medium" });
  const bucket = byId("bucket").value;
  const cut = t(`admin.cut_${bucket}`);
  say(`${day.formatRange(new Date(since), new Date(until))}, ${zone}. ${t("admin.n_accounts", { n: found.health.accounts })} ${cut} ${lag(found.health)}`);
  const shown = h("div", { class: "cards" });
  byId("figures").replaceChildren(
    h("dl", { class: "tiles" }, ...tiles(found).map(([name, value, note]) => h("div", {}, h("dt", {}, name), h("dd", {}, h("b", {}, value), note)))),
    shown,
  );
  for (const card of cards(found, bucket)) add(shown, card, zone);
}

function lag(health) {
  return health.renewal_lag_seconds > 3600 ? t("admin.late") : "";
}

function add(shown, { title, sentence, chart, head, body, note, folded, rows }, zone) {
  const heading = h("h2", {}, title);
  const section = h("section", {}, h("header", {}, heading));
  shown.append(section);
  const drawn = chart && Object.keys(chart.series).length > 0;
  if (!drawn && !body.length) {
    section.append(h("p", { class: "muted" }, t("admin.nothing")));
    return;
  }
  section.firstChild.append(button(title, rows, zone));
  if (sentence) section.append(h("p", { class: "unit" }, sentence));
  if (drawn) section.append(...figure(title, chart, zone));
  if (note) section.append(h("p", { class: "note" }, note));
  if (body.length) section.append(folded ? h("details", {}, h("summary", {}, t("admin.table")), table(title, head, body)) : table(title, head, body));
}

function button(title, rows, zone) {
  const name = title.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
  return h("button", { class: "csv", type: "button", "aria-label": t("admin.as_csv", { title }), onclick: () => save(name, csv(rows, zone)) }, "CSV");
}

function figure(title, chart, zone) {
  const day = new Intl.DateTimeFormat(words.locale, { timeZone: zone, day: "numeric", month: "short" });
  const unit = h("p", { class: "unit" }, chart.unit);
  const target = h("div", { class: "chart", role: "img", "aria-label": `${title}. ${chart.unit}.` });
  const legend = draw(target, unit, { ...chart, labels: chart.labels ?? chart.buckets.map((at) => day.format(new Date(at))) });
  const named = legend.length > 1 ? [h("ul", { class: "legend" }, ...legend.map(([name, swatch]) => h("li", {}, swatch, name)))] : [];
  return [unit, target, ...named];
}

function table(title, head, body) {
  const kind = head.map((name) => (name === t("admin.credits") ? "text" : undefined));
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": title },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, ...head.map((name, nth) => (name ? h("th", { scope: "col", class: kind[nth] }, name) : h("td", {}))))),
      h("tbody", {}, ...body.map(([name, ...cells]) => h("tr", {}, h("th", { scope: "row" }, name), ...cells.map((cell, nth) => h("td", { class: kind[nth + 1] }, cell))))),
    ),
  );
}

byId("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  pasted = byId("token").value.trim();
  byId("token").value = "";
  load();
});
byId("window").addEventListener("submit", (event) => event.preventDefault());
byId("again").addEventListener("click", load);
for (const id of Object.keys(DEFAULTS)) {
  byId(id).addEventListener("change", () => {
    writeAddress();
    load();
  });
}
translate();
readAddress();
load();
