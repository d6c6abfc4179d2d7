// Figures and times as the viewer writes them, in the viewer's own zone.

const NAMES = { message: "Messages", integration: "Integrations", project: "Projects" };
const SOURCES = {
  plan: "plan allowance",
  top_up: "top-up",
  rollover: "rollover",
  trial: "trial",
  promotion: "promotion",
  compensation: "compensation",
  goodwill: "goodwill",
};

export const timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

const number = new Intl.NumberFormat();
const signed = new Intl.NumberFormat(undefined, { signDisplay: "exceptZero" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const moment = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});
const exact = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  timeZoneName: "short",
});
// A calendar day has no zone: it is read and written in the same one.
const calendar = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

export const count = (value) => number.format(value);
export const change = (value) => signed.format(value).replace("-", "−");
export const date = (iso) => day.format(new Date(iso));
export const time = (iso) => moment.format(new Date(iso));
export const fullTime = (iso) => exact.format(new Date(iso));
export const calendarDay = (text) => calendar.format(new Date(`${text}T00:00:00Z`));

export function fromNow(iso) {
  const seconds = (new Date(iso) - Date.now()) / 1000;
  for (const [unit, size] of [
    ["day", 86400],
    ["hour", 3600],
    ["minute", 60],
  ]) {
    if (Math.abs(seconds) >= size) return relative.format(Math.round(seconds / size), unit);
  }
  return seconds > 0 ? "in a moment" : "just now";
}

export function nameOf(creditType) {
  const words = creditType.replaceAll("_", " ");
  return NAMES[creditType] ?? words[0].toUpperCase() + words.slice(1);
}

export const sourceOf = (source) => SOURCES[source] ?? source;

export function price(cents, currency) {
  const digits = new Intl.NumberFormat(undefined, { style: "currency", currency }).resolvedOptions()
    .maximumFractionDigits;
  return new Intl.NumberFormat(undefined, {
    style: "currency",
    currency,
    minimumFractionDigits: cents % 10 ** digits ? digits : 0,
  }).format(cents / 10 ** digits);
}
