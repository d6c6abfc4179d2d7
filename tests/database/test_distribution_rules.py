"""The schema could be spread over machines by account: read from the catalog, with every exception named."""

from __future__ import annotations

import re

import pytest

from tests.support.database import Database
from tests.support.edge import OF_TEAMS, OPERATIONS

# Tables that belong to no account: what is on sale, and how the app is set up. Every machine has its own copy of them.
REFERENCE = {
    *("public.plans", "public.plan_limits", "credits.plan_versions", "credits.plan_version_limits"),
    "credits.plan_conditions",
    *("credits.billing_prices", "public.credit_packs"),
    *("credits.credit_types", "credits.grant_sources", "credits.settings", "credits.meters"),
    *("credits.identity_key", "credits.message_kinds", "credits.undone_imports"),
    *("public.credit_price_books", "credits.prices", "credits.provider_prices", "credits.exchange_rates"),
}

# Who a person is over all their accounts: kept by identity, and asked where an account is opened, not where it spends.
IDENTITIES = {"credits.x402_payments", "credits.identity_holders"}

# What a payment provider has said, by the provider's ids: looked up once per event, and handed on with the account.
PROVIDER = {
    *("credits.billing_inbox", "credits.billing_customers", "credits.billing_snapshots", "credits.billing_invoices"),
    *("credits.billing_invoice_lines", "credits.billing_failures", "credits.billing_payments"),
    *("credits.billing_refunds", "credits.billing_credit_notes", "credits.billing_disputes"),
    "credits.billing_references",
}

# Figures over all accounts, worked out from the ledger and made anew from it at any time: a coordinator's tables.
REPORTS = {
    *("credits.rollup_state", "credits.hourly_flows", "credits.daily_segments", "credits.tracked_keys"),
    *("credits.daily_active", "credits.daily_owed"),
}

# What this machine's catalog should look like.
CATALOG = {"credits.installed_objects"}

