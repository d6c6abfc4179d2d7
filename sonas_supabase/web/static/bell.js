// The bell in the corner: how much is unread. What it says is loaded when it is opened.

import { ask } from "./api.js";
import { h } from "./dom.js";
import { addWords, t } from "./i18n.js";
import { askSignedIn, onChange, session } from "./session.js";
import wordsOfBell from "./words/bell.js";

addWords(wordsOfBell);

export function showBell(place) {
  // A phone's corner has no room for it; the same news come by mail.
  if (matchMedia("(max-width: 560px)").matches) return;
  const badge = h("span", { class: "count", hidden: true });
  const panel = h("div", { class: "bell-panel card", hidden: true });
  const button = h("button", { type: "button", class: "plain bell", onclick: () => show(panel.hidden) }, t("messages.bell"), badge);
  const bell = h("div", { class: "bell-corner", hidden: true }, button, panel);
  place.after(bell);

  async function show(isOpen) {
    panel.hidden = !isOpen;
    button.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) return;
    const [{ fill }, told] = await Promise.all([import("./bell-panel.js"), load()]);
    fill(panel, told?.rows ?? [], () => show(false));
    await askSignedIn(ask, "api/notifications/read", { method: "POST", body: {} }).catch(() => {});
    badge.hidden = true;
  }

  async function load() {
    bell.hidden = !session();
    if (!session() || document.hidden) return null;
    // When the server is away, the page says so by itself.
    const told = await askSignedIn(ask, "api/notifications?limit=20").catch(() => null);
    if (told) {
      badge.textContent = ` ${told.unread}`;
      badge.hidden = told.unread === 0;
      button.title = t("messages.unread", { n: told.unread });
    }
    return told;
  }

  button.setAttribute("aria-expanded", "false");
  setInterval(load, 60_000);
  onChange(load);
  load();
}
