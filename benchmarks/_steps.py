"""The steps of a spend, each on its own, in one backend without waiting for the disk."""

from __future__ import annotations

from benchmarks._figures import Run
from benchmarks._server import Server

# k is an account, v_balance some balance. The inserts take values that no spend of the benchmark takes.
STEPS = {
    "the loop itself": "null",
    "check the request": "m := credits.check_request(1, 'bench', null, '{}')",
    "make an id": "o := gen_random_uuid()",
    "charge the balance": """update credits.balances b set version = b.version + 1, balance = b.balance - 1,
      used = b.used + 1, settled_at = greatest(b.settled_at, clock_timestamp())
      where b.account_id = k and b.credit_type = 'integration' and b.due_at > clock_timestamp()
        and b.balance - b.withheld - b.reserved >= 1""",
    "charge it, and compare with the next level": """update credits.balances b set version = b.version + 1,
      balance = b.balance - 1, used = b.used + 1, settled_at = greatest(b.settled_at, clock_timestamp())
      where b.account_id = k and b.credit_type = 'integration' and b.due_at > clock_timestamp()
        and b.balance - b.withheld - b.reserved >= 1
      returning 100::numeric * b.used >= b.alert_percent::numeric * (b.used + b.balance - b.withheld - b.reserved)
        or b.balance - b.withheld - b.reserved <= b.alert_amount into v_reaches_level""",
    "spend from the grant": """update public.credit_grants g set remaining = g.remaining - 1, spent = g.spent + 1
      where g.account_id = k and g.id = (select f.id from public.credit_grants f where f.account_id = k
        and f.credit_type = 'integration' and f.is_open and f.remaining > f.held
        order by f.priority, f.expires_at, f.starts_at, f.id limit 1)""",
    "write the ledger": """insert into public.credit_transactions (account_id, credit_type, version,
      operation_id, grant_id, user_id, kind, amount, balance_after, description, metadata, created_at)
      values (k, 'bench', i + o_base, k, k, k, 'consume', -1, 1, 'bench', '{}', clock_timestamp())""",
    "write usage": """insert into public.usage (account_id, user_id, credit_type, credits_used, status,
      description, metadata, operation_id, created_at)
      values (k, k, 'bench', 1, 'allowed', 'bench', '{}', k, clock_timestamp())""",
    "build the answer": "m := credits.answer(v_balance, k, 1)",
    "consume_credits, all of it": "m := public.consume_credits(k, 'message', 1, 'bench')",
    "the floor in one statement": """with charged as (update floor.balances f set balance = f.balance - 1,
      version = f.version + 1 where f.account_id = k and f.credit_type = 'message' returning f.*)
      insert into floor.ledger (account_id, credit_type, version, operation_id, amount, balance_after, created_at)
      select c.account_id, c.credit_type, c.version, gen_random_uuid(), -1, c.balance, clock_timestamp()
      from charged c""",
}

LOOP = """
create procedure pg_temp.measure(p_times integer, p_accounts integer, inout p_microseconds float8)
language plpgsql as $$
declare
  t timestamptz;
  k uuid;
  o uuid;
  m jsonb;
  v_balance credits.balances;
  v_reaches_level boolean;
  o_base bigint := (extract(epoch from clock_timestamp()) * 1000000)::bigint;
begin
  select * into v_balance from credits.balances x where x.credit_type = 'message' limit 1;
  for i in 1 .. p_times loop
    if i = p_times / 10 then
      t := clock_timestamp();
    end if;
    k := md5((1 + floor(random() * p_accounts))::bigint::text)::uuid;
    {step};
    commit;
  end loop;
  p_microseconds := extract(epoch from clock_timestamp() - t) * 1000000 / (p_times * 0.9);
end $$
"""


def steps(server: Server, database: str, accounts: int, times: int = 3000) -> dict[str, Run]:
    """For each step, microseconds per call."""

    def run(step: str) -> float:
        with server.connect(database) as connection:
            connection.execute("set synchronous_commit = off")
            connection.execute(LOOP.format(step=step).encode())
            row = connection.execute("call pg_temp.measure(%s, %s, null)", [times, accounts]).fetchone()
        assert row is not None
        return float(row[0])

    return {name: lambda step=step: run(step) for name, step in STEPS.items()}  # type: ignore[misc]
