// Whose account a page is about: one's own, or that of a workspace one is in.

import { h, isolated } from "./dom.js";
import { t } from "./i18n.js";

// `place` is hidden where there is nothing to choose.
export function fillAccounts(place, workspaces, chosen = "") {
  place.hidden = !workspaces.length;
  const select = place.querySelector("select");
  select.replaceChildren(
    h("option", { value: "" }, t("page.own_account")),
    ...workspaces.map((one) => h("option", { value: one.workspace_id }, isolated(one.name))),
  );
  select.value = chosen ?? "";
}
