// The corner that says who is signed in.

import { h } from "./dom.js";
import { session, signOut } from "./session.js";

export function showWho(element) {
  const now = session();
  element.replaceChildren(...(now
    ? [h("span", { class: "email" }, now.email), h("button", { type: "button", class: "plain", onclick: () => signOut() }, "Sign out")]
    : []));
}
