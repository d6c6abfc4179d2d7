// What the bell says before it is opened.

export default {
  en: {
    "messages.bell": "News",
    "messages.unread": "unread",
  },
  de: {
    "messages.bell": "Neues",
    "messages.unread": "ungelesen",
  },
};
