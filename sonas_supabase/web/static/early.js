// What a page shows first is asked for while its script is still on the way: on a slow line that is a round trip less.
// The page names it, <meta name="early" content="api/setup api/projects">; api.js takes the answers.

import { isStale, stored } from "./stored-session.js";

// These are for everybody, and are asked for without a token.
const PUBLIC = ["api/setup", "api/plans"];
const home = new URL("../", import.meta.url);

function askEarly() {
  const early = (globalThis.sonasEarly = new Map());
  const session = stored();
  for (const path of document.querySelector('meta[name="early"]').content.split(" ")) {
    const token = PUBLIC.includes(path) ? "" : session?.access_token;
    if (token === undefined || (token && isStale(session))) continue;
    const headers = { accept: "application/json", ...(token && { authorization: `Bearer ${token}` }) };
    const answer = fetch(new URL(path, home), { headers, credentials: "omit", cache: "no-store" });
    // Its taker hears of a failure.
    answer.catch(() => {});
    early.set(`${token} ${path}`, answer);
  }
}

// The page's own script may have come first, out of the browser's cache: it asks for itself.
if (!globalThis.sonasEarly) askEarly();
