"""Each heuristic of `sonas doctor` on functions finds the bad one, and lets the good one be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

Diagnosis = Callable[[], list[dict[str, Any]]]

DEFINER = "language plpgsql security definer set search_path = ''"

# code, severity, the bad function, the good one; T is a table with the counter `credits`.
PAIRS = {
    "a top-up of one's own choosing": (
        "anyone_gets_credits",
        "critical",
        f"""create function f(p_amount integer) returns void {DEFINER} as $$
            begin
              update public.T set credits = credits + p_amount where id = auth.uid() and p_amount > 0;
            end $$""",
        f"""create function f(p_amount integer) returns void {DEFINER} as $$
            begin
              if auth.role() <> 'service_role' then raise exception 'no'; end if;
              update public.T set credits = credits + p_amount where id = auth.uid() and p_amount > 0;
            end $$""",
    ),
    "a balance that is simply set": (
        "anyone_gets_credits",
        "critical",
        f"""create function f(p_credits integer) returns void {DEFINER} as $$
            begin
              -- only ever lowers it -- they said
              insert into public.T (id, credits) values (auth.uid(), p_credits)
              on conflict (id) do update set "credits" = excluded.credits;
            end $$""",
        f"""create function f(p_name text) returns void {DEFINER} as $$
            begin
              insert into public.T (id, name) values (auth.uid(), p_name)
              on conflict (id) do update set name = excluded.name;
            end $$""",
    ),
    "a plan for nothing": (
        "anyone_gets_credits",
        "critical",
        f"""create function f(p_plan text) returns void {DEFINER} as $$
            begin perform public.change_plan(auth.uid(), p_plan); end $$""",
        f"""create function f() returns void {DEFINER} as $$
            begin
              perform public.grant_credits(auth.uid(), 'message', 5, p_idempotency_key => 'welcome');
            end $$""",
    ),
    "an open function in standard SQL": (
        "anyone_gets_credits",
        "critical",
        """create function f(p_amount integer) returns void security definer set search_path = ''
            begin atomic update public.T p set credits = p.credits + p_amount where p.id = auth.uid(); end""",
        """create function f(p_amount integer) returns void security invoker set search_path = ''
            begin atomic update public.T p set credits = p.credits + p_amount where p.id = auth.uid(); end""",
    ),
    "somebody else's credits": (
        "user_id_not_checked",
        "critical",
        f"""create function f(p_user_id uuid) returns jsonb {DEFINER} as $$
            begin return public.consume_credits(p_user_id, 'message', 1); end $$""",
        f"""create function f(p_user_id uuid) returns jsonb {DEFINER} as $$
            begin
              if p_user_id is distinct from auth.uid() then raise exception 'not yours'; end if;
              return public.consume_credits(p_user_id, 'message', 1);
            end $$""",
    ),
    "somebody else's counter": (
        "user_id_not_checked",
        "critical",
        f"""create function f(uid text, n integer) returns void {DEFINER} as $$
            begin update public.T set credits = credits - n where id = uid::uuid and n > 0; end $$""",
        f"""create function f(uid text, n integer) returns text {DEFINER} as $$
            begin return (select name from public.T where id = uid::uuid and n > 0); end $$""",
    ),
    "a negative amount": (
        "amount_not_checked",
        "critical",
        f"""create function f(p_amount integer) returns void {DEFINER} as $$
            begin
              update public.T set name = 'a', credits = credits - p_amount where id = auth.uid();
            end $$""",
        f"""create function f(p_amount integer) returns void {DEFINER} as $$
            begin
              if p_amount is null or p_amount <= 0 then raise exception 'invalid amount'; end if;
              update public.T set name = 'a', credits = credits - p_amount where id = auth.uid();
            end $$""",
    ),
    "a negative amount without a name": (
        "amount_not_checked",
        "medium",
        "create function f(uuid, integer) returns void language sql set search_path = '' as "
        "$$ update public.T set credits = credits - $2 where id = $1 $$",
        "create function f(uuid, integer) returns void language sql set search_path = '' as "
        "$$ update public.T set credits = credits - $2 where id = $1 and $2 > 0 $$",
    ),
    "a race with itself": (
        "read_then_write",
        "high",
        f"""create function f() returns void {DEFINER} as $$
            declare v_credits integer;
            begin
              select credits into v_credits from public.T where id = auth.uid();
              if v_credits < 1 then raise exception 'no credits'; end if;
              update public.T set credits = v_credits - 1 where id = auth.uid();
            end $$""",
        f"""create function f() returns void {DEFINER} as $$
            declare v_credits integer;
            begin
              select credits into v_credits from public.T where id = auth.uid() for update;
              if v_credits < 1 then raise exception 'no credits'; end if;
              update public.T set credits = v_credits - 1 where id = auth.uid();
            end $$""",
    ),
    "a race where one statement would do": (
        "read_then_write",
        "high",
        f"""create function f() returns void {DEFINER} as $$
            begin
              if (select credits from public.T where id = auth.uid()) > 0 then
                update public.T set credits = credits - 1 where id = auth.uid();
              end if;
            end $$""",
        f"""create function f() returns void {DEFINER} as $$
            begin
              if (select credits from public.T where id = auth.uid()) > 0 then
                update public.T set credits = credits - 1 where id = auth.uid() and credits >= 1;
              end if;
            end $$""",
    ),
    "names looked up for the caller": (
        "definer_without_search_path",
        "medium",
        "create function f() returns integer language sql security definer as $$ select 1 $$",
        "create function f() returns integer language sql security definer set search_path = '' as $$ select 1 $$",
    ),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_the_bad_function_is_found_and_the_good_one_is_not(
    host: psycopg.Connection[Any], diagnosis: Diagnosis, profiles: str, pair: str
) -> None:
    code, severity, bad, good = PAIRS[pair]
    host.execute("savepoint before")
    for text, expected in ((bad, {severity}), (good, set())):
        host.execute(text.replace("public.T", f"public.{profiles}").encode())
        found = [finding for finding in diagnosis() if finding["code"] == code]
        assert {finding["severity"] for finding in found} == expected, found
        assert all(finding["object"].startswith("public.f(") for finding in found)
        host.execute("rollback to savepoint before")


def test_what_it_says_to_do_mends_it(host: psycopg.Connection[Any], diagnosis: Diagnosis, profiles: str) -> None:
    bad = PAIRS["a top-up of one's own choosing"][2].replace("public.T", f"public.{profiles}")
    host.execute(bad.replace(" set search_path = ''", "").encode())
    found = {finding["code"]: finding for finding in diagnosis()}
    assert "Anybody on the internet" in found["anyone_gets_credits"]["meaning"]
    for code in ("anyone_gets_credits", "definer_without_search_path"):
        host.execute(found[code]["how_to_mend"].encode())
    assert not {"anyone_gets_credits", "definer_without_search_path"} & {finding["code"] for finding in diagnosis()}


def test_what_it_says_to_try_shows_it(host: psycopg.Connection[Any], diagnosis: Diagnosis, profiles: str) -> None:
    bad = PAIRS["a negative amount"][2].replace("public.T", f"public.{profiles}")
    host.execute(bad.encode())
    [found] = [finding for finding in diagnosis() if finding["code"] == "amount_not_checked"]
    user = "11111111-1111-4111-8111-111111111111"
    host.execute(f"insert into {profiles} (id) values ('{user}')".encode())
    told = found["how_to_try"].partition("begin; ")[2].partition(" rollback")[0]
    host.execute(told.replace("<integer>", "-1000").replace("<id of some user>", user).encode())
    assert host.execute(f"select credits from {profiles}".encode()).fetchone() == (1010,)


def test_a_function_that_only_the_service_role_may_call_hands_out_nothing(
    host: psycopg.Connection[Any], diagnosis: Diagnosis, profiles: str
) -> None:
    for text in (PAIRS["a top-up of one's own choosing"][2], PAIRS["somebody else's credits"][2].replace("f(", "g(")):
        host.execute(text.replace("public.T", f"public.{profiles}").encode())
    assert {"anyone_gets_credits", "user_id_not_checked"} <= {finding["code"] for finding in diagnosis()}
    host.execute("revoke execute on all functions in schema public from public, anon")
    host.execute("revoke execute on function f(integer), g(uuid) from authenticated")
    assert not {"anyone_gets_credits", "user_id_not_checked"} & {finding["code"] for finding in diagnosis()}
