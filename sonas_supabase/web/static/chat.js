// A conversation about one project. It stays in this tab until the tab is closed or the person signs out.

import { events, Problem, send } from "./api.js";
import { h, icon } from "./dom.js";
import { t } from "./i18n.js";
import { drawer } from "./mine.js";
import { notice } from "./notice.js";
import { askSignedIn, session, setup } from "./session.js";

export function showChat(project, afterChange) {
  const mine = drawer(session()?.user_id);
  const talkKey = `chat ${project.id}`;
  const draftKey = `draft ${project.id}`;
  const talk = mine.read(talkKey, []);
  const log = h("div", { class: "talk", role: "log", "aria-label": t("chat.log"), tabIndex: 0 }, ...talk.map(bubble));
  const said = h("div", { class: "said" });
  const words = h("textarea", {
    id: "message",
    rows: "2",
    maxLength: 4000,
    required: true,
    "aria-describedby": "message-cost",
  });
  const button = h("button", { class: "button" }, icon("send"), h("span", {}, t("chat.send")));
  const about = h("p", { class: "muted small" });
  setup.then(({ builtin_chat: builtin }) => {
    if (builtin)
      about.textContent = t("chat.builtin");
  });
  words.value = mine.read(draftKey, "");
  words.addEventListener("input", () => form.isConnected && mine.write(draftKey, words.value));
  words.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });

  async function talkAbout(message) {
    const response = await askSignedIn(send, "api/chat-continue", {
      method: "POST",
      body: { project_id: project.id, message },
      headers: { accept: "text/event-stream" },
    });
    const question = { who: "you", text: message };
    const answer = { who: "assistant", text: "" };
    const line = bubble(answer);
    log.append(bubble(question), line);
    line.setAttribute("aria-busy", "true");
    let isWhole = false;
    try {
      for await (const { event, data } of events(response)) {
        if (event === "error") throw new Problem(500, data);
        if (event === "done") isWhole = true;
        if (event === "delta") line.lastChild.textContent = answer.text += data.text;
        log.scrollTop = log.scrollHeight;
      }
    } catch (error) {
      if (error instanceof Problem) throw error;
    } finally {
      line.removeAttribute("aria-busy");
    }
    if (!isWhole) throw new Problem(500, null, t("chat.broken"));
    talk.push(question, answer);
    if (form.isConnected) mine.write(talkKey, talk.slice(-40));
  }

  const form = h(
    "form",
    {
      class: "stack tight",
      onsubmit: async (event) => {
        event.preventDefault();
        if (button.disabled) return;
        button.disabled = true;
        said.replaceChildren();
        try {
          await talkAbout(words.value);
          words.value = "";
          mine.remove(draftKey);
        } catch (problem) {
          if (!problem.isSignedOut) said.replaceChildren(notice(problem, () => form.requestSubmit()));
        }
        button.disabled = false;
        words.focus();
        afterChange();
      },
    },
    said,
    h("label", { for: "message", class: "hidden" }, t("chat.message")),
    words,
    h("div", { class: "row" }, h("p", { class: "muted small", id: "message-cost" }, t("chat.cost")), button),
  );

  return h(
    "section",
    { class: "card chat", "aria-labelledby": "chat" },
    h("h3", { id: "chat" }, t("chat.title")),
    about,
    log,
    form,
  );
}

function bubble({ who, text }) {
  return h(
    "div",
    { class: `bubble ${who}` },
    h("span", { class: "hidden" }, t(who === "you" ? "chat.you" : "chat.assistant")),
    h("span", {}, text),
  );
}
