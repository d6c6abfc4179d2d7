"""One thing at a time that cannot be: each a change of one row, the rule that it breaks, and what the row is of."""

from __future__ import annotations

from typing import NamedTuple

PLAN = "source = 'plan' and expires_at is not null and voided_at is null"
PAST = f"{PLAN} and expires_at < (select b.period_start from credits.balances b where (b.account_id, b.credit_type) = (x.account_id, x.credit_type))"
COUNTED = "kind = 'credit' and allowance is not null and due_at > settled_at"


class Corruption(NamedTuple):
    """`set` changes the row that `where` finds; without it the row is deleted."""

    rule: int
    column: str
    what: str
    where: str
    set: str | None = None

    @property
    def table(self) -> str:
        return ".".join(self.column.split(".")[:2])

    @property
    def statement(self) -> str:
        found = f"where t.ctid = (select x.ctid from {self.table} x where {self.where} limit 1)"
        begin = f"update {self.table} t set {self.set}" if self.set else f"delete from {self.table} t"
        return f"{begin} {found} returning t.account_id"


GRANTS = "public.credit_grants"
LEDGER = "public.credit_transactions"
BALANCES = "credits.balances"
HOLDS = "public.credit_reservations"
SLICES = "credits.reservation_slices"
ORDERS = "credits.billing_orders"
PAID = "credits.billing_payments"
TOP_UPS = "credits.auto_top_ups"
VOIDS = "credits.billing_plan_voids"
CUSTOMERS = "credits.billing_customers"
DEBTS = "credits.debts"
PAYMENTS = "credits.debt_payments"
USAGE = "public.usage"
KEYS = "credits.idempotency_keys"
VERSIONS = "credits.plan_versions"
FIGURES = "credits.plan_version_limits"
EVENTS = "credits.subscription_events"
SPELLS = "credits.subscription_spells"
SUBSCRIPTIONS = "credits.subscriptions"
ACCOUNTS = "credits.accounts"
PRICED = "credits.priced_operations"
PRICED_HOLDS = "credits.priced_holds"
PRICED_REFUNDS = "credits.priced_refunds"
DROPPED = "credits.dropped_remainders"
COSTS = "credits.operation_costs"
ENOUGH = "amount = amount + 5, remaining = remaining + 5"
SPENT = "kind = 'consume'"
OPEN, CAPTURED = "status = 'open'", "status = 'captured'"

