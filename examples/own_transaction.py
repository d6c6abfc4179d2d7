"""A spend in the caller's own transaction: the order and its price are stored together, or neither is."""

from __future__ import annotations

import os
import sys

import psycopg

from sonas_supabase import CreditsClient


def main(user_id: str) -> None:
    """Place one order that succeeds and one that fails half-way."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        connection.execute("create temporary table orders (item text)")
        connection.commit()
        credits = CreditsClient.from_connection(connection)

        with connection.transaction():
            connection.execute("insert into orders values ('report')")
            credits.consume_credits(user_id, "integration", 2, description="report")

        try:
            with connection.transaction():
                credits.consume_credits(user_id, "integration", 2, description="audit")
                raise RuntimeError("the audit failed after it was charged")
        except RuntimeError as error:
            print(f"rolled back: {error}")

        orders = connection.execute("select count(*) from orders").fetchone()
        left = credits.check_credits(user_id, "integration").remaining
        print(f"orders: {orders[0] if orders else 0}, integration credits left: {left}")


if __name__ == "__main__":
    main(sys.argv[1])
