// The panel's own style. A page around it changes colours and type by setting --sonas-… on the element.

export const sheet = new CSSStyleSheet();

sheet.replaceSync(`
:host {
  --_text: var(--sonas-text, light-dark(#14161f, #e9ebf2));
  --_muted: var(--sonas-muted, light-dark(#596072, #a3aabc));
  --_surface: var(--sonas-surface, light-dark(#ffffff, #171922));
  --_sunken: var(--sonas-sunken, light-dark(#f1f2f6, #20232e));
  --_line: var(--sonas-line, light-dark(#e2e4ec, #2d313e));
  --_accent: var(--sonas-accent, light-dark(#4b45d6, #9d9aff));
  --_on-accent: var(--sonas-on-accent, light-dark(#ffffff, #12131b));
  --_good: var(--sonas-good, light-dark(#0c7a55, #58c79b));
  --_warn: var(--sonas-warn, light-dark(#8f5a00, #f0b753));
  --_warn-bar: var(--sonas-warn-bar, light-dark(#d98b0b, #e0a13a));
  --_warn-soft: var(--sonas-warn-soft, light-dark(#fff6e2, #2d2516));
  --_danger: var(--sonas-danger, light-dark(#b3261e, #ff9d94));
  --_danger-soft: var(--sonas-danger-soft, light-dark(#fdefed, #351d1d));
  --_faint: color-mix(in srgb, var(--_accent) 35%, var(--_surface));
  --_radius: var(--sonas-radius, 10px);
  display: block; container: usage / inline-size; color: var(--_text); background: var(--_surface);
  border: 1px solid var(--_line); border-radius: var(--_radius); overflow: clip;
  font: 400 0.9375rem/1.5 var(--sonas-font, Inter, ui-sans-serif, system-ui, sans-serif);
  font-variant-numeric: tabular-nums; text-align: start;
}
:host([hidden]) { display: none; }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
h2, h3, p, ul { margin: 0; padding: 0; }
h2 { font-size: 1.0625rem; font-weight: 600; letter-spacing: -0.01em; }
h3 { font-size: 0.9375rem; font-weight: 600; }
a { color: var(--_accent); font-weight: 550; text-underline-offset: 0.18em; }
button { font: inherit; color: inherit; cursor: pointer; }
:focus-visible { outline: 2px solid var(--_accent); outline-offset: 2px; border-radius: 6px; }
.icon { width: 1em; height: 1em; flex: none; fill: none; stroke: currentColor; stroke-width: 1.6;
  stroke-linecap: round; stroke-linejoin: round; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.note { padding: 1rem 1.25rem; color: var(--_muted); }
.bar { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: 0.5rem 1rem; }
.head { padding: 1.125rem 1.25rem 0; }
.status { margin-inline-start: 0.6rem; padding: 0.1rem 0.5rem; border-radius: 99px; font-size: 0.75rem;
  color: var(--_danger); background: var(--_danger-soft); }
.upgrade { padding: 0.375rem 0.875rem; border-radius: 8px; background: var(--_accent); color: var(--_on-accent);
  font-size: 0.875rem; text-decoration: none; }
.upgrade:hover { filter: brightness(1.08); }
.period, .pending { margin-top: 0.25rem; color: var(--_muted); font-size: 0.8125rem; }
.period { display: flex; flex-wrap: wrap; gap: 0 0.9rem; }
.renews { white-space: normal; }
.warnings { display: grid; gap: 0.5rem; padding: 0 1.25rem; }
.warnings:not(:empty) { padding-top: 1rem; }
.warning { display: flex; gap: 0.625rem; padding: 0.625rem 0.75rem; border-radius: 8px; font-size: 0.875rem; }
.warning .icon { margin-top: 0.2rem; }
.warning strong { font-weight: 600; }
.warning.low { background: var(--_warn-soft); color: var(--_warn); }
.warning.info { background: var(--_sunken); color: var(--_text); }
.warning:is(.exhausted, .danger) { background: var(--_danger-soft); color: var(--_danger); }
.warning a { color: inherit; }
.warning p { min-width: 0; overflow-wrap: anywhere; }
.link { padding: 0; border: 0; background: none; color: inherit; font-weight: 550; text-decoration: underline;
  text-underline-offset: 0.18em; }
.balances { display: grid; list-style: none; gap: 1.125rem; padding: 1.125rem 1.25rem 1.25rem; }
.balance .bar { align-items: baseline; gap: 0 1rem; }
.balance { min-width: 0; }
.name { font-weight: 550; }
.left { color: var(--_muted); font-size: 0.875rem; overflow-wrap: anywhere; }
.left strong { color: var(--_text); font-size: 1.25rem; font-weight: 650; letter-spacing: -0.02em; }
.exhausted .left strong { color: var(--_danger); }
.meter { height: 8px; margin: 0.375rem 0; border-radius: 99px; background: var(--_sunken); overflow: hidden; }
.fill { height: 100%; min-width: 0; border-radius: 99px; background: var(--_accent); transition: width 0.35s ease; }
.low .fill { background: var(--_warn-bar); }
.exhausted .fill { background: var(--_danger); }
.fine-print { display: flex; justify-content: space-between; gap: 1rem; color: var(--_muted); font-size: 0.8125rem; }
.fine-print > span { min-width: 0; overflow-wrap: anywhere; }
.fine-print > .percent { flex: none; white-space: nowrap; }
.ends { display: grid; gap: 0.125rem; margin-top: 0.375rem; list-style: none; color: var(--_muted); font-size: 0.8125rem; }
.wide { padding: 1.25rem; border-top: 1px solid var(--_line); }
:host([view="compact"]) .wide { display: none; }
.types { display: inline-flex; flex-wrap: wrap; padding: 3px; border-radius: 9px; background: var(--_sunken); }
.types button { padding: 0.2rem 0.7rem; border: 0; border-radius: 7px; background: none; color: var(--_muted); font-size: 0.8125rem; }
.types button[aria-pressed="true"] { background: var(--_surface); color: var(--_text); font-weight: 550;
  box-shadow: 0 1px 2px rgb(0 0 0 / 0.12); }
.total { margin: 0.5rem 0 0.25rem; color: var(--_muted); font-size: 0.875rem; }
.total strong { color: var(--_text); font-size: 1.25rem; font-weight: 650; }
.refusals { white-space: nowrap; margin-inline-start: 0.9rem; color: var(--_danger); }
.refusals::before { content: ""; display: inline-block; width: 7px; height: 7px; margin-inline-end: 0.4rem; border-radius: 50%;
  background: var(--_danger); }
.frame { position: relative; }
.canvas { min-height: 180px; }
.u-select { display: none; }
.u-cursor-x { border-color: var(--_muted) !important; }
.tip { position: absolute; top: -6px; left: 0; padding: 0.15rem 0.5rem; border-radius: 6px; background: var(--_text);
  color: var(--_surface); font-size: 0.75rem; white-space: nowrap; pointer-events: none; }
.days { margin-top: 0.5rem; font-size: 0.8125rem; color: var(--_muted); }
.days summary { width: fit-content; cursor: pointer; }
.scroll { max-height: 14rem; margin-top: 0.5rem; overflow: auto; }
.days th, .days td { padding: 0.2rem 1.5rem 0.2rem 0; font-weight: 400; text-align: start; }
.days td { text-align: end; }
.days thead th { font-weight: 550; }
table { border-collapse: collapse; }
.history table { width: 100%; margin-top: 0.5rem; font-size: 0.875rem; }
.history thead th { padding: 0.375rem 0.75rem 0.375rem 0; border-bottom: 1px solid var(--_line); color: var(--_muted);
  font-size: 0.8125rem; font-weight: 500; text-align: start; }
.history td { padding: 0.5rem 0.75rem 0.5rem 0; border-bottom: 1px solid var(--_line); vertical-align: baseline; }
.history tr > :last-child { padding-inline-end: 0; }
.history .figure { text-align: end; white-space: nowrap; }
.figure .part { white-space: nowrap; }
.what { width: 100%; }
.open { display: inline-flex; align-items: baseline; gap: 0.4rem; padding: 0; border: 0; background: none; text-align: start; }
.open .icon { position: relative; top: 0.15em; color: var(--_muted); transition: transform 0.15s; }
.open[aria-expanded="true"] .icon { transform: rotate(180deg); }
.open span { overflow-wrap: anywhere; }
.open:hover span { text-decoration: underline; text-underline-offset: 0.18em; }
.part { display: block; }
.asked { display: block; padding-inline-start: 1.4rem; color: var(--_muted); font-size: 0.8125rem; }
.history .receipt { max-width: 32rem; padding: 0.25rem 0; list-style: none; font-size: 0.8125rem; }
.receipt li { display: flex; justify-content: space-between; gap: 0.25rem 1rem; padding: 0.15rem 0; }
.receipt span { min-width: 0; overflow-wrap: anywhere; }
.history .receipt .figure { flex: none; max-width: 60%; white-space: nowrap; }
.receipt .sum { border-top: 1px solid var(--_line); color: var(--_text); font-weight: 600; }
.drains { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 16rem), 1fr)); gap: 1rem 2rem; margin-top: 0.75rem; }
.drains h4 { margin: 0 0 0.5rem; color: var(--_muted); font-size: 0.8125rem; font-weight: 500; }
.drains ul { display: grid; gap: 0.5rem; list-style: none; }
.drains .bar { flex-wrap: nowrap; font-size: 0.875rem; }
.drains .name { min-width: 0; overflow-wrap: anywhere; }
.rates { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: 0.75rem 2rem; margin: 0.5rem 0;
  list-style: none; font-size: 0.875rem; }
.rates .name { overflow-wrap: anywhere; }
.rates ul { list-style: none; }
.rates .muted { color: var(--_muted); }
.filters { display: flex; flex-wrap: wrap; gap: 0.5rem; }
.filters :is(select, input, button) { min-height: 2rem; padding: 0.2rem 0.5rem; border: 1px solid var(--_line); border-radius: 8px;
  background: var(--_surface); color: inherit; font: inherit; font-size: 0.8125rem; max-width: 100%; }
.dates { display: inline-flex; flex-wrap: wrap; gap: 0.5rem; }
.pager { display: flex; gap: 0.5rem; margin-top: 0.75rem; }
.type, .when { color: var(--_muted); white-space: nowrap; }
.cost { font-weight: 550; }
.given .cost { color: var(--_good); }
.refused .cost { color: var(--_danger); }
.after { color: var(--_muted); }
.explained td { padding: 0.25rem 0 0.75rem 1.4rem; color: var(--_muted); font-size: 0.8125rem; }
.explained ul { padding-inline-start: 1rem; }
.empty { padding: 1rem 0 0.25rem; color: var(--_muted); font-size: 0.875rem; }
.failed { padding: 0.5rem 0; color: var(--_danger); font-size: 0.875rem; }
.quiet { padding: 0.375rem 0.875rem; border: 1px solid var(--_line); border-radius: 8px; background: none;
  font-size: 0.875rem; }
.quiet:hover { background: var(--_sunken); }
@container usage (max-width: 899px) {
  .history .figure, .figure .part { min-width: 5.5rem; white-space: normal; overflow-wrap: anywhere; }
  .history .what { min-width: 9rem; }
}
@container usage (min-width: 640px) {
  .balances { grid-template-columns: repeat(3, 1fr); gap: 1.5rem; }
}
@container usage (max-width: 519px) {
  .history thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .history table, .history tbody { display: block; }
  .history tr:not([hidden]) { display: grid; grid-template-columns: auto minmax(30%, 1fr) minmax(0, auto); padding: 0.5rem 0; border-bottom: 1px solid var(--_line); }
  .history td { padding: 0; border: 0; }
  .history tr.explained { display: block; padding: 0.25rem 0 0.75rem 1.4rem; }
  .history .what { grid-area: 1 / 1 / 2 / 3; padding-inline-end: 0.75rem; }
  .history .cost { grid-area: 1 / 3; }
  .history .type { grid-area: 2 / 1; padding-inline-start: 1.4rem; font-size: 0.8125rem; }
  .history .when { grid-area: 2 / 2; font-size: 0.8125rem; }
  .history .when::before { content: "·"; padding-inline: 0.4rem; }
  .history .after { grid-area: 2 / 3; font-size: 0.8125rem; }
  .after .part::before { content: "→ "; }
  .history .several .cost { grid-area: 2 / 1 / 3 / 4; display: flex; flex-wrap: wrap; gap: 0 0.9rem; padding-inline-start: 1.4rem; }
  .history .several .cost .part::before { content: attr(data-name) " "; color: var(--_muted); font-weight: 400; }
  .history .several .what { grid-area: 1 / 1 / 2 / 4; }
  .history .several .when { grid-area: 3 / 1 / 4 / 4; padding-inline-start: 1.4rem; }
  .history .several .when::before { content: none; }
  .history .several :is(.type, .after) { display: none; }
  .refused .after, .after.none { visibility: hidden; }
  .history .figure, .figure .part, .history td { min-width: 0; }
  .history :is(.type, .when) { white-space: normal; }
}
@container usage (max-width: 300px) {
  .history tr:not(.several) .when { grid-area: 3 / 1 / 4 / 4; padding-inline-start: 1.4rem; }
  .history tr:not(.several) .when::before { content: none; }
}
@media (prefers-reduced-motion: reduce) { * { transition: none !important; } }
@media (forced-colors: active) { .fill { background: Highlight; } .meter { border: 1px solid; } }
@media print {
  :host { color-scheme: light !important; --_text: #000; --_muted: #444; --_surface: #fff; --_sunken: #eee; --_line: #bbb; --_accent: #333; --_warn: #000;
    --_danger: #000; --_good: #000; --_warn-soft: #fff; --_danger-soft: #fff; --_warn-bar: #666; border: 0; }
  .upgrade, .quiet, .types, .days, .filters, .pager, .open .icon { display: none; }
  .warning { border: 1px solid #999; }
  .meter, .fill { print-color-adjust: exact; }
  .wide { break-inside: avoid-page; }
  .history.wide { break-inside: auto; }
  .history tr { break-inside: avoid; }
}
`);
