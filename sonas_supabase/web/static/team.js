// The team page: which workspace, who is in it, what each may spend, and which programs act for them.

import { ask, home } from "./api.js";
import { showBell } from "./bell.js";
import { bdi, h } from "./dom.js";
import { addWords, fromNow, fullTime, nameOf, t, translate, words } from "./i18n.js";
import { notice } from "./notice.js";
import { persist, showOutage } from "./outage.js";
import { askSignedIn, onChange, session } from "./session.js";
import "./usage-panel.js";
import teamWords from "./words/team.js";
import { showWho } from "./who.js";

addWords(teamWords);

const byId = (id) => document.getElementById(id);
const CHOSEN = "sonas-workspace";
const ROLES = ["owner", "admin", "member", "viewer"];
const WINDOWS = ["day", "week", "month", "period", "draw", "in_flight"];
const INVITED = /^#invitation=(inv_[0-9a-f]+)$/;

let workspaces = [];

const request = (path, options) => askSignedIn(ask, `api/workspaces${path}`, options);
const sent = (path, method, body) => request(path, { method, body });

// What went wrong is said where everything else is, and the page shows what is true by then.
async function attempt(work) {
  byId("said").replaceChildren();
  try {
    const shown = await work();
    await load();
    if (shown) byId("said").replaceChildren(shown);
  } catch (problem) {
    if (problem.isSignedOut) return;
    byId("said").replaceChildren(notice(problem));
    byId("main").focus();
  }
}

function remember(id) {
  sessionStorage.setItem(CHOSEN, id);
}

function chosen() {
  const last = sessionStorage.getItem(CHOSEN);
  return workspaces.find((one) => one.workspace_id === last) ?? workspaces[0];
}

async function load() {
  showWho(byId("who"));
  if (!session()) {
    byId("switcher").replaceChildren(h("p", {}, h("a", { class: "button", href: home.href }, t("team.sign_in"))));
    byId("team").replaceChildren();
    hideUsage();
    return;
  }
  workspaces = (await persist(() => request(""))).workspaces;
  byId("switcher").replaceChildren(...switcher());
  const one = chosen();
  if (!one) {
    byId("team").replaceChildren();
    hideUsage();
    return;
  }
  const panel = byId("usage");
  panel.lang = words.locale;
  panel.setAttribute("workspace", one.workspace_id);
  panel.token = session().access_token;
  panel.hidden = false;
  const at = `/${one.workspace_id}`;
  const [workspace, summary, keys] = await Promise.all([
    request(at),
    request(`${at}/usage`),
    request(`${at}/keys`),
  ]);
  byId("team").replaceChildren(
    members(workspace, at),
    invitations(workspace, at),
    budgets(workspace, summary, at),
    apiKeys(workspace, keys.keys, at),
  );
}

function hideUsage() {
  byId("usage").token = null;
  byId("usage").hidden = true;
}

function switcher() {
  const now = chosen();
  const token = location.hash.match(INVITED)?.[1];
  return [
    token &&
      h("p", {}, button(t("team.accept"), () => attempt(() => join(token)), "button")),
    workspaces.length
      ? labelled(
          t("team.account"),
          h(
            "select",
            {
              onchange: (event) => {
                remember(event.currentTarget.value);
                attempt(() => null);
              },
            },
            ...workspaces.map((one) =>
              h("option", { value: one.workspace_id, selected: one === now }, `${one.name} · ${t(`team.role.${one.role}`)}`),
            ),
          ),
        )
      : h("p", {}, t("team.none")),
    form(t("team.create"), { name: labelled(t("team.new"), field("name", { maxlength: "200" })) }, async ({ name }) => {
      remember((await sent("", "POST", { name })).workspace_id);
    }),
  ].filter(Boolean);
}

async function join(token) {
  remember((await sent("/accept", "POST", { token })).workspace_id);
  history.replaceState(null, "", location.pathname);
}