CORRUPTIONS = [
    # Rule 1: a grant is what its rows say.
    Corruption(1, f"{GRANTS}.amount", "a grant that issued more", "true", ENOUGH),
    Corruption(1, f"{GRANTS}.remaining", "a grant with more left", "spent > 0", "remaining = remaining + 1, spent = spent - 1"),
    Corruption(1, f"{GRANTS}.spent", "spent credits that have lapsed", "spent > 0", "spent = spent - 1, lapsed = lapsed + 1"),
    Corruption(1, f"{GRANTS}.lapsed", "lapsed credits that were spent", "lapsed > 0", "spent = spent + 1, lapsed = lapsed - 1"),
    Corruption(1, f"{GRANTS}.held", "a grant that holds more", "remaining > held", "held = held + 1"),
    Corruption(1, f"{GRANTS}.account_id", "a grant of somebody else", "true", "account_id = gen_random_uuid()"),
    Corruption(1, f"{GRANTS}.id", "a grant under another id", "true", "id = gen_random_uuid()"),
    Corruption(1, f"{GRANTS}.credit_type", "an empty grant of another type", "remaining = 0 and credit_type = 'message'", "credit_type = 'integration'"),
    Corruption(1, f"{GRANTS}.created_at", "a grant that is older than its ledger", "true", "created_at = created_at - interval '1 day'"),
    Corruption(1, GRANTS, "a grant that is gone", "remaining = 0"),
    Corruption(1, f"{GRANTS}.voided_at", "a voided grant that never was", "voided_at is not null and exists (select from public.credit_transactions t where t.grant_id = x.id and t.kind = 'void')", "voided_at = null, void_reason = null"),
    Corruption(1, f"{LEDGER}.grant_id", "a spend from another grant", f"{SPENT} and version > 3", "grant_id = gen_random_uuid()"),
    Corruption(1, f"{LEDGER}.kind", "an expiry that is a spend", "kind = 'expire'", "kind = 'consume'"),
    Corruption(1, f"{LEDGER}.kind", "an expiry that was a void", "kind = 'expire' and not exists (select from public.credit_grants g where g.id = x.grant_id and g.voided_at is not null)", "kind = 'void'"),
    Corruption(1, f"{LEDGER}.kind", "a void that was an expiry, after its grant was voided", "kind = 'void' and description = 'refunded into a voided grant' and created_at > (select g.voided_at from public.credit_grants g where g.id = x.grant_id)", "kind = 'expire'"),
    Corruption(1, f"{SLICES}.grant_id", "a live hold on another grant", "exists (select from public.credit_reservations r where r.id = x.reservation_id and r.status = 'open')", "grant_id = gen_random_uuid()"),
    # Rule 2: the chain, and the balances.
    Corruption(2, LEDGER, "a row out of the middle", "version = 2"),
    Corruption(2, LEDGER, "the last row", "version = (select max(m.version) from public.credit_transactions m where (m.account_id, m.credit_type) = (x.account_id, x.credit_type))"),
    Corruption(2, f"{LEDGER}.version", "a gap", "version > 5", "version = version + 1000"),
    Corruption(2, f"{LEDGER}.amount", "another amount", SPENT, "amount = amount - 1"),
    Corruption(2, f"{LEDGER}.amount", "nothing at all", SPENT, "amount = 0"),
    Corruption(2, f"{LEDGER}.balance_after", "a balance that does not follow", "true", "balance_after = balance_after + 1"),
    Corruption(2, f"{LEDGER}.balance_after", "an unlimited spend with a balance", "grant_id is null", "balance_after = 0"),
    Corruption(2, f"{LEDGER}.grant_id", "a counted spend that is of no grant", SPENT + " and grant_id is not null", "grant_id = null"),
    Corruption(2, f"{LEDGER}.balance_after", "a spend that left the chain", SPENT + " and grant_id is not null", "grant_id = null, balance_after = null"),
    Corruption(2, f"{LEDGER}.created_at", "a time that steps back", "version = 6", "created_at = created_at - interval '100 days'"),
    Corruption(2, f"{LEDGER}.credit_type", "a row of another type", "credit_type = 'message' and version > 6", "credit_type = 'project'"),
    Corruption(2, f"{LEDGER}.account_id", "a row of somebody else", "version > 3", "account_id = gen_random_uuid()"),
    Corruption(2, f"{BALANCES}.balance", "a balance with more", "true", "balance = balance + 1"),
    Corruption(2, f"{BALANCES}.version", "a version ahead", "true", "version = version + 1"),
    Corruption(2, f"{BALANCES}.reserved", "more reserved than held", "balance > 1", "reserved = reserved + 1"),
    Corruption(2, f"{BALANCES}.reserved_unlimited", "more reserved without a limit than held", "true", "reserved_unlimited = reserved_unlimited + 1"),
    Corruption(2, f"{BALANCES}.withheld", "frozen credits for sale", "withheld > 0", "withheld = 0"),
    Corruption(2, f"{BALANCES}.withheld", "credits kept back", "balance > 5 and withheld = 0", "withheld = 5"),
    Corruption(2, f"{BALANCES}.used", "projects that do not exist", "kind = 'limit' and used > 0", "used = used - 1"),
    Corruption(2, f"{BALANCES}.due_at", "an expiry that nobody waits for", "exists (select from public.credit_grants g where (g.account_id, g.credit_type) = (x.account_id, x.credit_type) and g.is_open and g.expires_at = x.due_at)", "due_at = due_at + interval '1 second'"),
    Corruption(2, f"{BALANCES}.due_at", "a renewal that nobody waits for", "due_at = period_end", "due_at = 'infinity'"),
    Corruption(2, f"{BALANCES}.period_end", "a period without an end", "kind = 'credit'", "period_end = null"),
    Corruption(2, f"{BALANCES}.period_end", "a period that is over", "kind = 'credit'", "period_end = settled_at"),
    Corruption(2, f"{BALANCES}.used_since", "counting from tomorrow", "kind = 'credit'", "used_since = settled_at + interval '1 day'"),
    Corruption(2, f"{BALANCES}.settled_at", "a balance older than its grants", "kind = 'credit'", "settled_at = period_start - interval '1 second'"),
    Corruption(2, f"{BALANCES}.kind", "a limit that renews", "credit_type = 'message'", "kind = 'limit'"),
    Corruption(2, f"{BALANCES}.user_id", "a balance that somebody else reads", "user_id is not null", "user_id = gen_random_uuid()"),
    Corruption(2, f"{BALANCES}.account_status", "a closed account that spends", "account_status = 'closed'", "account_status = 'active'"),
    Corruption(2, f"{BALANCES}.test_now", "a clock of its own", "test_now is null", "test_now = '2040-01-01'"),
    Corruption(2, f"{BALANCES}.account_id", "a balance of nobody", "version > 0", "account_id = gen_random_uuid()"),
    Corruption(2, f"{BALANCES}.credit_type", "a balance of another type", "credit_type = 'project' and version > 0", "credit_type = 'projects'"),
    Corruption(2, BALANCES, "a balance that is gone", "version > 0"),
    Corruption(2, f"{GRANTS}.expires_at", "an open grant that is over", "is_open and remaining > held and expires_at is not null", "expires_at = starts_at"),
    Corruption(2, f"{GRANTS}.voided_at", "a voided grant that is spent from", "remaining > held", "voided_at = created_at, void_reason = 'x'"),
    Corruption(2, f"{GRANTS}.void_reason", "a void without a reason", "voided_at is not null", "void_reason = null"),
    Corruption(2, f"{GRANTS}.frozen_at", "a frozen grant that thawed", "frozen_at is not null and remaining > held", "frozen_at = null, frozen_reason = null"),
    Corruption(2, f"{GRANTS}.frozen_reason", "a freeze without a reason", "frozen_at is not null", "frozen_reason = null"),
    Corruption(2, f"{GRANTS}.starts_at", "a grant that has not begun", "remaining > held and source <> 'plan'", "starts_at = now() + interval '9 years', expires_at = null"),
    Corruption(2, f"{GRANTS}.starts_at", "an allowance that began later", PLAN, "starts_at = starts_at + interval '1 day'"),
    Corruption(2, f"{GRANTS}.source", "an allowance that became a pack", PLAN, "source = 'top_up'"),
    Corruption(2, f"{GRANTS}.source", "a source that nobody knows", "source = 'top_up'", "source = 'found'"),
    Corruption(2, f"{GRANTS}.period_start", "the allowance of another day", PLAN, "period_start = period_start + interval '1 day'"),
    Corruption(2, f"{ACCOUNTS}.status", "an account that thawed by itself", "status = 'frozen'", "status = 'active'"),
    Corruption(2, f"{ACCOUNTS}.test_now", "a clock that was moved by hand", "is_test", "test_now = test_now + interval '1 day'"),
    Corruption(2, f"{ACCOUNTS}.kind", "a person that became a team", "kind = 'person'", "kind = 'workspace'"),
    Corruption(2, ACCOUNTS, "balances without an account", "true"),
    Corruption(2, SUBSCRIPTIONS, "balances without a plan", "true"),
    Corruption(2, f"{BALANCES}.is_floating", "a balance that no job renews", COUNTED, "is_floating = true"),
    Corruption(2, f"{BALANCES}.restarted_at", "a restart to come", COUNTED, "restarted_at = settled_at + interval '1 day'"),
    Corruption(2, f"{SUBSCRIPTIONS}.user_id", "a subscription that somebody else reads", "user_id is not null", "user_id = gen_random_uuid()"),
    Corruption(2, f"{SUBSCRIPTIONS}.account_id", "a subscription of nobody", "true", "account_id = gen_random_uuid()"),
    Corruption(2, "credits.forgotten_accounts.account_id", "a live account whose words may be blanked", "true", "account_id = (select a.account_id from credits.accounts a where a.status = 'active' limit 1)"),
    # Rule 3: operations, refunds, keys.
    Corruption(3, f"{LEDGER}.operation_id", "a spend that usage does not know", SPENT, "operation_id = gen_random_uuid()"),
    Corruption(3, f"{LEDGER}.related_operation_id", "a refund of nothing", "kind = 'refund'", "related_operation_id = null"),
    Corruption(3, f"{LEDGER}.related_operation_id", "a refund of another spend", "kind = 'refund'", "related_operation_id = gen_random_uuid()"),
    Corruption(3, f"{LEDGER}.grant_id", "a refund into another grant", "kind = 'refund'", "grant_id = (select g.id from public.credit_grants g where (g.account_id, g.credit_type) = (t.account_id, t.credit_type) and g.id not in (select o.grant_id from public.credit_transactions o where o.operation_id = t.related_operation_id) limit 1)"),
    Corruption(3, f"{USAGE}.credits_used", "an attempt of another amount", "status = 'allowed'", "credits_used = credits_used + 1"),
    Corruption(3, f"{USAGE}.credits_used", "a denial that charged", "status = 'denied'", "credits_used = 1"),
    Corruption(3, f"{USAGE}.status", "a spend that was denied", "status = 'allowed'", "status = 'denied'"),
    Corruption(3, f"{USAGE}.status", "a denial that was allowed", "status = 'denied'", "status = 'allowed'"),
    Corruption(3, f"{USAGE}.status", "neither allowed nor denied", "status = 'allowed'", "status = 'perhaps'"),
    Corruption(3, f"{USAGE}.credit_type", "a spend of another type", "status = 'allowed' and credit_type = 'message'", "credit_type = 'project'"),
    Corruption(3, f"{USAGE}.operation_id", "an attempt that the ledger does not know", "status = 'allowed'", "operation_id = gen_random_uuid()"),
    Corruption(3, f"{USAGE}.account_id", "an attempt of somebody else", "status = 'allowed'", "account_id = gen_random_uuid()"),
    Corruption(3, f"{KEYS}.operation_id", "a key of nothing", "true", "operation_id = gen_random_uuid()"),
    Corruption(3, f"{KEYS}.answer", "a spend of nothing under a key", "request is null", """answer = '{"used": 0}'"""),
    Corruption(3, f"{KEYS}.answer", "a spend that left less than nothing", "request is null", """answer = '{"remaining": -1, "used": 1}'"""),
    Corruption(3, f"{KEYS}.answer", "nothing reserved that is not said by its absence", "request is null", """answer = '{"used": 1, "reserved": 0}'"""),
    Corruption(3, f"{KEYS}.answer", "a spend that was answered by no figure", "request is null", "answer = '{}'"),
    Corruption(3, f"{KEYS}.answer", "a spend that was answered by something else", "request is null", """answer = '{"used": 1, "code": "ok"}'"""),
    Corruption(3, f"{KEYS}.allowance", "a spend with an allowance that was answered as unlimited", "allowance is not null", """allowance = null, answer = '{"used": 1}'"""),
    Corruption(3, f"{KEYS}.allowance", "an unlimited spend that was answered with an allowance", "request is null and allowance is null", "allowance = 10"),
    Corruption(3, f"{KEYS}.allowance", "an allowance below nothing", "allowance is not null", "allowance = -1"),
    Corruption(3, f"{KEYS}.created_at", "a spend with a time beside the ledger's", "request is null", "created_at = now()"),
    Corruption(3, f"{KEYS}.answer", "a key that answers for another operation", "request is not null", "answer = jsonb_set(answer, '{operation_id}', '\"x\"')"),
    Corruption(3, f"{KEYS}.answer", "a key that answers a failure", "request is not null", "answer = jsonb_set(answer, '{success}', 'false')"),
    Corruption(3, f"{KEYS}.request", "a key of no function", "request is not null", "request = '{}'"),
    Corruption(3, f"{KEYS}.account_id", "a key of somebody else", "coalesce(request ->> 'function', '') <> 'change_plan'", "account_id = gen_random_uuid()"),
    Corruption(3, "credits.metered_rows.operation_id", "a row that nobody paid for", "true", "operation_id = gen_random_uuid()"),
    Corruption(3, "credits.metered_rows.amount", "a row that would give back more than it cost", "true", "amount = amount + 9"),
    Corruption(3, "credits.metered_rows.account_id", "a row that somebody else paid for", "true", "account_id = gen_random_uuid()"),
    # Rule 4: holds.
    Corruption(4, f"{HOLDS}.amount", "a hold of more", "true", "amount = amount + 1"),
    Corruption(4, f"{HOLDS}.captured", "a capture of more", CAPTURED, "captured = captured + 1, released = released - 1"),
    Corruption(4, f"{HOLDS}.released", "a release of more", CAPTURED, "released = released + 1"),
    Corruption(4, f"{HOLDS}.released", "a live hold that gave something back", OPEN, "released = 1"),
    Corruption(4, f"{HOLDS}.extra", "credits from nowhere", CAPTURED, "extra = extra + 1, released = released + 1"),
    Corruption(4, f"{HOLDS}.unlimited", "a hold that pins nothing", "unlimited = 0", "unlimited = amount"),
    Corruption(4, f"{HOLDS}.unlimited", "an unlimited hold that pins", "unlimited > 0", "unlimited = 0"),
    Corruption(4, f"{HOLDS}.unlimited_captured", "an unlimited capture that the ledger does not know", "unlimited_captured > 0", "unlimited_captured = 0"),
    Corruption(4, f"{HOLDS}.extended_at", "a hold that was extended before it was made", OPEN, "extended_at = created_at - interval '1 second'"),
    Corruption(4, f"{HOLDS}.extended_at", "a hold that was extended in time to come", OPEN, "extended_at = expires_at - interval '1 microsecond', expires_at = expires_at + interval '24 hours'"),
    Corruption(4, f"{SLICES}.captured", "a slice of which nothing was charged", "captured > 0", "captured = 0"),
    Corruption(1, f"{SLICES}.captured", "a live slice that pins less", "exists (select from public.credit_reservations r where r.id = x.reservation_id and r.status = 'open')", "captured = captured + 1"),
    Corruption(4, f"{HOLDS}.shortfall", "a shortfall that was forgiven", "shortfall > 0", "shortfall = 0"),
    Corruption(4, f"{HOLDS}.shortfall", "a shortfall beside what was there", "status = 'captured' and released > 0", "shortfall = 3"),
    Corruption(4, f"{HOLDS}.status", "a release that was a capture", CAPTURED, "status = 'released'"),
    Corruption(4, f"{HOLDS}.status", "an expiry that was a release", "status = 'released'", "status = 'expired'"),
    Corruption(4, f"{HOLDS}.status", "a release that was an expiry", "status = 'expired'", "status = 'released'"),
    Corruption(4, f"{HOLDS}.status", "a status that nobody knows", "status = 'released'", "status = 'lost'"),
    Corruption(4, f"{HOLDS}.expires_at", "a live hold past its expiry", OPEN, "expires_at = created_at + interval '1 microsecond'"),
    Corruption(4, f"{HOLDS}.expires_at", "a live hold that ends unnoticed", OPEN, "expires_at = created_at + interval '1 second'"),
    Corruption(4, f"{HOLDS}.expires_at", "a hold of three days", OPEN, "expires_at = created_at + interval '3 days'"),
    Corruption(4, f"{HOLDS}.created_at", "a hold that ended before it began", CAPTURED, "created_at = expires_at"),
    Corruption(4, f"{HOLDS}.closed_at", "a capture after the expiry", CAPTURED, "closed_at = expires_at"),
    Corruption(4, f"{HOLDS}.closed_at", "a capture at another time than its spend", CAPTURED, "closed_at = closed_at + interval '1 microsecond'"),
    Corruption(4, f"{HOLDS}.operation_id", "a capture that the ledger does not know", CAPTURED, "operation_id = gen_random_uuid()"),
    Corruption(4, f"{HOLDS}.credit_type", "a closed hold of another type", CAPTURED, "credit_type = 'project'"),
    Corruption(4, f"{HOLDS}.account_id", "a hold of somebody else", "true", "account_id = gen_random_uuid()"),
    Corruption(4, f"{HOLDS}.id", "a hold under another id", "true", "id = gen_random_uuid()"),
    Corruption(4, f"{HOLDS}.closed_at", "a live hold that was closed", OPEN, "closed_at = created_at"),
    Corruption(4, f"{HOLDS}.shortfall", "a shortfall of fewer than none", "status = 'captured' and released = 0 and shortfall = 0", "shortfall = -1"),
    Corruption(4, f"{HOLDS}.answer", "an answer that tells another amount", CAPTURED, "answer = jsonb_set(answer, '{captured}', '1000')"),
    Corruption(4, HOLDS, "a capture without its hold", CAPTURED),
    Corruption(4, SLICES, "a hold without its slice", "true"),
    Corruption(4, f"{SLICES}.amount", "a slice of more", "true", "amount = amount + 1"),
    Corruption(4, f"{SLICES}.account_id", "a slice of somebody else", "true", "account_id = gen_random_uuid()"),
    Corruption(4, f"{SLICES}.reservation_id", "a slice of another hold", "true", "reservation_id = gen_random_uuid()"),
    Corruption(4, f"{SLICES}.grant_id", "a capture from a grant that was not held", "exists (select from public.credit_reservations r where r.id = x.reservation_id and r.status = 'captured')", "grant_id = (select g.id from public.credit_grants g where g.account_id = t.account_id and g.credit_type = 'message' and g.id not in (select s.grant_id from credits.reservation_slices s) limit 1)"),
    Corruption(4, f"{LEDGER}.kind", "a capture that held nothing", f"{SPENT} and amount = -1", "kind = 'capture'"),
    Corruption(4, f"{LEDGER}.kind", "a capture that became a spend", "kind = 'capture'", "kind = 'consume'"),
    # Rule 5: allowances, in this period and in those gone by.
    Corruption(5, f"{GRANTS}.amount", "more than the plan in this period", f"{PLAN} and is_open and plan_id = 'free'", ENOUGH),
    Corruption(5, f"{GRANTS}.amount", "more than the plan in a period gone by", PAST, "amount = amount + 5000, spent = spent + 5000"),
    Corruption(5, f"{GRANTS}.voided_at", "two allowances in one period", "source = 'plan' and void_reason = 'allowance restarted' and starts_at = (select max(g.starts_at) from public.credit_grants g where (g.account_id, g.credit_type) = (x.account_id, x.credit_type) and g.source = 'plan')", "voided_at = null, void_reason = null"),
    Corruption(5, f"{GRANTS}.expires_at", "an allowance that runs into the next", PAST, "expires_at = expires_at + interval '400 days'"),
    Corruption(5, f"{GRANTS}.expires_at", "an allowance that outlives its period", f"{PLAN} and is_open", "expires_at = expires_at + interval '1 day'"),
    Corruption(5, f"{BALANCES}.allowance", "an allowance that is not the plan's", COUNTED, "allowance = allowance + 1"),
    Corruption(5, f"{BALANCES}.allowance", "unlimited for nothing", COUNTED, "allowance = null"),
    Corruption(5, f"{BALANCES}.period_start", "a period that began later", f"{COUNTED} and settled_at > period_start + interval '1 minute'", "period_start = period_start + interval '1 minute'"),
    Corruption(5, f"{BALANCES}.granted", "an upgrade that grants again", f"{COUNTED} and granted > 0", "granted = 0"),
    Corruption(5, f"{BALANCES}.granted", "an upgrade that grants nothing", f"{COUNTED} and granted > 0", "granted = 1000000"),
    Corruption(5, f"{BALANCES}.overdrawn", "a refund that is withdrawn", COUNTED, "overdrawn = 1, granted = granted + 1"),
    Corruption(5, f"{BALANCES}.anchored_by", "a period of another anchor", COUNTED, "anchored_by = anchored_by + 1"),
    Corruption(5, f"{BALANCES}.plan_id", "a period under a plan that nobody changed to", COUNTED, "plan_id = 'elite'"),
    Corruption(5, f"{BALANCES}.plan_version", "a period under a version that never was", COUNTED, "plan_version = 99"),
    Corruption(5, f"{SUBSCRIPTIONS}.is_managed", "a provider that was taken for none", "covered_until is not null", "is_managed = false"),
    Corruption(5, f"{SUBSCRIPTIONS}.covered_until", "a payment that never came", "covered_until is not null", "covered_until = covered_until - interval '40 days'"),
    Corruption(5, f"{ACCOUNTS}.status", "a closed account that holds credits", "exists (select from public.credit_reservations r where r.account_id = x.account_id and r.status = 'open' and r.expires_at > clock_timestamp())", "status = 'closed', closed_at = clock_timestamp()"),
    Corruption(5, f"{SUBSCRIPTIONS}.pinned_plan_id", "a pin to a plan that is not sold", "pinned_plan_id is not null", "pinned_plan_id = 'gone'"),
    Corruption(5, f"{SUBSCRIPTIONS}.pinned_version", "a pin to a version that never was", "pinned_plan_id is not null", "pinned_version = 99"),
    Corruption(5, EVENTS, "an event that was forgotten", "kind = 'plan'"),
    Corruption(5, f"{EVENTS}.n", "a gap in the events", "n > 1", "n = n + 100"),
    Corruption(5, f"{EVENTS}.account_id", "an event of somebody else", "n = 1", "account_id = gen_random_uuid()"),
    Corruption(5, f"{EVENTS}.kind", "a change that was an opening", "kind = 'plan'", "kind = 'opened'"),
    Corruption(5, f"{EVENTS}.happened_at", "a change that came earlier", "kind = 'plan' and not at_period_end", "happened_at = happened_at - interval '1 hour'"),
    Corruption(5, f"{EVENTS}.plan_id", "a change to another plan", "kind = 'plan'", "plan_id = 'elite'"),
    Corruption(5, f"{EVENTS}.plan_version", "a change to another version", "kind = 'plan' and not at_period_end", "plan_version = 99"),
    Corruption(5, f"{EVENTS}.quantity", "a seat more", "quantity is not null", "quantity = quantity + 1"),
    Corruption(5, f"{EVENTS}.at_period_end", "a change put off", "at_period_end and plan_id = 'free'", "at_period_end = false"),
    Corruption(5, f"{EVENTS}.status", "a payment that failed", "status = 'past_due'", "status = 'active'"),
    Corruption(5, f"{EVENTS}.ends_at", "a longer trial", "status = 'trialing'", "ends_at = ends_at + interval '1 day'"),
    Corruption(5, f"{EVENTS}.keeps_paid", "a cancellation that takes all", "status = 'canceled' and n = 6", "keeps_paid = not keeps_paid"),
    Corruption(5, f"{EVENTS}.time_zone", "a move elsewhere", "time_zone is not null", "time_zone = 'Asia/Tokyo'"),
    Corruption(5, SPELLS, "a spell that was forgotten", "replaced_at is null"),
    *(
        Corruption(5, f"{SPELLS}.{column}", f"another {column}", "n > 1 and replaced_at is null", f"{column} = {value}")
        for column, value in {
            "n": "n + 100",
            "event_n": "event_n + 100",
            "account_id": "gen_random_uuid()",
            "started_at": "started_at - interval '1 hour'",
            "plan_id": "'elite'",
            "plan_version": "99",
            "versioned_at": "'2000-01-01'",
            "is_paid": "not is_paid",
            "is_default": "not is_default",
            "quantity": "quantity + 1",
            "status": "case status when 'active' then 'paused' else 'active' end",
            "is_frozen": "not is_frozen",
            "is_earning": "not is_earning",
            "forfeited_at": "started_at",
            "is_whole": "not is_whole",
            "is_given_back": "not is_given_back",
            "anchor_at": "anchor_at - interval '1 hour'",
            "anchored_by": "anchored_by + 1",
            "anchored_from": "anchored_from - interval '1 hour'",
            "time_zone": "'Asia/Tokyo'",
            "past_due_since": "'2000-01-01'",
            "grace_ends_at": "'2000-01-01'",
            "paused_since": "'2000-01-01'",
            "trial_ends_at": "'2000-01-01'",
            "pending_plan_id": "'elite'",
            "pending_at": "'2000-01-01'",
            "replaced_at": "started_at",
        }.items()
    ),
    # Rule 10: what is not paid for.
    Corruption(10, f"{GRANTS}.frozen_at", "what is owed for, spendable", "frozen_reason in ('past_due', 'paused') and is_open and expires_at > frozen_at", "frozen_at = null, frozen_reason = null"),
    Corruption(5, "credits.identity_holders.account_id", "free credits of another person", "true", "account_id = gen_random_uuid()"),
    Corruption(5, "credits.identity_holders.identity", "free credits of no identity", "true", "identity = 'lost'"),
    Corruption(5, "credits.account_identities.identity", "an identity that no account holds", "account_id in (select a.account_id from credits.accounts a where a.status = 'active')", "identity = 'lost'"),
    # Rule 6: what was paid for is there once.
    Corruption(6, f"{ORDERS}.grant_id", "a purchase that granted nothing", "grant_id is not null", "grant_id = null"),
    Corruption(6, f"{ORDERS}.credits", "a purchase of more", "grant_id is not null", "credits = credits + 1"),
    Corruption(6, f"{ORDERS}.credit_type", "a purchase of another type", "grant_id is not null", "credit_type = 'integration'"),
    Corruption(6, f"{ORDERS}.state", "a grant that nothing paid", "grant_id is not null", "state = 'open'"),
    Corruption(6, f"{ORDERS}.account_id", "a purchase of somebody else", "grant_id is not null", "account_id = gen_random_uuid()"),
    # Rule 10: what was paid back has gone.
    Corruption(10, f"{ORDERS}.id", "a purchase under another id", "target > 0", "id = gen_random_uuid()"),
    Corruption(10, f"{ORDERS}.target", "a refund that took less", "target > 0", "target = target - 1"),
    Corruption(10, f"{ORDERS}.voided", "more taken back than the ledger says", "voided > 0", "voided = voided + 1"),
    Corruption(10, f"{ORDERS}.is_disputed", "a dispute that froze nothing", "is_disputed", "is_disputed = false"),
    Corruption(10, f"{ORDERS}.paid_amount", "a refund of a larger price", "target > 0", "paid_amount = paid_amount * 2"),
    Corruption(10, f"{PAID}.order_id", "a refund of another purchase", "exists (select from credits.billing_refunds r where r.payment_id = x.payment_id)", "order_id = gen_random_uuid()"),
    Corruption(10, f"{PAID}.account_id", "a refund to somebody else", "exists (select from credits.billing_refunds r where r.payment_id = x.payment_id)", "account_id = gen_random_uuid()"),
    # Rule 10: debts.
    Corruption(10, f"{DEBTS}.paid", "a debt that nothing paid", "paid < amount", "paid = paid + 1"),
    Corruption(10, f"{DEBTS}.amount", "a debt that was paid twice", "paid > 0", "amount = paid - 1"),
    Corruption(10, f"{DEBTS}.source", "a payment for another debt", "paid > 0", "source = 'another'"),
    Corruption(10, f"{DEBTS}.credit_type", "a debt in another type", "paid > 0", "credit_type = 'integration'"),
    Corruption(10, f"{DEBTS}.account_id", "a debt of somebody else", "paid > 0", "account_id = gen_random_uuid()"),
    Corruption(10, DEBTS, "a paid debt that is gone", "paid > 0"),
    Corruption(10, f"{PAYMENTS}.amount", "a payment of more", "amount > 0", "amount = amount + 1"),
    Corruption(10, f"{PAYMENTS}.operation_id", "a payment that is not on the ledger", "true", "operation_id = gen_random_uuid()"),
    Corruption(10, f"{PAYMENTS}.grant_id", "a payment by another grant", "amount > 0", "grant_id = gen_random_uuid()"),
    Corruption(10, f"{PAYMENTS}.source", "a payment of another debt", "true", "source = 'another'"),
    Corruption(10, f"{PAYMENTS}.credit_type", "a payment in another type", "true", "credit_type = 'integration'"),
    Corruption(10, f"{PAYMENTS}.account_id", "a payment of somebody else", "true", "account_id = gen_random_uuid()"),
    Corruption(1, f"{GRANTS}.currency", "a price without a currency", "paid_amount is not null", "currency = null"),
    Corruption(1, f"{GRANTS}.paid_amount", "a currency without a price", "paid_amount is not null", "paid_amount = null"),
    # Rule 9: priced operations, to the billionth.
    Corruption(9, f"{BALANCES}.prepaid_nano", "a billionth out of nothing", "prepaid_nano > 0", "prepaid_nano = prepaid_nano - 1"),
    Corruption(9, f"{DROPPED}.nano", "a remainder that was dropped and is more", "true", "nano = nano + 1"),
    Corruption(9, f"{DROPPED}.credit_type", "one of other credits that was dropped", "true", "credit_type = 'message'"),
    Corruption(9, f"{DROPPED}.account_id", "one that another account has dropped", "true", "account_id = (select a.account_id from credits.accounts a where a.account_id <> t.account_id limit 1)"),
    Corruption(9, f"{PRICED}.account_id", "a priced operation of somebody else", "whole > 0", "account_id = gen_random_uuid()"),
    Corruption(9, f"{PRICED}.operation_id", "a priced operation that the ledger does not know", "whole > 0", "operation_id = gen_random_uuid()"),
    Corruption(9, f"{PRICED}.credit_type", "one of other credits", "whole > 0", "credit_type = 'message'"),
    Corruption(9, f"{PRICED}.book", "one of another book", "true", "book = 'other'"),
    Corruption(9, f"{PRICED}.operation", "another operation", "true", "operation = 'other'"),
    Corruption(9, f"{PRICED}.quantities", "more than was priced", "quantities ? 'token'", "quantities = quantities || '{\"token\": 9999}'"),
    Corruption(9, f"{PRICED}.lines", "a receipt that adds up to less", "true", "lines = jsonb_set(lines, '{0,nano_per_unit}', '1')"),
    Corruption(9, f"{PRICED}.price_version", "the price of another version", "true", "price_version = price_version + 1"),
    Corruption(9, f"{PRICED}.cost_nano", "an operation that cost less", "cost_nano > 0", "cost_nano = cost_nano - 1, prepaid_after = prepaid_after + 1"),
    Corruption(9, f"{PRICED}.unpaid_nano", "more that stayed unpaid", "true", "unpaid_nano = unpaid_nano + 1"),
    Corruption(9, f"{PRICED}.whole", "more credits than the ledger took", "true", "whole = whole + 1"),
    Corruption(9, f"{PRICED}.returned", "fewer credits than the ledger gave back", "returned > 0", "returned = 0"),
    Corruption(9, f"{PRICED}.prepaid_before", "another remainder before", "true", "prepaid_before = prepaid_before + 1"),
    Corruption(9, f"{PRICED}.prepaid_after", "another remainder after", "true", "prepaid_after = prepaid_after + 1"),
    Corruption(9, f"{PRICED}.reservation_id", "a hold that is not there", "reservation_id is not null", "reservation_id = gen_random_uuid()"),
    Corruption(9, f"{PRICED_HOLDS}.account_id", "a priced hold of somebody else", "true", "account_id = gen_random_uuid()"),
    Corruption(9, f"{PRICED_HOLDS}.reservation_id", "the prices of another hold", "true", "reservation_id = gen_random_uuid()"),
    Corruption(9, f"{PRICED_HOLDS}.cost_nano", "a hold of less than the maximum", "true", "cost_nano = cost_nano + 1000000000"),
    Corruption(9, f"{PRICED_REFUNDS}.account_id", "a refund of somebody else", "true", "account_id = gen_random_uuid()"),
    Corruption(9, f"{PRICED_REFUNDS}.refund_id", "a refund that the ledger does not know", "whole > 0", "refund_id = gen_random_uuid()"),
    Corruption(9, f"{PRICED_REFUNDS}.operation_id", "a refund of an operation that cost less", "cost_nano > 500000000", "operation_id = (select o.operation_id from credits.priced_operations o where o.account_id = t.account_id and o.cost_nano < t.cost_nano limit 1)"),
    Corruption(9, f"{PRICED_REFUNDS}.credit_type", "a refund of other credits", "true", "credit_type = 'message'"),
    Corruption(9, f"{PRICED_REFUNDS}.cost_nano", "a refund of more", "true", "cost_nano = cost_nano + 1, prepaid_after = prepaid_after + 1"),
    Corruption(9, f"{PRICED_REFUNDS}.whole", "a refund of more credits", "true", "whole = whole + 1"),
    Corruption(9, f"{PRICED_REFUNDS}.prepaid_before", "another remainder before a refund", "true", "prepaid_before = prepaid_before + 1"),
    Corruption(9, f"{PRICED_REFUNDS}.prepaid_after", "another remainder after a refund", "true", "prepaid_after = prepaid_after + 1"),
    Corruption(9, f"{COSTS}.account_id", "a cost of somebody else", "true", "account_id = gen_random_uuid()"),
    Corruption(9, f"{COSTS}.operation_id", "the cost of another operation", "true", "operation_id = gen_random_uuid()"),
    # Rule 11: budgets.
    Corruption(11, "credits.budget_uses.used", "a budget that has counted less", "used > 0", "used = used - 1"),
    Corruption(11, "credits.budget_uses.window_start", "a window that began later", "used > 0 and isfinite(window_start)", "window_start = window_end - interval '1 second'"),
    Corruption(11, "credits.budget_uses.user_id", "a use of somebody else", "used > 0", "user_id = gen_random_uuid()"),
    Corruption(11, "credits.budget_uses.credit_type", "a use of other credits", "used > 0", "credit_type = 'another'"),
    Corruption(11, "credits.budget_uses.credit_limit", "a limit that is not the budget's", "true", "credit_limit = credit_limit + 1"),
    Corruption(11, "credits.budget_uses.is_of_period", "a window that is not the budget's", "true", "is_of_period = not is_of_period"),
    Corruption(11, f"{BALANCES}.common_budgets", "a budget that one statement misses", "has_budgets", "common_budgets = coalesce(common_budgets, 0) + 1"),
    Corruption(11, f"{BALANCES}.has_budgets", "a budget that no spend asks", "has_budgets", "has_budgets = false"),
    # Rule 7: conservation.
    Corruption(7, f"{LEDGER}.amount", "a credit out of nothing", "kind = 'grant'", "amount = amount + 1"),
    Corruption(7, f"{BALANCES}.used", "less used than spent", "kind = 'credit' and used > 1 and exists (select from public.credit_transactions t where (t.account_id, t.credit_type) = (x.account_id, x.credit_type) and t.created_at > x.used_since and t.kind = 'consume') and not exists (select from public.credit_transactions t where (t.account_id, t.credit_type) = (x.account_id, x.credit_type) and t.created_at = x.used_since)", "used = 0"),
    Corruption(7, f"{BALANCES}.used_since", "spends that are not counted", "kind = 'credit' and used > 1 and settled_at > used_since and not exists (select from public.credit_transactions t where (t.account_id, t.credit_type) = (x.account_id, x.credit_type) and t.created_at = x.settled_at)", "used_since = settled_at"),
]  # fmt: skip

