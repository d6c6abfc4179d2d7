// A message as a sentence, in the viewer's language.

import { count, fullTime, nameOf, t } from "./i18n.js";

export function sentence({ kind, data }) {
  const values = {
    what: data.credit_type ? nameOf(data.credit_type) : "",
    n: data.remaining ?? data.released ?? data.amount ?? 0,
    percent: data.percent_used ?? data.level ?? 0,
    plan: data.plan_name ?? "",
    from: data.from_plan_name ?? "",
    when: data.expires_at || data.ends_at ? fullTime(data.expires_at ?? data.ends_at) : "",
  };
  const isLevel = kind.endsWith(".level");
  if (isLevel && data.unit === "credits") return t("message.credits.left", values);
  if (isLevel && data.remaining === 0) return t("message.credits.none", values);
  return t(`message.${kind}`, { ...values, n: count(values.n) });
}