# Core functions that are about no account: pure functions of their arguments, what covers all accounts by design,
# the triggers, and the readers which first find out who asks.
WITHOUT_ACCOUNT = {
    "raise_error": "pure, and whom to write to",
    "frozen_words": "pure, and whom to write to",
    "identity_of": "pure, and the setting identity_by",
    "hash_identity": "pure, and its key",
    "answer": "pure",
    "period_boundary": "pure",
    "period_at": "pure",
    "clock": "of this machine",
    **dict.fromkeys(
        (
            *("is_spendable", "spell_period", "period_ending_at", "enter_plan", "anchor_periods", "leave_plan"),
            "running_period_is_paid",
            *("cancel_plan", "change_plan_event", "change_status_event", "change_subscription", "next_transition"),
            *(
                "is_spent_between",
                "note_grace",
                "pass_time",
                "emit_spell",
                "is_same_spell",
                "time_of_event",
                "running_period_is_unpaid",
            ),
        ),
        "pure, and what the plans are",
    ),
    **dict.fromkeys(
        (
            "plan_condition_at",
            "default_plan_at",
            "has_been_default",
            "record_plan_condition",
            "latest_version",
            "plan_figure",
            "version_is_on_sale",
            "make_plan_version",
            "refuse_plan",
        ),
        "about a plan",
    ),
    **dict.fromkeys(
        (
            *("find_price_book", "prices_at", "price_lines", "refuse_unpriced", "price_operation", "rate_at"),
            *("provider_nano",),
        ),
        "about the price books",
    ),
    **dict.fromkeys(
        (
            *("read_quantities", "stepped", "price_line", "bounded", "cost_of_lines", "credits_text", "whole_credits"),
            *("price_words", "refund_request", "is_about", "is_to_fetch"),
        ),
        "pure",
    ),
    **dict.fromkeys(
        (
            *(
                "follow_provider",
                "follow_unknown_price",
                "follow_plan",
                "follow_status",
                "follow_cancellation",
                "leave_followed",
            ),
            *(
                "is_boundary",
                "is_living_status",
                "is_smaller_plan",
                "leading_state",
                "is_paid_state",
                "give_back_rest",
                "state_of_snapshot",
                "without_unpaid_upgrade",
            ),
            *("plan_of_items", "version_at"),
        ),
        "pure, and what the plans and their prices are",
    ),
    **dict.fromkeys(
        (
            *(
                "covered_until_of",
                "disputed_from",
                "refunded_from",
                "payments_of_invoice",
                "share_refunded",
                "is_plan_paid",
                "prorated_at",
                "snapshots_of",
                "times_given_back",
                "is_rest_given_back",
                "begins_unpaid",
            ),
            *("subscription_course", "untold_renewal"),
        ),
        "about a subscription, which the account's customers have led to",
    ),
    "roll_out": "works through the accounts of a plan, one after the other",
    "check_request": "pure",
    "available": "pure",
    "channel_name": "pure",
    "level_data": "of a balance that was read, what its type is called and what gives more of it",
    "overseen_account": "finds the account of a user",
    **dict.fromkeys(
        (
            *("get_credit_alerts", "set_credit_alerts", "set_credit_channels"),
            *("list_notifications", "mark_notifications_read"),
        ),
        "finds out who asks",
    ),
    "forget_messages": "of all accounts, by their age",
    "reaches_level": "pure",
    "percent_used": "pure",
    "plan_name": "about a plan",
    "batch_answer": "pure",
    "batch_items": "pure",
    "differences": "pure",
    "refuse_batch_item": "pure",
    "spend_request": "pure",
    "untold_figures": "pure",
    "check_ttl": "pure",
    "replay_capture": "pure",
    "hold_request": "pure",
    "capture_request": "pure",
    "respond": "shapes an answer",
    "check_grant_order": "pure",
    "grant_request": "pure",
    "explain_denial": "pure, and the upgrade_url",
    "denial_hint": "pure",
    "next_step": "about a plan",
    "upgrade_url": "a setting",
    "deny": "shapes an answer",
    "overseen_ids": "finds out who asks",
    "reader_id": "finds out who asks",
    "paying_account": "finds the account of a user",
    "reading_user": "finds out who asks",
    "readable_ids": "finds out who asks",
    "read_summary": "finds out who asks",
    "read_operation": "finds out who asks",
    "read_history": "finds out who asks",
    "acting_user": "finds out who asks",
    **dict.fromkeys(OF_TEAMS, "find out who asks, and for which workspace"),
    "budget_account": "finds the account of a user",
    "budget_once": "pure",
    **dict.fromkeys(
        (
            "available_under",
            "budget_words",
            "budget_hint",
            "key_state",
            "refuse_argument",
            "check_role",
            "hash_token",
            "account_of_token",
        ),
        "pure",
    ),
    "confirmed_email": "about a user",
    "table_exists": "pure, of the catalog",
    "tend_accounts": "works through accounts, one after the other",
    "follow_waiting_accounts": "works through accounts, one after the other",
    "return_dropped_tables": "works through accounts, one after the other",
    "drop_old_identities": "works through accounts that were closed a year ago",
    "renew_due": "works through all accounts, one after the other",
}

# What resolves the acting user, before the core proper is called.
ASKS_AUTH = {
    *("paying_account", "reading_user", "readable_ids", "overseen_ids", "reader_id"),
    # Who a person is, asked when an account is opened.
    *("remember_identities", "decide_free_credits", "yields_identity"),
    # The e-mail of a person: shown to those who share a workspace, and what an invitation is bound to.
    *("members_of", "check_invitation", "confirmed_email"),
}
SETS_CONFIG = {"deny", "respond"}


@pytest.fixture(scope="module")
def functions(database: Database) -> list[tuple[str, str, list[str], str, bool]]:
    """Name, schema, input argument names, source, whether a trigger."""
    rows = database.query(
        "select p.proname, n.nspname, coalesce(p.proargnames[1:p.pronargs], '{}'), "
        "coalesce(p.prosrc, '') || coalesce(pg_get_function_sqlbody(p.oid), ''), p.prorettype = 'trigger'::regtype "
        "from pg_proc p join pg_namespace n on n.oid = p.pronamespace "
        "where n.nspname in ('public', 'credits') order by 2, 1"
    )
    assert len(rows) > 80
    return rows


