// Requests to the app, and what went wrong as something that can be shown.

export const home = new URL("../", import.meta.url);

export class Problem extends Error {
  // `sentence` is in the viewer's language already.
  constructor(status, body, sentence = null) {
    super(typeof body?.detail === "string" ? body.detail : "");
    this.sentence = sentence;
    this.status = status;
    this.code = body?.code ?? "";
    this.creditType = body?.credit_type ?? null;
    this.upgradeUrl = body?.upgrade_url ?? null;
    this.resetsAt = body?.resets_at ?? null;
  }

  // What went wrong, in the language of the words. The server's own sentence is English.
  say(words) {
    if (this.sentence) return this.sentence;
    if (this.code === "account_frozen") return words.t("problem.frozen");
    if (this.message && words.language === "en") return this.message;
    return words.t(`problem.${SENTENCES[this.status] ?? "failed"}`);
  }

  get isDenial() {
    return this.status === 402;
  }

  get isSignedOut() {
    return this.status === 401;
  }
}

const SENTENCES = {
  0: "away",
  403: "forbidden",
  404: "not_found",
  409: "busy",
  422: "invalid",
  502: "away",
  503: "away",
  504: "away",
};

// No answer at all, or one of a proxy in front of a server that is not there.
export const isAway = (problem) => problem instanceof Problem && [0, 502, 503, 504].includes(problem.status);

let answered = () => {};
export const onAnswer = (callback) => (answered = callback);

// Answers to what was asked for before this script was here (early.js). What a page does not take at once is old by the
// time that it would.
const early = (globalThis.sonasEarly ??= new Map());
setTimeout(() => early.clear());

function earlyAnswer(path, { base, token, method }) {
  const key = `${token ?? ""} ${path}`;
  const answer = method === "GET" && base === home ? early.get(key) : undefined;
  early.delete(key);
  return answer;
}

export async function send(path, { base = home, token, method = "GET", body, headers = {}, signal } = {}) {
  const all = { accept: "application/json", ...headers };
  if (token) all.authorization = `Bearer ${token}`;
  if (body !== undefined) all["content-type"] = "application/json";
  let response;
  try {
    response = await (earlyAnswer(path, { base, token, method }) ??
      fetch(new URL(path, base), {
        method,
        headers: all,
        body: body === undefined ? undefined : JSON.stringify(body),
        signal,
        credentials: "omit",
        cache: "no-store",
      }));
  } catch (error) {
    if (signal?.aborted) throw error;
    answered(false);
    throw new Problem(0, null);
  }
  answered(![502, 503, 504].includes(response.status));
  if (response.ok || response.status === 304) return response;
  throw new Problem(response.status, await response.json().catch(() => null));
}

export async function ask(path, options) {
  const response = await send(path, options);
  return response.status === 204 ? null : response.json();
}

// The events of a text/event-stream body, as {event, data}.
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const fields = Object.fromEntries(
        text
          .slice(0, end)
          .split("\n")
          .map((line) => line.split(/: (.*)/s, 2)),
      );
      // A comment has no data: it says that the line is alive.
      yield { event: fields.event ?? "", data: fields.data === undefined ? null : JSON.parse(fields.data) };
      text = text.slice(end + 2);
    }
  }
}
