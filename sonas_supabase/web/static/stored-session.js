// The session as this browser keeps it, and which of its tokens are good for a while.

export const KEY = "sonas-session";
const EARLY = 60_000;

export function stored() {
  try {
    return JSON.parse(localStorage.getItem(KEY));
  } catch {
    return null;
  }
}

// A token that is about to expire is replaced before it is sent.
export const isStale = (session) => Boolean(session?.refresh_token) && session.expires_at - Date.now() < EARLY;
