// The dashboard: who is signed in, which tab is open, and one feed of figures for all of it.

import { fillAccounts } from "./accounts.js";
import { ask, home, Problem } from "./api.js";
import { showBell } from "./bell.js";
import { feedFor, forgetFeedsOf, ownerOf } from "./feed.js";
import { t, translate, words } from "./i18n.js";
import { followSteps } from "./notice.js";
import { persist, showOutage } from "./outage.js";
import { showProjects } from "./projects.js";
import { askSignedIn, freshToken, onChange, session, sessionEnded } from "./session.js";
import { showSignIn } from "./sign-in.js";
import { showLeft, showWho } from "./who.js";

const byId = (id) => document.getElementById(id);
const panels = [byId("usage-side"), byId("usage-full")];
const tabs = [byId("tab-projects"), byId("tab-usage")];
const TITLES = { "tab-projects": t("page.projects"), "tab-usage": t("page.usage") };

function select(tab, { focus = false } = {}) {
  for (const other of tabs) {
    const isChosen = other === tab;
    other.setAttribute("aria-selected", String(isChosen));
    other.tabIndex = isChosen ? 0 : -1;
    byId(other.getAttribute("aria-controls")).hidden = !isChosen;
  }
  document.title = `${TITLES[tab.id]} · Sonas`;
  if (focus) tab.focus();
  for (const panel of panels) panel.refresh?.();
}

function followAddress() {
  select(location.hash === "#usage" ? tabs[1] : tabs[0]);
  if (session()) projects.open(location.hash.match(/^#project\/([0-9a-f-]{36})$/)?.[1] ?? null);
}

for (const tab of tabs) {
  tab.addEventListener("click", () => (location.hash = tab.id === "tab-usage" ? "#usage" : "#projects"));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
    next.click();
    next.focus();
  });
}
addEventListener("hashchange", followAddress);

// What is seen first does not wait for the figures. They are asked for while the script that shows them is on its way.
const comer = { isSeen: true, show() {} };
let coming = null;

function askAhead(token) {
  coming?.leave(comer);
  coming = token && !customElements.get("sonas-usage") ? feedFor(home.href, null, null, ownerOf(token)) : null;
  coming?.use(token);
  coming?.join(comer);
}

persist(() =>
  import("./usage-panel.js").catch(() => {
    throw new Problem(0, null);
  }),
).then(() => askAhead(null));

let shown = null;

async function show(reason) {
  const now = session();
  if (shown && now?.user_id !== shown) forgetFeedsOf(shown);
  askAhead(now?.access_token);
  for (const panel of panels) panel.token = now?.access_token ?? null;
  // A token that was replaced changes nothing of what is on the page.
  if (now && now.user_id === shown) return;
  // The address names what the person who has left was looking at; after an expired session it is for coming back to.
  if (shown && !reason) history.replaceState(null, "", "./");
  shown = now?.user_id ?? null;
  projects.forget();
  followSteps(null);
  showWho(byId("who"));
  byId("sign-in").hidden = Boolean(now);
  byId("signed-in").hidden = !now;
  showAccounts([]);
  if (now) {
    projects.reset();
    followAddress();
    const asker = now.user_id;
    const found = await askSignedIn(ask, "api/workspaces").catch(() => null);
    if (session()?.user_id === asker) showAccounts(found?.workspaces ?? []);
  } else {
    await showSignIn(byId("sign-in"), reason);
  }
}

// Whose usage is shown: one's own, or that of a workspace one is in.
function showAccounts(workspaces) {
  fillAccounts(byId("account"), workspaces);
  panels[1].removeAttribute("workspace");
}

byId("accounts").addEventListener("change", ({ target }) =>
  target.value ? panels[1].setAttribute("workspace", target.value) : panels[1].removeAttribute("workspace"),
);

const projects = showProjects(byId("projects"), () => panels[0].refresh?.());

for (const panel of panels) {
  panel.lang = words.locale;
  panel.addEventListener("sonas-history", () => (location.hash = "#usage"));
  panel.addEventListener(
    "sonas-unauthorized",
    () => session() && sessionEnded(),
  );
}
panels[0].addEventListener("sonas-usage", ({ detail }) => {
  showLeft(detail);
  followSteps(detail);
  projects.follow(detail);
});

// A token that is about to expire is replaced before a request fails for it.
setInterval(async () => {
  if (session()?.refresh_token) await freshToken();
}, 30_000);

translate();
showOutage(byId("main"));
showBell(byId("who"));
onChange(show);
show();