const nameOfMember = (member) => (member?.email ? bdi(member.email) : t("team.role.member"));
const oversees = (workspace) => ["owner", "admin"].includes(workspace.role);

function members(workspace, at) {
  const me = session().user_id;
  const mayTouch = (member) => workspace.role === "owner" || (workspace.role === "admin" && member.role !== "owner");
  const roles = ROLES.filter((role) => workspace.role === "owner" || role !== "owner");
  const plans = new URL(`pricing?workspace=${workspace.workspace_id}`, home).href;
  const row = (member) =>
    line(
      [nameOfMember(member), member.user_id === me ? ` (${t("team.you")})` : ""],
      [
        mayTouch(member) ? roleOf(member, roles, at) : h("span", { class: "muted" }, t(`team.role.${member.role}`)),
        wayOut(member, me, mayTouch(member), at),
      ],
    );
  return h(
    "section",
    { class: "card" },
    h("h2", {}, t("team.members")),
    lines(workspace.members.map(row)),
    h("p", { class: "muted small" }, oversees(workspace) ? h("a", { href: plans }, t("team.buy")) : t("team.buyers")),
    oversees(workspace) &&
      form(
        t("team.invite"),
        {
          email: labelled(t("team.email"), field("email", { type: "email", maxlength: "320" })),
          role: labelled(t("team.role"), choice("role", roles, (role) => t(`team.role.${role}`), "member")),
        },
        async (wanted) => secret(t("team.link", { email: wanted.email }), linkOf(await sent(`${at}/invitations`, "POST", wanted))),
      ),
  );
}

const linkOf = ({ token }) => new URL(`team#invitation=${token}`, home).href;

function roleOf(member, roles, at) {
  return h(
    "select",
    {
      "aria-label": `${t("team.role")}: ${member.email ?? ""}`,
      onchange: (event) => {
        const role = event.currentTarget.value;
        attempt(() => sent(`${at}/members/${member.user_id}`, "PUT", { role }).then(() => null));
      },
    },
    ...roles.map((role) => h("option", { value: role, selected: role === member.role }, t(`team.role.${role}`))),
  );
}

function wayOut(member, me, mayTouch, at) {
  if (member.user_id === me) {
    return button(t("team.leave"), () => confirm(t("team.leave.sure")) && attempt(() => sent(`${at}/leave`, "POST").then(() => null)));
  }
  if (!mayTouch) return "";
  const sure = t("team.remove.sure", { name: member.email ?? "" });
  return button(
    t("team.remove"),
    () => confirm(sure) && attempt(() => sent(`${at}/members/${member.user_id}`, "DELETE").then(() => null)),
  );
}

function invitations(workspace, at) {
  if (!workspace.invitations.length) return "";
  const row = (one) =>
    line(
      [bdi(one.email), small(`${t(`team.role.${one.role}`)} · ${t("team.expires", { relative: fromNow(one.expires_at), when: fullTime(one.expires_at) })}`)],
      [button(t("team.revoke"), () => attempt(() => sent(`${at}/invitations/${one.invitation_id}`, "DELETE").then(() => null)))],
    );
  return h("section", { class: "card" }, h("h2", {}, t("team.invitations")), lines(workspace.invitations.map(row)));
}

function scopeOf(budget, workspace) {
  if (budget.scope === "workspace") return t("team.scope.workspace");
  if (budget.scope === "role") return t("team.scope.role", { name: t(`team.role.${budget.scope_value}`) });
  if (budget.scope === "metadata") return bdi(budget.scope_value);
  if (!budget.scope_value) return t("team.scope.member");
  return nameOfMember(workspace.members.find((one) => one.user_id === budget.scope_value));
}

