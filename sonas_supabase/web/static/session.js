// Who is signed in, in all tabs of this browser. The token travels only in the Authorization header.

import { ask, Problem } from "./api.js";
import { t, words } from "./i18n.js";
import { forgetOthers } from "./mine.js";
import { persist } from "./outage.js";
import { isStale, KEY, stored } from "./stored-session.js";

const ENDED = "sonas-session-ended";

let current = stored();
const listeners = new Set();
const listener = (reason) => listeners.forEach((hear) => hear(reason));
let refreshing = null;

export const session = () => current;
export const onChange = (callback) => listeners.add(callback);

export function signIn(next) {
  forgetOthers(next.user_id);
  current = next;
  localStorage.setItem(KEY, JSON.stringify(next));
  listener();
}

// The end of the session in every tab. What was typed is erased, in the others as soon as they hear of it.
export function signOut() {
  forgetOthers();
  leave();
}

// The token is not good any more. What was typed waits for the same person.
export const sessionEnded = () => leave(t("session.ended"));

function leave(reason = "") {
  current = null;
  if (reason) localStorage.setItem(ENDED, reason);
  else localStorage.removeItem(ENDED);
  localStorage.removeItem(KEY);
  listener(reason);
}

// Another tab signed in or out, or this page comes back from the browser's store of pages.
function follow() {
  const before = current;
  current = stored();
  if (current?.access_token === before?.access_token) return;
  const reason = current ? "" : (localStorage.getItem(ENDED) ?? "");
  if (current || !reason) forgetOthers(current?.user_id);
  listener(reason);
}

addEventListener("storage", ({ key }) => (key === KEY || key === null) && follow());
addEventListener("pageshow", ({ persisted }) => persisted && follow());

export const setup = persist(() => ask("api/setup"));

async function supabaseAuth(path, body) {
  const { supabase_url: url, supabase_publishable_key: key } = await setup;
  const answer = await fetch(`${url}/auth/v1/${path}`, {
    method: "POST",
    headers: { apikey: key, "content-type": "application/json" },
    body: JSON.stringify(body),
    credentials: "omit",
  }).catch(() => null);
  if (!answer) throw new Error(t("sign_in.away"));
  const isFinal = answer.status >= 400 && answer.status < 500 && answer.status !== 429;
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    throw Object.assign(new Error(sentenceOf(said)), { isFinal });
  }
  return said;
}

const REASONS = { invalid_credentials: "sign_in.wrong", user_already_exists: "sign_in.taken", email_exists: "sign_in.taken" };

function sentenceOf({ error_code: code, msg, error_description: description, message }) {
  if (code in REASONS) return t(REASONS[code]);
  const said = msg ?? description ?? message;
  return said && words.language === "en" ? said : t("sign_in.failed");
}

function keep(said) {
  signIn({
    access_token: said.access_token,
    refresh_token: said.refresh_token,
    expires_at: Date.now() + said.expires_in * 1000,
    user_id: said.user.id,
    email: said.user.email,
  });
}

export async function signInWithPassword(email, password) {
  keep(await supabaseAuth("token?grant_type=password", { email, password }));
}

// False when the project wants the address confirmed first.
export async function signUpWithPassword(email, password) {
  const said = await supabaseAuth("signup", { email, password });
  if (!said.access_token) return false;
  keep(said);
  return true;
}

// A token that is good for a while, fetched anew shortly before it expires.
export async function freshToken() {
  if (isStale(current)) {
    refreshing ??= supabaseAuth("token?grant_type=refresh_token", { refresh_token: current.refresh_token })
      .then(keep)
      .finally(() => (refreshing = null));
    await refreshing.catch((problem) => problem.isFinal && sessionEnded());
  }
  return current?.access_token;
}

// A request as the person who is signed in. When the token is not good any more, back to the sign-in.
export async function askSignedIn(request, path, options = {}) {
  const asker = current?.user_id;
  if (!asker) throw new Problem(401, null);
  try {
    return await request(path, { ...options, token: await freshToken() });
  } catch (problem) {
    // An answer to somebody who has left meanwhile ends nobody else's session.
    if (problem.isSignedOut && current?.user_id === asker) sessionEnded();
    throw problem;
  }
}
