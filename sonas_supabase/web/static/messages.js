// When and how the viewer is told: the levels of each credit type, mails, the bell.

import { ask, home } from "./api.js";
import { showBell } from "./bell.js";
import { h } from "./dom.js";
import { addWords, nameOf, t, translate } from "./i18n.js";
import { notice } from "./notice.js";
import { persist, showOutage } from "./outage.js";
import { askSignedIn, onChange, session } from "./session.js";
import { showWho } from "./who.js";
import wordsOfMessages from "./words/messages.js";

addWords(wordsOfMessages);

const byId = (id) => document.getElementById(id);
const numbers = (text) =>
  text
    .split(/[\s,;]+/)
    .filter(Boolean)
    .map(Number);

async function load() {
  showWho(byId("who"));
  if (!session()) {
    location.replace(home.href);
    return;
  }
  try {
    draw(await persist(() => askSignedIn(ask, "api/alerts")));
  } catch (problem) {
    if (!problem.isSignedOut) byId("said").replaceChildren(notice(problem, load));
  }
}

async function save(path, body) {
  try {
    draw(await askSignedIn(ask, path, { method: "PUT", body }));
    byId("said").replaceChildren(h("p", {}, t("messages.saved")));
  } catch (problem) {
    if (!problem.isSignedOut) byId("said").replaceChildren(notice(problem));
  }
}

function draw(alerts) {
  byId("settings").replaceChildren(
    h(
      "section",
      { class: "card stack" },
      choice("by_mail", t("messages.mail"), alerts.by_mail),
      h("p", { class: "muted small" }, t("messages.mail_hint")),
      choice("in_app", t("messages.app"), alerts.in_app),
    ),
    ...alerts.alerts.map(levels),
  );
}

const choice = (name, words, isOn) =>
  h(
    "label",
    { class: "choice" },
    h("input", { type: "checkbox", checked: isOn, onchange: (event) => save("api/alerts/channels", { [name]: event.target.checked }) }),
    h("span", {}, words),
  );

function levels(alert) {
  const percents = field(t("messages.percents"), alert.percents.join(", "));
  const amounts = field(t("messages.amounts"), alert.amounts.join(", "));
  const put = (given) => save("api/alerts/levels", { credit_type: alert.credit_type, ...given });
  return h(
    "form",
    {
      class: "card stack",
      onsubmit: (event) => {
        event.preventDefault();
        put({ percents: numbers(percents.input.value), amounts: numbers(amounts.input.value) });
      },
    },
    h("h2", {}, nameOf(alert.credit_type)),
    percents.label,
    amounts.label,
    h("p", { class: "muted small" }, t("messages.list_hint")),
    h(
      "div",
      { class: "row" },
      h("button", { type: "submit", class: "button" }, t("messages.save")),
      alert.is_default
        ? null
        : h("button", { type: "button", class: "plain", onclick: () => put({}) }, t("messages.usual")),
    ),
  );
}

function field(words, value) {
  const input = h("input", { type: "text", inputmode: "numeric", value, autocomplete: "off" });
  return { input, label: h("label", { class: "stack" }, h("span", {}, words), input) };
}

translate();
showOutage(byId("main"));
showBell(byId("who"));
onChange(load);
load();