function budgets(workspace, summary, at) {
  const row = (budget) =>
    line(
      [
        h("span", {}, `${nameOf(budget.credit_type)} · `, scopeOf(budget, workspace)),
        small(`${t("team.used", { used: budget.used, limit: budget.limit })} ${t(`team.window.${budget.window}`, { n: budget.hours })}`),
        h("progress", { max: Math.max(budget.limit, 1), value: Math.min(budget.used, budget.limit), "aria-label": t("team.budgets") }),
      ],
      [oversees(workspace) ? button(t("team.delete"), () => attempt(() => sent(`${at}/budgets/${budget.budget_id}`, "DELETE").then(() => null))) : ""],
    );
  const types = summary.balances.map((one) => one.credit_type);
  return h(
    "section",
    { class: "card" },
    h("h2", {}, t("team.budgets")),
    summary.budgets.length ? lines(summary.budgets.map(row)) : h("p", { class: "muted" }, t("team.budgets.none")),
    oversees(workspace) &&
      form(
        t("team.set"),
        {
          credit_type: labelled(t("team.credits"), choice("credit_type", types, nameOf, "message")),
          scope: labelled(t("team.of"), choice("scope", ["member", "workspace"], (scope) => t(`team.scope.${scope}`), "member")),
          limit: labelled(t("team.limit"), field("limit", { type: "number", min: "0", step: "1" })),
          window: labelled(t("team.window"), choice("window", WINDOWS, (kind) => t(`team.window.${kind}`), "day")),
        },
        async (wanted) => {
          await sent(`${at}/budgets`, "PUT", { ...wanted, limit: Number(wanted.limit) });
        },
      ),
  );
}

function apiKeys(workspace, keys, at) {
  const row = (key) =>
    line(
      [
        bdi(key.name),
        small(nameOfMember(workspace.members.find((one) => one.user_id === key.user_id)), ` · ${t("team.key.used")}: ${key.last_used_at ? fromNow(key.last_used_at) : t("team.key.never")}`),
      ],
      [button(t("team.key.revoke"), () => attempt(() => sent(`${at}/keys/${key.key_id}`, "DELETE").then(() => null)))],
    );
  return h(
    "section",
    { class: "card" },
    h("h2", {}, t("team.keys")),
    keys.length ? lines(keys.map(row)) : h("p", { class: "muted" }, t("team.keys.none")),
    workspace.role !== "viewer" &&
      form(t("team.key.new"), { name: labelled(t("team.name"), field("name", { maxlength: "80" })) }, async ({ name }) =>
        secret(t("team.key.shown"), (await sent(`${at}/keys`, "POST", { name })).key),
      ),
  );
}

// A secret that is shown this once, to be copied.
const secret = (told, value) => h("div", { class: "notice good" }, h("div", {}, h("p", {}, told), h("p", { class: "secret" }, value)));

const labelled = (text, input) => h("label", {}, h("span", {}, text), input);
const field = (name, more = {}) => h("input", { name, required: true, type: "text", autocomplete: "off", ...more });
const choice = (name, values, say, first) =>
  h("select", { name }, ...values.map((value) => h("option", { value, selected: value === first }, say(value))));
const button = (text, onclick, kind = "button small quiet") => h("button", { type: "button", class: kind, onclick }, text);
const lines = (all) => h("ul", { role: "list" }, ...all);
// What it is, and what can be done about it; below each other where there is no room beside.
const line = (what, actions) => h("li", { class: "line" }, h("div", { class: "grow" }, ...what), ...actions.filter(Boolean));
const small = (...content) => h("p", { class: "muted small" }, ...content);

function form(text, fields, work) {
  return h(
    "form",
    {
      onsubmit: (event) => {
        event.preventDefault();
        const values = Object.fromEntries(new FormData(event.currentTarget));
        attempt(() => work(values));
      },
    },
    ...Object.values(fields),
    h("button", { type: "submit", class: "button small" }, text),
  );
}

translate();
showOutage(byId("main"));
showBell(byId("who"));
onChange(() => attempt(() => null));
attempt(() => null);
