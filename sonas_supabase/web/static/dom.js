// Elements from values. Text is only ever set as text, so nothing that a user wrote can become markup.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// Characters that turn the direction of what follows. A name in Arabic or Hebrew needs none of them.
const TURNS = /[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]/g;

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;

// What a user has named something, as an element whose direction ends with it; and as text for an attribute or a title.
export const bdi = (name) => h("bdi", {}, name.replace(TURNS, ""));
export function isolated(name) {
  const plain = name.replace(TURNS, "");
  return RIGHT_TO_LEFT.test(plain) ? `\u2068${plain}\u2069` : plain;
}

const SVG = "http://www.w3.org/2000/svg";

const PATHS = {
  bell: "M4 11.5V7a4 4 0 0 1 8 0v4.5l1 1H3zM6.7 13.8a1.4 1.4 0 0 0 2.6 0",
  plus: "M8 3v10M3 8h10",
  trash: "M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.6 8.5h5.8l.6-8.5",
  back: "M9.5 3.5 5 8l4.5 4.5",
  send: "M2.5 8h10M8.5 4l4 4-4 4",
  folder: "M2 4.5a1 1 0 0 1 1-1h3l1.5 1.5H13a1 1 0 0 1 1 1v6a1 1 0 0 1-1 1H3a1 1 0 0 1-1-1z",
  check: "m3.5 8.5 3 3 6-7",
  warn: "M8 2.5 14.5 13.5h-13zM8 6.5v3.5M8 11.9v.1",
  info: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 7.3v3.5M8 5.1v.1",
  down: "m4 6 4 4 4-4",
  file: "M4 2.5h5L12.5 6v7.5h-8.5zM9 2.5V6h3.5",
  spark: "M8 2.2 9.5 6.5 13.8 8 9.5 9.5 8 13.8 6.5 9.5 2.2 8 6.5 6.5z",
};

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "icon");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}
