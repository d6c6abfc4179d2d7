"""What `consume_credits` costs, measured against the least that any ledger must do.

`python -m benchmarks` starts a Postgres of its own with fsync on (`_server`), fills it (`sql/`), and lets pgbench
(`_pgbench`) or HTTP clients (`_http`) run both sides in turns (`_sections`). What it prints are medians, and the median
of the ratios of each turn (`_figures`): what slows the machine down for a while slows both sides.
"""
