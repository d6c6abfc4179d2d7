// The rows of a card as a file that a spreadsheet opens right.

// What users wrote into metadata is text, also where it looks like a formula.
const inert = (text) => (/^[=+\-@\t\r\n]/.test(text) ? `'${text}` : text);

function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "object") return cell(JSON.stringify(value));
  if (typeof value !== "string") return String(value);
  const text = inert(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

// Buckets are written as days of the time zone of the figures.
export function csv(rows, timeZone) {
  const day = new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short" });
  const names = Object.keys(rows[0]);
  const lines = rows.map((row) => names.map((name) => cell(name === "bucket" ? day.format(new Date(row[name])) : row[name])));
  // Excel takes a file for UTF-8 by its first character.
  return `\uFEFF${[names, ...lines].map((line) => line.join(",")).join("\r\n")}\r\n`;
}

export function save(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  const link = Object.assign(document.createElement("a"), { href: url, download: `${name}.csv` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url));
}
