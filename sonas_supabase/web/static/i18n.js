// The words of this page: `t("key", { n: 3 })`. A page says another language than the browser's by
// `<html data-lang="de">`; `?lang=de` in the address shows one, too.

import common from "./words/common.js";
import { addWords, wordsFor } from "./words.js";

addWords(common);
export { addWords };

const root = document.documentElement;

export const words = wordsFor(new URLSearchParams(location.search).get("lang") ?? root.dataset.lang);
export const t = (key, values) => words.t(key, values);
export const parts = (key, values) => words.parts(key, values);
export const count = (value) => words.count(value);
export const fromNow = (iso) => words.fromNow(iso);
export const fullTime = (iso) => words.fullTime(iso);
export const nameOf = (creditType) => words.nameOf(creditType);

// Puts the page's own words where its markup names them: data-t is the text, data-t-label, -title and -placeholder are
// attributes.
export function translate(within = document) {
  root.lang = words.language;
  const heading = within.querySelector("h1[data-t]");
  if (heading) document.title = `${t(heading.dataset.t)} · Sonas`;
  for (const element of within.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of within.querySelectorAll("[data-t-label]")) element.setAttribute("aria-label", t(element.dataset.tLabel));
  for (const element of within.querySelectorAll("[data-t-placeholder]")) element.placeholder = t(element.dataset.tPlaceholder);
}
