// Who is signed in. The token lives in this tab alone and travels only in the Authorization header.

import { ask } from "./api.js";

const KEY = "sonas-session";
const EARLY = 60_000;

let current = read();
let listener = () => {};
let refreshing = null;

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY));
  } catch {
    return null;
  }
}

export const session = () => current;
export const onChange = (callback) => (listener = callback);

export function signIn(next) {
  current = next;
  sessionStorage.setItem(KEY, JSON.stringify(next));
  listener();
}

export function signOut(reason = "") {
  current = null;
  sessionStorage.removeItem(KEY);
  listener(reason);
}

export const setup = ask("api/setup");

async function supabaseAuth(path, body) {
  const { supabase_url: url, supabase_publishable_key: key } = await setup;
  const answer = await fetch(`${url}/auth/v1/${path}`, {
    method: "POST",
    headers: { apikey: key, "content-type": "application/json" },
    body: JSON.stringify(body),
    credentials: "omit",
  }).catch(() => null);
  if (!answer) throw new Error("The sign-in service cannot be reached. Try again in a moment.");
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said.msg ?? said.error_description ?? said.message ?? "That did not work.");
  return said;
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
  if (current?.refresh_token && current.expires_at - Date.now() < EARLY) {
    refreshing ??= supabaseAuth("token?grant_type=refresh_token", { refresh_token: current.refresh_token })
      .then(keep)
      .finally(() => (refreshing = null));
    await refreshing.catch(() => signOut("Your session has ended. Sign in again."));
  }
  return current?.access_token;
}

// A request as the person who is signed in. When the token is not good any more, back to the sign-in.
export async function askSignedIn(request, path, options = {}) {
  try {
    return await request(path, { ...options, token: await freshToken() });
  } catch (problem) {
    if (problem.isSignedOut) signOut("Your session has ended. Sign in again; what you typed is kept.");
    throw problem;
  }
}
