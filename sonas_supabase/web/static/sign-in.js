// Getting in: a click on a demo user on one's own machine, Supabase Auth with a project.

import { ask } from "./api.js";
import { bdi, h, icon } from "./dom.js";
import { t, words } from "./i18n.js";
import { persist } from "./outage.js";
import { session, setup, signIn, signInWithPassword, signUpWithPassword } from "./session.js";

export async function showSignIn(element, reason) {
  const said = h("div", { role: "status", class: "said" });
  element.replaceChildren(h("p", { class: "muted" }, t("page.loading")));
  const { sign_in: way } = await setup;
  const ways = { demo: demoUsers, supabase: passwordForm, none: () => h("p", {}, t("sign_in.none")) };
  const choice = await ways[way](said);
  if (session()) return;
  element.replaceChildren(
    h(
      "section",
      { class: "card sign-in" },
      h("img", { src: "static/mark.svg", alt: "", width: "44", height: "44" }),
      h("h1", {}, t("sign_in.title")),
      reason && h("p", { class: "notice", role: "status" }, icon("info"), h("span", {}, reason)),
      choice,
      said,
    ),
  );
}

function problemIn(said, error) {
  said.replaceChildren(h("p", { class: "notice problem", role: "alert" }, icon("warn"), h("span", {}, error.say ? error.say(words) : error.message)));
}

async function demoUsers(said) {
  const enter = async (path, body) => {
    try {
      signIn(await ask(path, { method: "POST", body }));
    } catch (error) {
      problemIn(said, error);
    }
  };
  const users = await persist(() => ask("api/demo/users")).catch((error) => (problemIn(said, error), []));
  return h(
    "div",
    { class: "stack" },
    h("p", { class: "muted" }, t("sign_in.demo")),
    h(
      "ul",
      { class: "users", role: "list" },
      ...users.map((user) =>
        h(
          "li",
          {},
          h(
            "button",
            { type: "button", class: "user", onclick: () => enter("api/demo/sign-in", { user_id: user.id }) },
            h("span", { class: "avatar", "aria-hidden": "true" }, user.email[0].toUpperCase()),
            h("span", { class: "grow" }, bdi(user.email)),
            h("span", { class: "pill" }, user.plan),
          ),
        ),
      ),
    ),
    h("p", { class: "or" }, h("span", {}, t("sign_in.or"))),
    h(
      "button",
      { type: "button", class: "button wide", onclick: () => enter("api/demo/sign-up", {}) },
      t("sign_in.sign_up"),
    ),
  );
}

async function passwordForm(said) {
  const email = h("input", { type: "email", id: "email", autocomplete: "username", required: true });
  const password = h("input", {
    type: "password",
    id: "password",
    autocomplete: "current-password",
    required: true,
    minLength: 6,
  });
  const act = async (event, work) => {
    event.preventDefault();
    if (!form.reportValidity()) return;
    said.replaceChildren();
    form.inert = true;
    try {
      if ((await work(email.value, password.value)) === false) {
        said.replaceChildren(
          h(
            "p",
            { class: "notice" },
            icon("info"),
            h("span", {}, t("sign_in.confirm")),
          ),
        );
      }
    } catch (error) {
      problemIn(said, error);
    }
    form.inert = false;
  };
  const form = h(
    "form",
    { class: "stack", onsubmit: (event) => act(event, signInWithPassword) },
    h("div", { class: "field" }, h("label", { for: "email" }, t("sign_in.email")), email),
    h("div", { class: "field" }, h("label", { for: "password" }, t("sign_in.password")), password),
    h("button", { class: "button wide" }, t("sign_in.enter")),
    h(
      "button",
      { type: "button", class: "button quiet wide", onclick: (event) => act(event, signUpWithPassword) },
      t("sign_in.create"),
    ),
  );
  return form;
}
