// "My Projects": a prompt, what came of earlier ones, and one project with its files and a chat.

import { ask } from "./api.js";
import { showChat } from "./chat.js";
import { h, icon } from "./dom.js";
import { fromNow, fullTime } from "./format.js";
import { notice } from "./notice.js";
import { drawer } from "./mine.js";
import { persist } from "./outage.js";
import { askSignedIn, session, setup } from "./session.js";

const DRAFT = "draft";
const FIRST = ["index.html", "README.md"];
const byReading = (a, b) => FIRST.indexOf(b) - FIRST.indexOf(a) || a.localeCompare(b);

export function showProjects(element, afterChange) {
  let openId = null;
  let inUse = null;
  let drawn = null;
  let turns = 0;

  const list = h("div", { class: "stack" });
  const one = h("div", { class: "stack", hidden: true });
  const composer = showComposer(async (project) => {
    afterChange();
    await load(project.id);
  });
  const overview = h("div", { class: "stack" }, composer.element, list);
  element.append(overview, one);

  // Only when there is something new, and without taking the keyboard away from where it is.
  function draw(projects, fresh) {
    const text = JSON.stringify(projects);
    if (text === drawn) return;
    drawn = text;
    const focused = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    list.replaceChildren(...listOf(projects, fresh, remove));
    if (focused) list.querySelector(`[data-key="${focused}"]`)?.focus();
  }

  async function load(fresh) {
    const turn = ++turns;
    try {
      const projects = await persist(() => turn === turns && askSignedIn(ask, "api/projects"));
      if (turn !== turns) return;
      draw(projects, fresh);
    } catch (problem) {
      if (turn !== turns) return;
      drawn = null;
      if (!problem.isSignedOut) list.replaceChildren(notice(problem, () => load(fresh)));
    }
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
    const back = h("a", { class: "back", href: "#projects" }, icon("back"), "All projects");
    one.replaceChildren(back, h("p", { class: "muted" }, "Loading …"));
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
    placeholder: "A landing page for a token launch, with a countdown and a list of partners",
  });
  const button = h("button", { class: "button" }, icon("spark"), h("span", {}, "Generate"));
  const about = h("p", { class: "muted small" });
  setup.then(({ builtin_generate: builtin }) => {
    if (builtin)
      about.textContent =
        "The built-in generator makes a small page with your wishes as a checklist. No model is connected.";
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
        button.lastChild.textContent = "Generating …";
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
              h("span", {}, "Made ", h("a", { href: `#project/${project.id}` }, project.name), "."),
            ),
          );
          await made(project);
        } catch (problem) {
          if (!problem.isSignedOut && session()?.user_id === asker)
            said.replaceChildren(notice(problem, () => form.requestSubmit()));
        } finally {
          button.disabled = false;
          button.lastChild.textContent = "Generate";
        }
      },
    },
    h("label", { for: "prompt", class: "title" }, "What do you want to build?"),
    prompt,
    said,
    h(
      "div",
      { class: "row" },
      h("p", { class: "muted small", id: "prompt-cost" }, "Costs 1 message credit and 1 project."),
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

function listOf(projects, fresh, remove) {
  if (!projects.length) {
    return [
      h(
        "div",
        { class: "card blank" },
        icon("folder"),
        h("h2", { tabIndex: -1 }, "No projects yet"),
        h("p", { class: "muted" }, "Describe one above. It shows up here with its files, and you can chat about it."),
      ),
    ];
  }
  return [
    h("h2", { class: "list-title", tabIndex: -1 }, "Your projects ", h("span", { class: "muted" }, projects.length)),
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
            h("a", { href: `#project/${project.id}`, class: "cover", "data-key": `open-${project.id}` }, project.name),
          ),
          h(
            "p",
            { class: "muted small" },
            h(
              "time",
              { datetime: project.created_at, title: fullTime(project.created_at) },
              fromNow(project.created_at),
            ),
            ` · ${project.paths.length} ${project.paths.length === 1 ? "file" : "files"}`,
          ),
          h(
            "button",
            {
              type: "button",
              class: "plain danger",
              "data-key": `delete-${project.id}`,
              onclick: () => remove(project),
              "aria-label": `Delete ${project.name}`,
            },
            icon("trash"),
          ),
        ),
      ),
    ),
  ];
}

function confirmed(project) {
  const dialog = h(
    "dialog",
    { "aria-labelledby": "sure" },
    h(
      "form",
      { method: "dialog", class: "stack" },
      h("h2", { id: "sure" }, `Delete “${project.name}”?`),
      h("p", {}, "Its files are gone for good. Its place is free again; the message credit stays spent."),
      h(
        "div",
        { class: "row end" },
        h("button", { class: "button quiet", value: "" }, "Keep it"),
        h("button", { class: "button danger", value: "yes" }, "Delete"),
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
  const buttons = paths.map((path) => h("button", { type: "button", onclick: () => choose(path) }, icon("file"), path));
  function choose(path) {
    for (const [at, button] of buttons.entries()) button.setAttribute("aria-pressed", String(paths[at] === path));
    content.firstChild.textContent = project.files[path];
    content.setAttribute("aria-label", path);
  }
  if (paths.length) choose(paths[0]);
  return [
    h(
      "div",
      {},
      h("h2", { class: "project-title", tabIndex: -1 }, project.name),
      h("p", { class: "muted small" }, `Made on ${fullTime(project.created_at)}`),
    ),
    h(
      "section",
      { class: "card files", "aria-label": "Files" },
      h("div", { class: "paths", role: "group", "aria-label": "Files" }, ...buttons),
      content,
    ),
    showChat(project, afterChange),
  ];
}