def core(functions: list[tuple[str, str, list[str], str, bool]]) -> list[tuple[str, list[str], str]]:
    """What the operations reach in the schema credits: name, arguments, and source without comments and texts."""
    sources = {
        (schema, name): (arguments, re.sub(r"--[^\n]*|'[^']*'", "", source))
        for name, schema, arguments, source, _ in functions
    }
    reached, found = [("public", name) for name in sorted((*OPERATIONS, *OF_TEAMS))], []
    for key in reached:
        arguments, source = sources[key]
        if key[0] == "credits":
            found.append((key[1], arguments, source))
        called = {("credits", name) for name in re.findall(r"\bcredits\.(\w+)\s*\(", source)}
        reached += sorted((called & sources.keys()) - {*reached})
    assert len(found) > 40
    return found


def test_every_table_but_the_reference_tables_belongs_to_an_account(database: Database) -> None:
    without = database.query(
        "select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        "where n.nspname in ('public', 'credits') and c.relkind in ('r', 'p') and not exists ("
        "  select from pg_attribute a where a.attrelid = c.oid and a.attname = 'account_id' and a.attnotnull)"
    )
    assert {name for (name,) in without} - PROVIDER == REFERENCE | REPORTS | CATALOG


def test_the_account_leads_every_key_and_every_unique_index(database: Database) -> None:
    indexes = database.query(
        "select i.indrelid::regclass::text, i.indexrelid::regclass::text, a.attname "
        "from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace "
        "left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0] "
        "where n.nspname in ('public', 'credits') and i.indisunique"
    )
    led = {index for _, index, first in indexes if first == "account_id"}
    reference = {name.removeprefix("public.") for name in REFERENCE | REPORTS | CATALOG | IDENTITIES | PROVIDER}
    others = {index for table, index, first in indexes if first != "account_id" and table not in reference}
    assert len(led) >= 12
    assert others == set()


def test_the_account_leads_every_foreign_key_and_none_leaves_the_account(database: Database) -> None:
    keys = database.query(
        "select k.conname, k.conrelid::regclass::text, k.confrelid::regclass::text, "
        "  (select a.attname from pg_attribute a where a.attrelid = k.conrelid and a.attnum = k.conkey[1]), "
        "  (select a.attname from pg_attribute a where a.attrelid = k.confrelid and a.attnum = k.confkey[1]) "
        "from pg_constraint k join pg_namespace n on n.oid = k.connamespace "
        "where n.nspname in ('public', 'credits') and k.contype = 'f'"
    )
    reference = {name.removeprefix("public.") for name in REFERENCE | REPORTS | CATALOG}
    assert keys
    for name, table, target, column, target_column in keys:
        assert not target.startswith("auth."), f"{name} refers to a user, who may be deleted"
        if table not in reference:
            assert (column, target_column) == ("account_id", "account_id"), name


def test_a_core_function_names_its_account_first(functions: list[tuple[str, str, list[str], str, bool]]) -> None:
    others = {name for name, arguments, _ in core(functions) if not arguments or arguments[0] != "p_account_id"}
    assert others <= set(WITHOUT_ACCOUNT)


def test_a_core_function_asks_nobody_who_is_calling(functions: list[tuple[str, str, list[str], str, bool]]) -> None:
    assert {n for n, _, source in core(functions) if re.search(r"\bauth\.|request\.jwt", source)} <= ASKS_AUTH
    assert {n for n, _, source in core(functions) if "set_config" in source} <= SETS_CONFIG


def test_a_core_function_builds_no_sql_and_takes_no_advisory_lock(
    functions: list[tuple[str, str, list[str], str, bool]],
) -> None:
    # What is called there is Supabase's and may be missing, so no statement may name it before it runs.
    assert {n for n, _, source in core(functions) if re.search(r"\bexecute\b", source)} <= {"broadcast"}
    assert not [n for n, _, source in core(functions) if "advisory" in source]


def test_a_core_function_filters_every_table_of_an_account_by_it(
    functions: list[tuple[str, str, list[str], str, bool]],
) -> None:
    """Every one that reads or writes such a table says which account's rows it means."""
    tables = r"(credit_grants|credit_transactions|credit_reservations|reservation_slices|credits\.balances)"
    for name, arguments, source in core(functions):
        if arguments[:1] == ["p_account_id"] and re.search(rf"\b(from|update|into|join) \S*{tables}\b", source):
            assert re.search(r"account_id = p_account_id|\(account_id|p_account_id, |p_account_id is null", source), (
                name
            )


def test_no_function_is_overloaded(database: Database) -> None:
    assert (
        database.query(
            "select n.nspname, p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace "
            "where n.nspname in ('public', 'credits') group by 1, 2 having count(*) > 1"
        )
        == []
    )


def test_every_argument_of_a_function_starts_with_p(functions: list[tuple[str, str, list[str], str, bool]]) -> None:
    wrong = {(name, a) for name, _, arguments, _, _ in functions for a in arguments if not a.startswith("p_")}
    assert wrong == set()


def test_every_function_of_the_edge_names_the_user_first(
    functions: list[tuple[str, str, list[str], str, bool]],
) -> None:
    first = {name: arguments[:1] for name, schema, arguments, _, _ in functions if schema == "public"}
    assert {name for name in (*OPERATIONS, *OF_TEAMS) if first[name] != ["p_user_id"]} - {"find_api_key"} == set()


def test_every_function_has_an_empty_search_path(database: Database) -> None:
    assert (
        database.query(
            "select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace "
            "where n.nspname in ('public', 'credits') and not coalesce('search_path=\"\"' = any (p.proconfig), false)"
        )
        == []
    )


def test_everything_has_a_comment(database: Database) -> None:
    assert (
        database.query(
            "select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace "
            "where n.nspname in ('public', 'credits') and obj_description(p.oid, 'pg_proc') is null "
            "union all "
            "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace "
            "where n.nspname in ('public', 'credits') and c.relkind in ('r', 'p', 'v') "
            "  and obj_description(c.oid, 'pg_class') is null "
            "union all "
            "select t.oid::regtype::text from pg_type t join pg_namespace n on n.oid = t.typnamespace "
            "where n.nspname in ('public', 'credits') and t.typtype in ('e', 'd') "
            "  and obj_description(t.oid, 'pg_type') is null"
        )
        == []
    )


def test_row_level_security_is_on_for_every_table(database: Database) -> None:
    assert (
        database.query(
            "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace "
            "where n.nspname in ('public', 'credits') and c.relkind in ('r', 'p') and not c.relrowsecurity"
        )
        == []
    )


def test_every_view_reads_with_the_rights_of_its_reader(database: Database) -> None:
    assert (
        database.query(
            "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace "
            "where n.nspname in ('public', 'credits') and c.relkind = 'v' "
            "  and not coalesce('security_invoker=true' = any (c.reloptions), false)"
        )
        == []
    )


def test_ids_are_uuids_and_nothing_counts_up_over_all_accounts(database: Database) -> None:
    sequences = database.query(
        "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        "where n.nspname in ('public', 'credits') and c.relkind = 'S'"
    )
    # The bit that stands for an account in a report's sets, and in nothing else; and the order of the messages of one
    # account, which several transactions may write at once.
    assert set(sequences) == {("credits.account_numbers_number_seq",), ("credits.outbox_n_seq",)}


def test_credits_are_whole_numbers_in_every_column(database: Database) -> None:
    columns = database.query(
        "select c.relname || '.' || a.attname, format_type(coalesce(nullif(y.typbasetype, 0), y.oid), null) "
        "from pg_attribute a join pg_type y on y.oid = a.atttypid "
        "join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace "
        "where n.nspname in ('public', 'credits') and c.relkind in ('r', 'p', 'v') and a.attnum > 0 "
        "and a.attname in ('amount', 'remaining', 'held', 'spent', 'lapsed', 'allowance', 'used', 'reserved', "
        "  'balance', 'balance_after', 'credits_used', 'captured', 'released', 'extra', 'shortfall', 'withheld', "
        "  'rollover_cap')"
    )
    assert len(columns) > 20
    assert {type_name for _, type_name in columns} == {"bigint"}


# Rules that let the tables be distributed with Citus by their accounts. What breaks one stands here with its reason.
STATEMENTS = r"\b(?:update|insert into)\s+(?:public|credits)\.[^;]*;"
CLOCK = r"\b(?:clock_timestamp|statement_timestamp|transaction_timestamp|now)\s*\("
READS = r"\b(?:from|join|update|into)\s+(?:public|credits)\.(\w+)"
ONE_STATEMENT = "the one statement of the fast road: the clock is read where the row is locked"
OF_ONE_ROW = "called for one account at a time, which it names in every condition"
EXEMPT: dict[str, dict[str, str]] = {
    # Reports for an operator, and what is run once when moving in or out: on the coordinator, or on each machine.
    "select from": dict.fromkeys(
        [
            *("diagnose_amounts", "diagnose_callers", "diagnose_drift", "diagnose_host_reads", "diagnose_host_writes"),
            *("diagnose_operation", "diagnose_privileges", "diagnose_surroundings", "export_account", "forget_account"),
            *("forget_words", "gift_of", "guarded_by_trigger", "host_functions", "host_gifts", "host_json_counters"),
            *("host_tables", "import_balances", "import_table", "insert_into", "is_invoker_view", "may_write_rows"),
            "never_below_zero",
        ],
        "a report, or run once",
    )
    | dict.fromkeys(["change_plan", "paying_account", "plan_is_used"], "older than the rule"),
    "clock in an update": {
        "close_account_of_deleted_user": "older than the rule",
        "consume": ONE_STATEMENT,
        "capture_at_once": ONE_STATEMENT,
        "reserve_at_once": ONE_STATEMENT,
        "forget_account": "run once",
        "record_limit_change": "writes a small table that every machine has",
        "record_uncollected": "a default of a column",
        "roll_up_metrics": "a report's own state",
    },
    "interval in an update": {
        "consume": ONE_STATEMENT,
        "capture_at_once": ONE_STATEMENT,
        "reserve_at_once": ONE_STATEMENT,
    },
    "sql with parameters": {
        "account_answer": OF_ONE_ROW,
        "balances_of": OF_ONE_ROW,
        "book_pending_plan": OF_ONE_ROW,
        "denial": OF_ONE_ROW,
        "import_problems": "run once",
        "imported_elsewhere": "run once",
        "left_out": "a report",
        "live_holds_at": OF_ONE_ROW,
        "periods_of": "a report",
        "plan_terms_at": OF_ONE_ROW,
        "read_balance_story": OF_ONE_ROW,
        "roll_up_batch": "a report",
    },
}


@pytest.fixture(scope="module")
def sources(database: Database) -> dict[str, tuple[str, str, int]]:
    """By name: the language, the source without comments and texts, and how many arguments it takes."""
    rows = database.query(
        "select p.proname, l.lanname, coalesce(nullif(p.prosrc, ''), pg_get_function_sqlbody(p.oid)), p.pronargs "
        "from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang "
        "where n.nspname in ('public', 'credits') and p.prokind = 'f'"
    )
    return {
        name: (language, re.sub(r"--[^\n]*|'[^']*'", "''", source).lower(), arguments)
        for name, language, source, arguments in rows
    }


def breaks(sources: dict[str, tuple[str, str, int]], pattern: str, within: str = "") -> set[str]:
    return {
        name
        for name, (_, source, _) in sources.items()
        if any(re.search(pattern, part) for part in (re.findall(within, source) if within else [source]))
    }


POLICIES = (
    "select p.polrelid::regclass::text, pg_get_expr(p.polqual, p.polrelid) from pg_policy p "
    "join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace "
    "where n.nspname in ('public', 'credits') order by 1"
)


def test_a_policy_compares_with_an_array_and_asks_no_table(database: Database) -> None:
    """Citus: "Subqueries are not supported in policies on distributed tables"."""
    policies = database.query(POLICIES)
    assert len(policies) >= 10
    for table, condition in policies:
        assert "select" not in condition.lower(), table
        assert condition == "true" or "(account_id = ANY (credits.readable_ids()))" in condition, table


def test_on_one_server_policies_may_ask_once(own_database: Database) -> None:
    before = dict(own_database.query(POLICIES))
    assert own_database.value("select credits.ask_policies_once()") == 3
    after = dict(own_database.query(POLICIES))
    assert {t for t in after if after[t] != before[t]} == {"usage", "credit_transactions", "credit_reservations"}
    assert own_database.value("select credits.ask_policies_once()") == 0
    # It is what verify and the doctor expect from here on.
    assert own_database.query("select object from credits.diagnose_drift() where object like '%policy%'") == []
    own_database.verify()


def test_a_row_is_looked_for_with_select_1(sources: dict[str, tuple[str, str, int]]) -> None:
    assert breaks(sources, r"\bselect\s+from\b") <= set(EXEMPT["select from"])


def test_the_clock_is_read_before_an_update(sources: dict[str, tuple[str, str, int]]) -> None:
    assert breaks(sources, CLOCK, STATEMENTS) <= set(EXEMPT["clock in an update"])


def test_an_update_moves_no_time_by_an_interval(sources: dict[str, tuple[str, str, int]]) -> None:
    pattern = r"\w+(?:_at|_since|_start|_end)\s*[-+]\s*interval"
    assert breaks(sources, pattern, STATEMENTS) <= set(EXEMPT["interval in an update"])


def test_a_function_that_takes_parameters_and_reads_accounts_is_plpgsql(
    database: Database, sources: dict[str, tuple[str, str, int]]
) -> None:
    """A function in SQL is put into the statement around it, and then no longer one over one account."""
    shared = {name.partition(".")[2] for name in REFERENCE | REPORTS | CATALOG}
    tables = {name for (name,) in database.query("select relname from pg_class where relkind in ('r', 'p', 'v')")}
    wrong = {
        name
        for name, (language, source, arguments) in sources.items()
        if language == "sql" and arguments and set(re.findall(READS, source)) & tables - shared
    }
    assert wrong <= set(EXEMPT["sql with parameters"])


def test_no_public_function_has_a_row_of_a_table_in_its_signature(database: Database) -> None:
    assert (
        database.query(
            "select p.oid::regprocedure::text from pg_proc p "
            "cross join lateral unnest(p.proargtypes::oid[] || p.prorettype || coalesce(p.proallargtypes, '{}')) t "
            "join pg_type y on y.oid = t join pg_class c on c.oid = y.typrelid and c.relkind in ('r', 'p', 'v') "
            "where p.pronamespace = 'public'::regnamespace and p.proname in (select credits.public_functions())"
        )
        == []
    )


def test_a_table_that_all_accounts_share_refers_to_no_account(database: Database) -> None:
    """So that each machine can have its own copy of it."""
    shared = [name for name in REFERENCE if name != "credits.plan_limit_changes"]
    for (target,) in database.query(
        "select confrelid::regclass::text from pg_constraint "
        "where contype = 'f' and conrelid::regclass::text = any (%s)",
        [name.removeprefix("public.") for name in shared],
    ):
        assert target in {name.removeprefix("public.") for name in REFERENCE}


def test_a_check_of_the_books_can_run_on_each_machine(database: Database) -> None:
    """It looks at one account or at those that are there, and answers a count and a list, which add up."""
    checks = database.query(
        "select p.proname, p.proargnames[1:p.pronargs], pg_get_function_result(p.oid) from pg_proc p "
        "where p.pronamespace = 'credits'::regnamespace and p.proname like 'verify\\_%%' and p.proname <> 'verify_all'"
    )
    assert len(checks) >= 9
    for name, arguments, result in checks:
        assert arguments in (["p_account_id"], None, []), name
        assert result == "TABLE(checked bigint, violations jsonb)", name
