// "My Projects": a prompt, what came of earlier ones, and one project with its files and a chat.

import { ask, send } from "./api.js";
import { showChat } from "./chat.js";
import { bdi, h, icon, isolated } from "./dom.js";
import { addWords, count, fromNow, fullTime, parts, t } from "./i18n.js";
import { notice } from "./notice.js";
import { drawer } from "./mine.js";
import { persist } from "./outage.js";
import { askSignedIn, session, setup } from "./session.js";
import projectWords from "./words/projects.js";

addWords(projectWords);

const DRAFT = "draft";
const PAGE = 24;
const MANY = 12;
const FIRST = ["index.html", "README.md"];
const byReading = (a, b) => FIRST.indexOf(b) - FIRST.indexOf(a) || a.localeCompare(b);

export function showProjects(element, afterChange) {
  let openId = null;
  let inUse = null;
  let drawn = null;
  let turns = 0;
  let shown = PAGE;

  const list = h("div", { class: "stack" });
  const find = h("input", { type: "search", id: "find", autocomplete: "off", maxLength: 100, "aria-label": t("projects.search"), placeholder: t("projects.search") });
  const finder = h("div", { class: "finder", hidden: true }, find);
  let typing = null;
  find.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => ((shown = PAGE), load()), 250);
  });
  const one = h("div", { class: "stack", hidden: true });
  const composer = showComposer(async (project) => {
    afterChange();
    await load(project.id);
  });
  const overview = h("div", { class: "stack" }, composer.element, finder, list);
  element.append(overview, one);

  // Only when there is something new, and without taking the keyboard away from where it is.
  function draw(projects, all, fresh) {
    const text = JSON.stringify([projects, all, find.value]);
    if (text === drawn) return;
    drawn = text;
    const focused = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    finder.hidden = all < MANY && !find.value;
    const more = () => ((shown += PAGE), load());
    list.replaceChildren(...listOf(projects, { all, fresh, remove, more, isFound: Boolean(find.value) }));
    if (focused) list.querySelector(`[data-key="${focused}"]`)?.focus();
  }

  async function load(fresh) {
    const turn = ++turns;
    try {
      const [projects, all] = await persist(() => turn === turns && page());
      if (turn !== turns) return;
      draw(projects, all, fresh);
    } catch (problem) {
      if (turn !== turns) return;
      drawn = null;
      if (!problem.isSignedOut) list.replaceChildren(notice(problem, () => load(fresh)));
    }
  }

  // As many as are shown, by pages: more of them were asked for before.
  async function page() {
    const found = [];
    let all = 0;
    do {
      const query = new URLSearchParams();
      const last = found.at(-1);
      if (last) query.set("before", `${last.created_at}_${last.id}`);
      if (find.value.trim()) query.set("name", find.value.trim());
      const response = await askSignedIn(send, `api/projects${query.size ? "?" : ""}${query}`);
      const more = await response.json();
      if (!more.length) break;
      all = Number(response.headers.get("x-total-count") ?? more.length);
      found.push(...more);
    } while (found.length < Math.min(shown, all));
    return [found, all];
  }

  async function remove(project) {
    if (!(await confirmed(project))) return;
    try {
      await askSignedIn(ask, `api/projects/${project.id}`, { method: "DELETE" });
    } catch (problem) {
      if (problem.status !== 404 && !problem.isSignedOut) return list.prepend(notice(problem, () => remove(project)));
    }
    afterChange();
    await load();
    list.querySelector("h2")?.focus();
  }

  async function open(id) {
    if (id === openId) return;
    openId = id;
    overview.hidden = Boolean(id);
    one.hidden = !id;
    one.replaceChildren();
    if (!id) return load();
    const back = h("a", { class: "back", href: "#projects" }, icon("back"), t("projects.all"));
    one.replaceChildren(back, h("p", { class: "muted" }, t("page.loading")));
    await show(id, back);
  }

  async function show(id, back) {
    try {
      const project = await persist(() => id === openId && askSignedIn(ask, `api/projects/${id}`));
      if (id !== openId) return;
      one.replaceChildren(back, ...detailsOf(project, afterChange));
      one.querySelector("h2")?.focus();
    } catch (problem) {
      if (id === openId && !problem.isSignedOut) one.replaceChildren(back, notice(problem, () => show(id, back)));
    }
  }

  return {
    open,
    // Nothing of the person who was here stays on the page or is on its way to it.
    forget() {
      turns += 1;
      openId = inUse = drawn = null;
      shown = PAGE;
      find.value = "";
      finder.hidden = true;
      clearTimeout(typing);
      list.replaceChildren();
      one.replaceChildren();
      composer.forget();
    },
    reset: () => (openId = undefined),
    // Somebody else may have made or deleted one; the count of places in use tells.
    follow(report) {
      const now = report.balances.find((balance) => balance.credit_type === "project")?.used ?? null;
      if (inUse !== null && now !== inUse && !openId && session()) load();
      inUse = now;
    },
  };
}

