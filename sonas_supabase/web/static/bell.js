// The bell in the corner: how much is unread. What it says is loaded when it is opened.

import { ask } from "./api.js";
import { h, icon } from "./dom.js";
import { addWords, t } from "./i18n.js";
import { askSignedIn, onChange, session } from "./session.js";
import wordsOfBell from "./words/bell.js";

addWords(wordsOfBell);

export function showBell(place) {
  const badge = h("span", { class: "count", hidden: true });
  const panel = h("div", { class: "bell-panel card", hidden: true });
  const button = h("button", { type: "button", class: "plain bell", onclick: () => show(panel.hidden) }, icon("bell"), h("span", { class: "label" }, t("messages.bell")), badge);
  const bell = h("div", { class: "bell-corner", hidden: true }, button, panel);
  place.before(bell);

  let shown = null;

  async function show(isOpen) {
    panel.hidden = !isOpen;
    button.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) return;
    const [{ fill }, told] = await Promise.all([import("./bell-panel.js"), load()]);
    fill(panel, told?.rows ?? [], () => show(false));
    await askSignedIn(ask, "api/notifications/read", { method: "POST", body: {} }).catch(() => {});
    badge.hidden = true;
  }

  // What one person was told is not in the page any more when the next one comes.
  function forget() {
    panel.replaceChildren();
    panel.hidden = badge.hidden = true;
    badge.textContent = "";
    button.setAttribute("aria-expanded", "false");
  }

  async function load() {
    const person = session()?.user_id ?? null;
    if (person !== shown) forget();
    shown = person;
    bell.hidden = !person;
    if (!session() || document.hidden) return null;
    // When the server is away, the page says so by itself.
    const told = await askSignedIn(ask, "api/notifications?limit=20").catch(() => null);
    if (person !== (session()?.user_id ?? null)) return null;
    if (told) {
      badge.replaceChildren(` ${told.unread} `, h("span", { class: "hidden" }, t("messages.unread")));
      badge.hidden = told.unread === 0;
    }
    return told;
  }

  button.setAttribute("aria-expanded", "false");
  setInterval(load, 60_000);
  onChange(load);
  load();
}
