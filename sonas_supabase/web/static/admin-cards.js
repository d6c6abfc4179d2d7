// What the founder's page shows of the figures: tiles, and cards with a chart, a table and the rows behind them. No DOM.

import { isolated } from "./dom.js";
import { count, nameOf, t, words } from "./i18n.js";

// 4 January 2021 was a Monday.
const weekday = (value, length) =>
  new Intl.DateTimeFormat(words.locale, { weekday: length, timeZone: "UTC" }).format(new Date(Date.UTC(2021, 0, 3 + Number(value))));
const PLANS = ["free", "starter", "builder", "pro", "elite"];
const sourceOf = (source) => words.sourceOf(source);
const planOf = (name) => (name === "all" ? t("admin.all") : name);
const rates = new Intl.NumberFormat(words.locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
export const percent = (rate) => (rate === null ? "–" : `${rates.format(rate * 100)} %`);

// How long something took, in the unit that says it.
function duration(hours) {
  const [n, unit] = hours < 1.5 ? [Math.max(1, Math.round(hours * 60)), "minute"] : hours < 48 ? [hours, "hour"] : [hours / 24, "day"];
  return new Intl.NumberFormat(words.locale, { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: 1 }).format(n);
}

// The share that ended unspent. Where most of what was granted has not ended yet, there is none to speak of.
function unused(row) {
  const ended = Math.max(row.spent, 0) + row.expired + row.voided;
  return percent(2 * ended >= row.granted ? row.share : null);
}

const sum = (rows, value) => rows.reduce((total, row) => total + value(row), 0);
const of = (part, whole) => percent(whole ? part / whole : null);

// Limits count what exists: they have no periods, and nobody owes them.
const renews = (found) => new Set(found.exhaustion.rows.map((row) => row.credit_type));

export function tiles(found) {
  const { conversion, exhaustion, liability } = found;
  const all = found.active_in_all.rows.find((row) => row.plan === null);
  const paid = liability.now.filter((row) => row.source === "top_up");
  const periods = sum(exhaustion.rows, (row) => row.periods);
  const shown = [
    [t("admin.active"), count(all?.active ?? 0), t("admin.opened_closed", { opened: all?.opened ?? 0, closed: all?.closed ?? 0 })],
    [t("admin.upgrades"), count(conversion.upgrades), t("admin.of_free", { rate: percent(conversion.rate), free: conversion.free })],
  ];
  for (const type of renews(found)) {
    const rows = found.consumption_in_all.rows.filter((row) => row.credit_type === type);
    const net = sum(rows, (row) => row.spent - row.refunded);
    const granted = sum(rows, (row) => row.granted);
    shown.push([t("admin.type_spent", { what: nameOf(type) }), count(net), t("admin.of_granted", { rate: of(net, granted), granted })]);
  }
  shown.push([t("admin.ran_dry"), of(sum(exhaustion.rows, (row) => row.ran_dry), periods), t("admin.of_periods", { n: periods })]);
  shown.push([t("admin.bought"), count(sum(paid, (row) => row.owed)), t("admin.bought_note")]);
  return shown;
}

export function cards(found, bucket) {
  const { consumption, conversion, active, exhaustion, breakage, liability } = found;
  const buckets = conversion.rows.map((row) => row.bucket);
  const kinds = renews(found);
  const planNames = new Set([...consumption.rows, ...active.rows].map((row) => row.plan).filter(Boolean));
  const order = ["all", ...PLANS.filter((name) => planNames.has(name)), ...[...planNames].filter((name) => !PLANS.includes(name)).sort()];
  const byPlan = (left, right) => order.indexOf(left.plan) - order.indexOf(right.plan);
  // A plan has its colour in every chart; the first one is that of all plans together.
  const place = (name) => Math.max(order.indexOf(name), 0);
  const shown = [];
  const lines = (rows, name, value, unit, extra) => ({ ...course(buckets, rows, name, value), unit: t(`admin.per_${bucket}`, { unit }), ...extra });

  for (const type of [...new Set(consumption.rows.map((row) => row.credit_type))]) {
    const rows = consumption.rows.filter((row) => row.credit_type === type).sort(byPlan);
    const totals = found.consumption_in_all.rows.filter((row) => row.credit_type === type).sort(byPlan);
    const spent = kinds.has(type);
    shown.push({
      title: t(spent ? "admin.spent_by_plan" : "admin.made_by_plan", { what: nameOf(type) }),
      chart: lines(rows, (row) => row.plan, (row) => row.spent, t(spent ? "admin.credits_spent" : "admin.made"), { place }),
      head: heads(spent ? ["plan", "granted", "spent", "refunded", "rate"] : ["plan", "made", "deleted"]),
      body: totals.map((row) =>
        spent
          ? [row.plan, count(row.granted), count(row.spent), count(row.refunded), percent(row.rate)]
          : [row.plan, count(row.spent), count(row.refunded)],
      ),
      rows,
    });
  }
  const took = exhaustion.first_denial_to_upgrade;
  shown.push({
    title: t("admin.free_to_paid"),
    chart: conversion.upgrades ? lines(conversion.rows, () => "upgrades", (row) => row.upgrades, t("admin.upgrades"), { bars: true }) : null,
    head: ["", ...heads(["of", "upgrades", "rate"])],
    body: conversion.free
      ? [
          [t("admin.all_free"), count(conversion.free), count(conversion.upgrades), percent(conversion.rate)],
          ...after("denial", conversion.after_denial),
          ...after("80_percent", conversion.after_80_percent),
        ]
      : [],
    note:
      took.median_hours === null
        ? null
        : t("admin.took", { denied: took.denied_spells, upgraded: took.upgraded, time: duration(took.median_hours) }),
    rows: conversion.rows,
  });
  shown.push({
    title: t("admin.active"),
    chart: lines([...active.rows].sort(byPlan), (row) => row.plan ?? "all", (row) => row.active, t("admin.accounts_spent"), { place }),
    head: heads(["plan", "active_head", "opened", "closed"]),
    body: found.active_in_all.rows.some((row) => row.active || row.opened || row.closed)
      ? found.active_in_all.rows.map((row) => ({ ...row, plan: row.plan ?? "all" })).sort(byPlan).map((row) => [planOf(row.plan), ...[row.active, row.opened, row.closed].map((figure) => (figure === null ? "–" : count(figure)))])
      : [],
    rows: active.rows,
  });
  for (const type of [...new Set(liability.rows.map((row) => row.credit_type))]) {
    const rows = liability.rows.filter((row) => row.credit_type === type);
    shown.push({
      title: t("admin.owed_of", { what: nameOf(type) }),
      chart: { ...lines(rows, (row) => sourceOf(row.source), (row) => row.owed, t("admin.credits")), unit: t(`admin.end_of_${bucket}`) },
      head: heads(["from", "owed", "held", "frozen", "accounts"]),
      body: liability.now
        .filter((row) => row.credit_type === type)
        .map((row) => [sourceOf(row.source), count(row.owed), count(row.held), count(row.frozen), count(row.accounts)]),
      rows,
    });
  }
  const dry = Array.from({ length: 31 }, (_, day) => sum(exhaustion.rows, (row) => row.days[day + 1] ?? 0));
  shown.push({
    title: t("admin.exhaustion"),
    chart: dry.some(Boolean)
      ? { labels: dry.map((_, day) => String(day + 1)), names: dry.map((_, day) => t("admin.day_of", { n: day + 1 })), series: { periods: dry }, unit: t("admin.dry_unit"), bars: true }
      : null,
    head: heads(["plan", "credits", "periods", "past_80", "ran_dry", "share", "denied"]),
    body: [...exhaustion.rows].sort(byPlan).map((row) => [row.plan, nameOf(row.credit_type), count(row.periods), count(row.crossed_80_percent), count(row.ran_dry), percent(row.share), count(row.denied)]),
    rows: exhaustion.rows,
  });
  const broken = breakage.rows.filter((row) => kinds.has(row.credit_type)).sort(byPlan);
  shown.push({
    title: t("admin.breakage"),
    sentence: t("admin.breakage_note"),
    head: heads(["plan", "credits", "spent", "expired", "voided", "unused"]),
    body: broken.map((row) => [row.plan, `${nameOf(row.credit_type)}, ${sourceOf(row.source)}`, count(row.spent), count(row.expired), count(row.voided), unused(row)]),
    rows: broken,
  });
  shown.push(
    segment(t("admin.by_weekday"), found.weekdays, fixed(1, 7), (value) => weekday(value, "long"), (value) => weekday(value, "short")),
    segment(t("admin.by_hour"), found.hours, fixed(0, 23), (value) => `${value}:00`),
    segment(t("admin.by_cohort"), found.cohorts, null, (value) => value),
    segment(t("admin.top"), found.top_accounts, null, (value) => (value in found.names ? isolated(found.names[value]) : value)),
  );
  if (found.by_key) shown.push(segment(t("admin.by_key", { key: found.by_key.metadata_key }), found.by_key, null, (value) => value));
  return shown;
}

const heads = (keys) => keys.map((key) => t(`admin.${key}`));
const fixed = (first, last) => Array.from({ length: last - first + 1 }, (_, nth) => String(first + nth));

function after(what, found) {
  return [
    [t(`admin.day_after_${what}`), count(found.spells), count(found.within_24_hours), percent(found.rate_24_hours)],
    [t(`admin.week_after_${what}`), count(found.spells), count(found.within_7_days), percent(found.rate_7_days)],
  ];
}

// Those of which there is always the same number are drawn; of the others the table shows as much.
function segment(title, usage, values, name, label = (value) => value) {
  const spent = new Map(usage.rows.map((row) => [row.value, row.spent]));
  return {
    title,
    chart:
      values && usage.rows.length
        ? { labels: values.map(label), names: values.map(name), series: { spent: values.map((value) => spent.get(value) ?? 0) }, unit: t("admin.credits_spent"), bars: true }
        : null,
    head: ["", ...heads(["spent", "share", "operations"])],
    body: usage.rows.map((row) => [row.value === null ? t("admin.others") : name(row.value), count(row.spent), percent(row.share), count(row.operations)]),
    folded: Boolean(values),
    rows: usage.rows,
  };
}

// The conversion has a row for every bucket, also where nothing happened.
function course(buckets, rows, name, value) {
  const at = new Map(buckets.map((bucket, nth) => [Date.parse(bucket), nth]));
  const series = {};
  for (const row of rows) {
    const line = (series[name(row)] ??= buckets.map(() => 0));
    line[at.get(Date.parse(row.bucket))] += value(row);
  }
  return { buckets, series };
}