function showComposer(made) {
  const said = h("div", { class: "said" });
  const prompt = h("textarea", {
    id: "prompt",
    rows: "3",
    maxLength: 4000,
    required: true,
    "aria-describedby": "prompt-cost",
    placeholder: t("projects.example"),
  });
  const button = h("button", { class: "button" }, icon("spark"), h("span", {}, t("projects.generate")));
  const about = h("p", { class: "muted small" });
  setup.then(({ builtin_generate: builtin }) => {
    if (builtin) about.textContent = t("projects.builtin");
  });
  const mine = () => drawer(session()?.user_id);
  prompt.addEventListener("input", () => mine().write(DRAFT, prompt.value));
  prompt.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) form.requestSubmit();
  });
  let key = null;
  const form = h(
    "form",
    {
      class: "card composer",
      onsubmit: async (event) => {
        event.preventDefault();
        if (button.disabled) return;
        const asker = session()?.user_id;
        // The same key for the same words, until they have become a project: a lost answer is not paid for twice.
        key = key?.words === prompt.value ? key : { words: prompt.value, id: crypto.randomUUID() };
        button.disabled = true;
        button.lastChild.textContent = t("projects.generating");
        said.replaceChildren();
        try {
          const project = await askSignedIn(ask, "api/generate-daytona", {
            method: "POST",
            body: { prompt: prompt.value },
            headers: { "idempotency-key": key.id },
          });
          if (session()?.user_id !== asker) return;
          prompt.value = "";
          mine().remove(DRAFT);
          key = null;
          said.replaceChildren(
            h(
              "p",
              { class: "notice good", role: "status" },
              icon("check"),
              h("span", {}, ...parts("projects.made", { name: h("a", { href: `#project/${project.id}` }, bdi(project.name)) })),
            ),
          );
          await made(project);
        } catch (problem) {
          if (!problem.isSignedOut && session()?.user_id === asker)
            said.replaceChildren(notice(problem, () => form.requestSubmit()));
        } finally {
          button.disabled = false;
          button.lastChild.textContent = t("projects.generate");
        }
      },
    },
    h("label", { for: "prompt", class: "title" }, t("projects.ask")),
    prompt,
    said,
    h(
      "div",
      { class: "row" },
      h("p", { class: "muted small", id: "prompt-cost" }, t("projects.cost")),
      button,
    ),
    about,
  );
  // What the person who is signed in now had typed, and nothing of anybody else.
  function forget() {
    key = null;
    said.replaceChildren();
    prompt.value = session() ? mine().read(DRAFT, "") : "";
  }
  return { element: form, forget };
}

function listOf(projects, { all, fresh, remove, more, isFound }) {
  if (!projects.length && isFound) return [h("p", { class: "muted" }, t("projects.none_found"))];
  if (!projects.length) {
    return [
      h(
        "div",
        { class: "card blank" },
        icon("folder"),
        h("h2", { tabIndex: -1 }, t("projects.none")),
        h("p", { class: "muted" }, t("projects.none_hint")),
      ),
    ];
  }
  return [
    h("h2", { class: "list-title", tabIndex: -1 }, t("projects.yours"), " ", h("span", { class: "muted" }, count(all))),
    h(
      "ul",
      { class: "projects", role: "list" },
      ...projects.map((project) =>
        h(
          "li",
          { class: `card project${project.id === fresh ? " fresh" : ""}` },
          h(
            "h3",
            {},
            h("a", { href: `#project/${project.id}`, class: "cover", "data-key": `open-${project.id}` }, bdi(project.name)),
          ),
          h(
            "p",
            { class: "muted small" },
            h(
              "time",
              { datetime: project.created_at, title: fullTime(project.created_at) },
              fromNow(project.created_at),
            ),
            ` · ${t("projects.files", { n: project.paths.length })}`,
          ),
          h(
            "button",
            {
              type: "button",
              class: "plain danger",
              "data-key": `delete-${project.id}`,
              onclick: () => remove(project),
              "aria-label": t("projects.delete", { name: isolated(project.name) }),
            },
            icon("trash"),
          ),
        ),
      ),
    ),
    projects.length < all &&
      h(
        "div",
        { class: "row" },
        h("p", { class: "muted small" }, t("projects.shown", { n: projects.length, all })),
        h("button", { type: "button", class: "button quiet", "data-key": "more", onclick: more }, t("projects.more")),
      ),
  ].filter(Boolean);
}

function confirmed(project) {
  const dialog = h(
    "dialog",
    { "aria-labelledby": "sure" },
    h(
      "form",
      { method: "dialog", class: "stack" },
      h("h2", { id: "sure" }, ...parts("projects.sure", { name: bdi(project.name) })),
      h("p", {}, t("projects.sure_hint")),
      h(
        "div",
        { class: "row end" },
        h("button", { class: "button quiet", value: "" }, t("projects.keep")),
        h("button", { class: "button danger", value: "yes" }, t("projects.delete_it")),
      ),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) =>
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    }),
  );
}

function detailsOf(project, afterChange) {
  const paths = Object.keys(project.files).toSorted(byReading);
  const content = h("pre", { tabIndex: 0, id: "file" }, h("code", {}));
  const buttons = paths.map((path) => h("button", { type: "button", onclick: () => choose(path) }, icon("file"), bdi(path)));
  function choose(path) {
    for (const [at, button] of buttons.entries()) button.setAttribute("aria-pressed", String(paths[at] === path));
    content.firstChild.textContent = project.files[path];
    content.setAttribute("aria-label", isolated(path));
  }
  if (paths.length) choose(paths[0]);
  return [
    h(
      "div",
      {},
      h("h2", { class: "project-title", tabIndex: -1 }, bdi(project.name)),
      h("p", { class: "muted small" }, t("projects.made_on", { when: fullTime(project.created_at) })),
    ),
    h(
      "section",
      { class: "card files", "aria-label": t("projects.file_list") },
      h("div", { class: "paths", role: "group", "aria-label": t("projects.file_list") }, ...buttons),
      content,
    ),
    showChat(project, afterChange),
  ];
}
