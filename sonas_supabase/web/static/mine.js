// What a person typed and was told, kept in this tab under that person's id: the next person never sees it.

const PREFIX = "sonas-mine";
const keyOf = (person, name) => `${PREFIX} ${person} ${name}`;

// The drawer of one person. `person` is the id of who is signed in.
export const drawer = (person) => ({
  read(name, fallback = null) {
    try {
      return JSON.parse(sessionStorage.getItem(keyOf(person, name))) ?? fallback;
    } catch {
      return fallback;
    }
  },
  write: (name, value) => sessionStorage.setItem(keyOf(person, name), JSON.stringify(value)),
  remove: (name) => sessionStorage.removeItem(keyOf(person, name)),
});

// Empties the drawers of this tab, but for the one of `person`.
export function forgetOthers(person = null) {
  for (const key of Object.keys(sessionStorage)) {
    if (key.startsWith(PREFIX) && !key.startsWith(keyOf(person, ""))) sessionStorage.removeItem(key);
  }
}
