-- A metered table of the host project has a meter, and each of its rows that was charged has a
-- charge. The charge belongs to the row by meter, owner and key: none of them is a name, so tables
-- and columns may be renamed and moved. Which columns the owner and the key are is kept by two
-- triggers that never fire, since Postgres follows columns in a trigger's list through renames,
-- into partitions, and through dump and restore.

create table credits.meters (
  id uuid not null default gen_random_uuid(),
  table_id regclass not null,
  table_name text not null,
  credit_type text not null,
  gives_back boolean not null default true,
  created_at timestamptz not null default now(),
  constraint meters_pkey primary key (id),
  constraint meters_table_id_key unique (table_id)
);
comment on table credits.meters is
  'The tables of the host project whose rows cost credits. Few rows, about no account.';
comment on column credits.meters.table_id is
  'The table. A name in a dump; of no table once it was dropped, which gives back what its rows '
  'were charged.';
comment on column credits.meters.table_name is
  'What it was called when it was metered last: the description of its charges.';
comment on column credits.meters.gives_back is
  'Whether deleting a row gives back its charge; false for what is used up by being created.';
alter table credits.meters enable row level security;
revoke all on table credits.meters from public, anon, authenticated, service_role;

create table credits.metered_rows (
  account_id uuid not null,
  meter_id uuid not null,
  row_key text not null,
  operation_id uuid not null,
  amount bigint not null,
  deleted_at timestamptz,
  constraint metered_rows_pkey primary key (account_id, meter_id, row_key, operation_id),
  constraint metered_rows_amount_is_positive check (amount > 0)
);
create index metered_rows_meter_id_idx on credits.metered_rows (meter_id);
create index metered_rows_deleted_at_idx on credits.metered_rows (account_id)
  where deleted_at is not null;
comment on table credits.metered_rows is
  'Which operation paid how much for which row of a metered table, so that its deletion gives '
  'exactly that back.';
comment on column credits.metered_rows.row_key is
  'The values of the row''s key as a JSON array, the same in every session; its SHA-256 when it '
  'is long.';
comment on column credits.metered_rows.operation_id is
  'The spend; one for all rows of a statement that an owner pays for.';
comment on column credits.metered_rows.deleted_at is
  'When the row was deleted, if the charge could not be given back at that moment: it is given '
  'back at the next opportunity.';
alter table credits.metered_rows enable row level security;
revoke all on table credits.metered_rows from public, anon, authenticated, service_role;

create type credits.metered_change as (
  old_owner uuid,
  old_key text,
  old_amount bigint,
  new_owner uuid,
  new_key text,
  new_amount bigint
);
comment on type credits.metered_change is
  'What a statement did to one row of a metered table. The old part is null for a new row, the '
  'new part for a deleted one.';
