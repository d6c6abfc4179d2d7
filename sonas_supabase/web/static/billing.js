// The way to the payment provider and back.

import { ask } from "./api.js";
import { askSignedIn } from "./session.js";

// Where to pay for what is wanted: a plan by the month or year, or a pack; a workspace pays where one is named.
export async function buy(wanted) {
  try {
    const { url } = await askSignedIn(ask, "api/billing/checkout", { method: "POST", body: wanted });
    location.assign(url);
  } catch (problem) {
    // A subscription is changed where it is managed; a second one would be paid twice.
    if (problem.code !== "already_subscribed") throw problem;
    await manage(wanted.workspace_id);
  }
}

// Where to change or cancel the subscription, change the card, and see payments.
export async function manage(workspace = null) {
  const { url } = await askSignedIn(ask, "api/billing/portal", { method: "POST", body: { workspace_id: workspace } });
  location.assign(url);
}

// What became of an order. Waits on the server for its end, as long as that takes it.
export function order(id, workspace, signal) {
  const query = new URLSearchParams({ wait: "10", ...(workspace ? { workspace_id: workspace } : {}) });
  return askSignedIn(ask, `api/billing/orders/${encodeURIComponent(id)}?${query}`, { signal });
}