# The versions of plans belong to no account. Each is a statement, and the plan or the reason why it is of none.
LATEST = "version = (select max(m.version) from credits.plan_versions m where m.plan_id = 'starter')"
PLAN_DAMAGE = {
    "the newest version": f"delete from {VERSIONS} where plan_id = 'starter' and {LATEST}",
    "a gap": f"update {VERSIONS} set version = version + 10 where plan_id = 'starter' and {LATEST}",
    "a version of another plan": f"update {VERSIONS} set plan_id = 'other' where plan_id = 'starter' and {LATEST}",
    "another allowance than the one on sale": f"update {FIGURES} set allowance = allowance + 1 where plan_id = 'starter' and credit_type = 'message' and {LATEST}",
    "unlimited where a figure is on sale": f"update {FIGURES} set allowance = null where plan_id = 'starter' and credit_type = 'message' and {LATEST}",
    "another rollover than the one on sale": f"update {FIGURES} set rollover_cap = rollover_cap + 1 where plan_id = 'starter' and credit_type = 'message' and {LATEST}",
    "a figure that is gone": f"delete from {FIGURES} where plan_id = 'starter' and credit_type = 'message' and {LATEST}",
    "a figure of a type that is not on sale": f"update {FIGURES} set credit_type = 'ghost' where plan_id = 'starter' and credit_type = 'message' and {LATEST}",
    "figures of a version that never was": f"insert into {FIGURES} values ('starter', 99, 'message', 1, 0)",
    "figures of a plan that never was": f"insert into {FIGURES} values ('other', 1, 'message', 1, 0)",
    "a figure on sale that no version has": "update public.plan_limits set allowance = allowance + 1 where plan_id = 'starter' and credit_type = 'message'",
    "allowances larger than any version had": f"update {FIGURES} set allowance = 1 where plan_id = 'free' and credit_type = 'message'",
}  # fmt: skip

