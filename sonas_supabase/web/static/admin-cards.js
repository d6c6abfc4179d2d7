// What the founder's page shows of the figures: tiles, and cards with a chart, a table and the rows behind them. No DOM.

import { count, nameOf, sourceOf } from "./format.js";

const WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const PLANS = ["free", "starter", "builder", "pro", "elite"];
export const percent = (rate) => (rate === null ? "–" : `${(rate * 100).toFixed(1)} %`);
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
    ["Active accounts", count(all?.active ?? 0), `${count(all?.opened ?? 0)} opened, ${count(all?.closed ?? 0)} closed`],
    ["Upgrades", count(conversion.upgrades), `${percent(conversion.rate)} of ${count(conversion.free)} on a free plan`],
  ];
  for (const type of renews(found)) {
    const rows = found.consumption_in_all.rows.filter((row) => row.credit_type === type);
    const net = sum(rows, (row) => row.spent - row.refunded);
    const granted = sum(rows, (row) => row.granted);
    shown.push([`${nameOf(type)} spent`, count(net), `${of(net, granted)} of ${count(granted)} granted`]);
  }
  shown.push(["Ran dry", of(sum(exhaustion.rows, (row) => row.ran_dry), periods), `of ${count(periods)} periods that began`]);
  shown.push(["Bought, not spent", count(sum(paid, (row) => row.owed)), "credits of top-ups, owed now"]);
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
  const lines = (rows, name, value, unit, extra) => ({ ...course(buckets, rows, name, value), unit: `${unit} per ${bucket}`, ...extra });

  for (const type of [...new Set(consumption.rows.map((row) => row.credit_type))]) {
    const rows = consumption.rows.filter((row) => row.credit_type === type).sort(byPlan);
    const totals = found.consumption_in_all.rows.filter((row) => row.credit_type === type).sort(byPlan);
    const spent = kinds.has(type);
    shown.push({
      title: spent ? `${nameOf(type)}: spent by plan` : `${nameOf(type)}: made by plan`,
      chart: lines(rows, (row) => row.plan, (row) => row.spent, spent ? "Credits spent" : "Made", { place }),
      head: spent ? ["Plan", "Granted", "Spent", "Refunded", "Rate"] : ["Plan", "Made", "Deleted"],
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
    title: "From free to paid",
    chart: conversion.upgrades ? lines(conversion.rows, () => "upgrades", (row) => row.upgrades, "Upgrades", { bars: true }) : null,
    head: ["", "Of", "Upgrades", "Rate"],
    body: conversion.free
      ? [
          ["All free accounts", count(conversion.free), count(conversion.upgrades), percent(conversion.rate)],
          ...after("a denial", conversion.after_denial),
          ...after("80 % spent", conversion.after_80_percent),
        ]
      : [],
    note:
      took.median_hours === null
        ? null
        : `${count(took.denied_spells)} free accounts met a denial; ${count(took.upgraded)} have upgraded since, half of them within ${count(Math.round(took.median_hours))} hours.`,
    rows: conversion.rows,
  });
  shown.push({
    title: "Active accounts",
    chart: lines([...active.rows].sort(byPlan), (row) => row.plan ?? "all", (row) => row.active, "Accounts that spent", { place }),
    head: ["Plan", "Active", "Opened", "Closed"],
    body: found.active_in_all.rows.some((row) => row.active || row.opened || row.closed)
      ? found.active_in_all.rows.map((row) => ({ ...row, plan: row.plan ?? "all" })).sort(byPlan).map((row) => [row.plan, ...[row.active, row.opened, row.closed].map((figure) => (figure === null ? "–" : count(figure)))])
      : [],
    rows: active.rows,
  });
  for (const type of [...new Set(liability.rows.map((row) => row.credit_type))]) {
    const rows = liability.rows.filter((row) => row.credit_type === type);
    shown.push({
      title: `${nameOf(type)}: credits owed`,
      chart: { ...lines(rows, (row) => sourceOf(row.source), (row) => row.owed, "Credits"), unit: `Credits at the end of each ${bucket}` },
      head: ["From", "Owed now", "Held", "Frozen", "Accounts"],
      body: liability.now
        .filter((row) => row.credit_type === type)
        .map((row) => [sourceOf(row.source), count(row.owed), count(row.held), count(row.frozen), count(row.accounts)]),
      rows,
    });
  }
  const dry = Array.from({ length: 31 }, (_, day) => sum(exhaustion.rows, (row) => row.days[day + 1] ?? 0));
  shown.push({
    title: "Exhaustion",
    chart: dry.some(Boolean)
      ? { labels: dry.map((_, day) => String(day + 1)), names: dry.map((_, day) => `Day ${day + 1}`), series: { periods: dry }, unit: "Periods that ran dry, by day of the period", bars: true }
      : null,
    head: ["Plan", "Credits", "Periods", "Past 80 %", "Ran dry", "Share", "Denied"],
    body: [...exhaustion.rows].sort(byPlan).map((row) => [row.plan, nameOf(row.credit_type), count(row.periods), count(row.crossed_80_percent), count(row.ran_dry), percent(row.share), count(row.denied)]),
    rows: exhaustion.rows,
  });
  const broken = breakage.rows.filter((row) => kinds.has(row.credit_type)).sort(byPlan);
  shown.push({
    title: "Breakage",
    sentence: "Credits that ended without being used.",
    head: ["Plan", "Credits", "Spent", "Expired", "Voided", "Unused"],
    body: broken.map((row) => [row.plan, `${nameOf(row.credit_type)}, ${sourceOf(row.source)}`, count(row.spent), count(row.expired), count(row.voided), percent(row.share)]),
    rows: broken,
  });
  shown.push(
    segment("By weekday", found.weekdays, fixed(1, 7), (value) => WEEKDAYS[value - 1], (value) => WEEKDAYS[value - 1].slice(0, 3)),
    segment("By hour", found.hours, fixed(0, 23), (value) => `${value}:00`),
    segment("By month of the sign-up", found.cohorts, null, (value) => value),
    segment("Who spends most", found.top_accounts, null, (value) => value),
  );
  if (found.by_key) shown.push(segment(`By ${found.by_key.metadata_key}`, found.by_key, null, (value) => value));
  return shown;
}

const fixed = (first, last) => Array.from({ length: last - first + 1 }, (_, nth) => String(first + nth));

function after(what, found) {
  return [
    [`Within 24 hours of ${what}`, count(found.spells), count(found.within_24_hours), percent(found.rate_24_hours)],
    [`Within 7 days of ${what}`, count(found.spells), count(found.within_7_days), percent(found.rate_7_days)],
  ];
}

// Those of which there is always the same number are drawn; of the others the table shows as much.
function segment(title, usage, values, name, label = (value) => value) {
  const spent = new Map(usage.rows.map((row) => [row.value, row.spent]));
  return {
    title,
    chart:
      values && usage.rows.length
        ? { labels: values.map(label), names: values.map(name), series: { spent: values.map((value) => spent.get(value) ?? 0) }, unit: "Credits spent", bars: true }
        : null,
    head: ["", "Spent", "Share", "Operations"],
    body: usage.rows.map((row) => [row.value === null ? "All others" : name(row.value), count(row.spent), percent(row.share), count(row.operations)]),
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
