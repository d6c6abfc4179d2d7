// The bell in the corner: how much is unread, and what it says.

import { ask } from "./api.js";
import { h } from "./dom.js";
import { addWords, fromNow, fullTime, t } from "./i18n.js";
import { askSignedIn, onChange, session } from "./session.js";
import wordsOfMessages from "./words/messages.js";
import { sentence } from "./message-words.js";

addWords(wordsOfMessages);

const EVERY = 60_000;

export function showBell(place) {
  const badge = h("span", { class: "count", hidden: true });
  const list = h("ul", { class: "notifications", role: "list" });
  const panel = h(
    "div",
    { class: "bell-panel card", hidden: true },
    h("h2", {}, t("messages.title")),
    list,
    h("p", { class: "small" }, h("a", { href: "messages" }, t("messages.settings"))),
  );
  const button = h(
    "button",
    { type: "button", class: "plain bell", "aria-expanded": "false", onclick: () => (panel.hidden ? open() : close()) },
    t("messages.bell"),
    badge,
  );
  const bell = h("div", { class: "bell-corner", hidden: true }, button, panel);
  place.after(bell);

  function close() {
    panel.hidden = true;
    button.setAttribute("aria-expanded", "false");
  }

  async function open() {
    panel.hidden = false;
    button.setAttribute("aria-expanded", "true");
    await load();
    await askSignedIn(ask, "api/notifications/read", { method: "POST", body: {} }).catch(() => {});
    badge.hidden = true;
  }

  async function load() {
    bell.hidden = !session();
    if (!session() || document.hidden) return;
    try {
      const { unread, rows } = await askSignedIn(ask, "api/notifications?limit=20");
      badge.textContent = String(unread);
      badge.hidden = unread === 0;
      button.setAttribute("aria-label", t("messages.unread", { n: unread }));
      list.replaceChildren(...(rows.length ? rows.map(line) : [h("li", { class: "muted" }, t("messages.none"))]));
    } catch {
      // The page says by itself when the server is away.
    }
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

  addEventListener("keydown", (event) => event.key === "Escape" && !panel.hidden && (close(), button.focus()));
  addEventListener("click", (event) => !panel.hidden && !bell.contains(event.target) && close());
  document.addEventListener("visibilitychange", load);
  setInterval(load, EVERY);
  onChange(load);
  load();
}