# What no rule can judge, and why not. A column that is neither here nor above fails a test.
WORDS = "somebody's words, which may be forgotten"
WHO = "who acted, which only a digest can hold to"
UNUSED = "not read by any operation"
SAID = "what the provider said, which it alone knows"
LATER = "a choice that counts from now on, whichever it is"
TOLD = "what people have been told of, no credits"
UNJUDGED = {
    **{
        f"{ORDERS}.{column}": SAID
        for column in (
            *("kind", "user_id", "pack_id", "plan_id", "billing_interval", "quantity", "price_id", "expires_after"),
            *("currency", "unit_amount", "session_id", "invoice_id", "paid_at", "paid_net", "note", "created_at"),
        )
    },
    **{f"{PAID}.{column}": SAID for column in ("payment_id", "invoice_id", "linked_at")},
    **{
        f"{CUSTOMERS}.{column}": SAID
        for column in ("customer_id", "account_id", "livemode", "is_default", "linked_at", "deleted_at")
    },
    **{f"credits.billing_references.{column}": SAID for column in ("reference_id", "account_id", "order_id")},
    **{
        f"{TOP_UPS}.{column}": LATER
        for column in (
            *("account_id", "credit_type", "user_id", "threshold", "pack_id", "monthly_cap", "is_enabled", "state"),
            *("order_id", "stopped_at", "note"),
        )
    },
    **{
        f"{VOIDS}.{column}": "how much was left when it was refunded, which no row keeps"
        for column in ("account_id", "credit_type", "grant_id", "invoice_id", "share", "amount")
    },
    f"{BALANCES}.top_up_below": LATER,
    **dict.fromkeys(
        [f"credits.test_clock_moves.{column}" for column in ("account_id", "test_now", "moved_at")],
        "when the clock of a test account was moved, which nothing else says",
    ),
    f"{GRANTS}.priority": "the source's order when it was issued, which may have changed since",
    f"{GRANTS}.plan_id": UNUSED,
    f"{GRANTS}.plan_version": "asked about a plan that was left within the period, whose figures bound the grant",
    f"{GRANTS}.description": WORDS,
    f"{GRANTS}.metadata": WORDS,
    f"{GRANTS}.is_open": "generated",
    f"{LEDGER}.user_id": WHO,
    f"{LEDGER}.description": WORDS,
    f"{LEDGER}.metadata": WORDS,
    f"{HOLDS}.user_id": WHO,
    f"{HOLDS}.description": WORDS,
    f"{HOLDS}.metadata": WORDS,
    f"{HOLDS}.close_reason": WORDS,
    f"{USAGE}.id": UNUSED,
    f"{USAGE}.user_id": WHO,
    f"{USAGE}.description": WORDS,
    f"{USAGE}.metadata": WORDS,
    f"{USAGE}.created_at": "a log, which may be cleared",
    f"{KEYS}.idempotency_key": "the caller's choice, and forgotten with an account",
    f"{KEYS}.period_end": "what a caller was answered once, when the period was another",
    f"{DEBTS}.created_at": "the order in which debts are paid, whichever it is",
    f"{PAYMENTS}.created_at": UNUSED,
    f"{BALANCES}.alert_percent": TOLD,
    f"{BALANCES}.alert_amount": TOLD,
    f"{BALANCES}.restarted_event": "which of the events of one instant came before a restart",
    f"{PRICED}.user_id": WHO,
    f"{PRICED}.created_at": UNUSED,
    **dict.fromkeys(
        [f"{PRICED_HOLDS}.{column}" for column in ("book", "operation", "quantities", "priced_at", "book_version")],
        "by which prices a hold will be captured, which its receipt then repeats",
    ),
    **dict.fromkeys(
        [
            f"credits.x402_payments.{column}"
            for column in (
                *("payment_key", "account_id", "user_id", "workspace_id", "payer", "network", "asset", "paid"),
                *("credit_type", "credits", "request_hash", "state", "claim_id", "claimed_at", "transaction"),
                *("created_at", "pack_id", "identifier", "presented"),
            )
        ],
        "a payment, which is in the facilitator's books; what it bought is in ours",
    ),
    f"{PRICED_REFUNDS}.user_id": WHO,
    f"{PRICED_REFUNDS}.created_at": UNUSED,
    **dict.fromkeys(
        [f"{COSTS}.{column}" for column in ("currency", "provider_nano", "is_complete", "created_at")],
        "what a provider charged is in its invoices",
    ),
    f"{EVENTS}.recorded_at": UNUSED,
    f"{SPELLS}.revision": UNUSED,
    f"{SUBSCRIPTIONS}.created_at": UNUSED,
    f"{SUBSCRIPTIONS}.updated_at": UNUSED,
    f"{ACCOUNTS}.account_id": "whose it is shows in every balance",
    f"{ACCOUNTS}.is_test": LATER,
    f"{ACCOUNTS}.frozen_reason": WORDS,
    f"{ACCOUNTS}.created_at": UNUSED,
    f"{ACCOUNTS}.closed_at": UNUSED,
    f"{ACCOUNTS}.free_credits": "what a person had elsewhere is not in the books",
    "credits.account_identities.created_at": UNUSED,
    "credits.account_identities.account_id": "what a person had elsewhere is not in the books",
    "credits.carried_allowances.account_id": "what a person had elsewhere is not in the books",
    "credits.carried_allowances.credit_type": "what a person had elsewhere is not in the books",
    "credits.carried_allowances.period_end": "what a person had elsewhere is not in the books",
    "credits.carried_allowances.amount": "what a person had elsewhere is not in the books",
    "credits.accounts_to_follow.account_id": "what is still to be done about an account",
    "credits.accounts_to_follow.noticed_at": "what is still to be done about an account",
    f"{ACCOUNTS}.is_elsewhere": "where an account's user is kept is the project's choice",
    "credits.forgotten_accounts.forgotten_at": UNUSED,
    "credits.metered_rows.meter_id": "the project's rows, which are not ours to know",
    "credits.metered_rows.deleted_at": "the project's rows, which are not ours to know",
    "credits.metered_rows.row_key": "the project's rows, which are not ours to know",
    "public.credit_workspaces.account_id": "who is in a team is the project's choice",
    "public.credit_workspaces.name": "who is in a team is the project's choice",
    "public.credit_workspaces.created_at": "who is in a team is the project's choice",
    **{
        f"{table}.{column}": "who is asked into a team is the project's choice"
        for table, columns in {
            "public.credit_invitations": "account_id id email role user_id created_at expires_at used_at used_by "
            "revoked_at",
            "credits.invitation_secrets": "account_id token_hash invitation_id",
        }.items()
        for column in columns.split()
    },
    **{
        f"credits.api_keys.{column}": "which programs act for a person is their own choice"
        for column in [
            "account_id",
            "id",
            "key_hash",
            "name",
            "user_id",
            "created_at",
            "expires_at",
            "revoked_at",
            "last_used_at",
        ]
    },
    **{
        f"public.credit_budgets.{column}": "what a team limits is its own choice"
        for column in [
            "account_id",
            "id",
            "credit_type",
            "scope",
            "scope_value",
            "window_kind",
            "hours",
            "credit_limit",
            "user_id",
            "created_at",
            "updated_at",
        ]
    },
    **{
        f"credits.budget_uses.{column}": "where a window is looked at next; what it has counted is judged"
        for column in ("account_id", "budget_id", "window_end", "tail")
    },
    "public.credit_workspace_members.account_id": "who is in a team is the project's choice",
    "public.credit_workspace_members.user_id": "who is in a team is the project's choice",
    "public.credit_workspace_members.role": "who is in a team is the project's choice",
    "public.credit_workspace_members.created_at": "who is in a team is the project's choice",
}
