// What the bell says before it is opened.

export default {
  en: {
    "messages.bell": "News",
    "messages.unread": { one: "News: {n} unread", other: "News: {n} unread" },
  },
  de: {
    "messages.bell": "Neues",
    "messages.unread": { one: "Neues: {n} ungelesen", other: "Neues: {n} ungelesen" },
  },
};
