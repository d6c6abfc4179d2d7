// What the bell shows when it is opened: the newest news, and the way to its settings.

import { h } from "./dom.js";
import { addWords, fromNow, fullTime, t } from "./i18n.js";
import { sentence } from "./message-words.js";
import wordsOfMessages from "./words/messages.js";

addWords(wordsOfMessages);

let close = null;

addEventListener("keydown", (event) => event.key === "Escape" && close?.());
addEventListener("click", (event) => !event.target.closest?.(".bell-corner") && close?.());

export function fill(panel, rows, whenClosed) {
  close = () => {
    if (panel.contains(document.activeElement)) panel.previousElementSibling.focus();
    close = null;
    whenClosed();
  };
  panel.replaceChildren(
    h("h2", {}, t("messages.title")),
    h(
      "ul",
      { class: "notifications", role: "list" },
      ...(rows.length ? rows.map(line) : [h("li", { class: "muted" }, t("messages.none"))]),
    ),
    h("p", { class: "small" }, h("a", { href: "messages" }, t("messages.settings"))),
  );
}

const line = (row) =>
  h(
    "li",
    { class: row.read_at ? "" : "unread" },
    row.workspace ? h("span", { class: "muted small" }, `${row.workspace}: `) : null,
    h("span", {}, sentence(row)),
    " ",
    h("time", { class: "muted small", datetime: row.created_at, title: fullTime(row.created_at) }, fromNow(row.created_at)),
  );
