"""The pages that stand for Stripe's checkout and portal. Each says what it is: nothing is paid here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from html import escape
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from sonas_supabase.local.stripe._objects import Json
from sonas_supabase.local.stripe._shop import Impossible, Shop
from sonas_supabase.local.stripe._store import Missing
from sonas_supabase.money import show_amount

Handler = Callable[[Request], Awaitable[Response]]

_STYLE = """
:root { color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.5; }
body { margin: 0; }
.mark { background: #ffd54a; color: #1b1500; padding: .75rem 1rem; font-weight: 600; text-align: center; }
main { max-width: 40rem; margin: 0 auto; padding: 1rem; }
section { border: 1px solid #8886; border-radius: .5rem; padding: .25rem 1rem 1rem; margin: 1rem 0; }
form { display: inline-block; margin: .25rem .5rem .25rem 0; }
button { font: inherit; padding: .5rem .9rem; min-height: 2.75rem; }
.problem { border-left: .3rem solid #c62828; padding-left: .75rem; }
table { width: 100%; border-collapse: collapse; } td { padding: .25rem 0; } td:last-child { text-align: right; }
"""
_MARK = "Simulated checkout of the local stack. No card is charged, no money moves."


class Pages:
    """The pages, on what happens at the simulated Stripe."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._store = shop.store

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/pay/{id}", self._told(self._checkout), methods=["GET"]),
            Route("/pay/{id}", self._told(self._pay), methods=["POST"]),
            Route("/portal/{id}", self._told(self._portal), methods=["GET"]),
            Route("/portal/{id}", self._told(self._act), methods=["POST"]),
        ]

    def _told(self, handler: Handler) -> Handler:
        async def answer(request: Request) -> Response:
            if request.method == "POST" and not _own(request):
                return _page("Refused", "<p>This form belongs to another page.</p>", status=403)
            try:
                return await handler(request)
            except Missing:
                return _page("Not found", "<p>There is no such page.</p>", status=404)
            except Impossible as error:
                return _page("That cannot be done", f'<p class="problem">{escape(str(error))}</p>', status=409)
            finally:
                self._store.save()

        return answer

    # Checkout

    async def _checkout(self, request: Request, problem: str = "") -> Response:
        session = self._store.get(request.path_params["id"], "checkout.session")
        items = self._store.objects[f"items_of_{session['id']}"]["data"]
        rows = "".join(
            f"<tr><td>{escape(item['description'])}{_times(item['quantity'])}</td><td>{_amount(item)}</td></tr>"
            for item in items
        )
        every = items[0]["price"]["recurring"]
        total = _money(session["amount_total"], session["currency"]) + (f" every {every['interval']}" if every else "")
        body = f"<table>{rows}</table><p>To pay: <strong>{total}</strong></p>"
        if problem:
            body += f'<p class="problem" role="alert">{escape(problem)}</p>'
        if session["status"] != "open":
            later = session["payment_status"] == "unpaid" and session["status"] == "complete"
            body += f"<p>This session is {escape(session['status'])}.</p>" + _back(session)
            if later:
                body += _form("arrives", "The money arrives") + _form("fails", "The debit fails")
            return _page("Checkout", body)
        body += _form("card", f"Pay {total} with a card that works") + _form(
            "declined", "Pay with a card that is declined"
        )
        if session["mode"] == "payment":
            body += _form("debit", "Pay by debit, the money comes later")
        if session["cancel_url"]:
            body += f'<p><a href="{escape(session["cancel_url"], quote=True)}">Back without paying</a></p>'
        return _page("Checkout", body)

    async def _pay(self, request: Request) -> Response:
        session = self._store.get(request.path_params["id"], "checkout.session")
        how = await _choice(request)
        if how in ("arrives", "fails"):
            self._shop.money_arrives(session, fails=how == "fails")
            return await self._checkout(request)
        self._shop.pay(session, how if how in ("declined", "debit") else "card")
        if how == "declined":
            return await self._checkout(request, "Your card was declined. Nothing was paid.")
        if session["success_url"]:
            return RedirectResponse(session["success_url"], status_code=303)
        return await self._checkout(request)

    # Portal

    async def _portal(self, request: Request) -> Response:
        portal = self._store.get(request.path_params["id"], "billing_portal.session")
        customer = self._store.get(portal["customer"], "customer")
        body = f"<p>{escape(customer['email'] or customer['name'] or customer['id'])}</p>"
        subscriptions = self._store.all("subscription", customer=customer["id"])
        body += "".join(self._subscription(one) for one in subscriptions) or "<p>No subscription.</p>"
        card = customer["invoice_settings"]["default_payment_method"]
        declines = card and self._store.get(card)["metadata"].get("declines")
        kind = "none" if not card else "one that is declined" if declines else "one that works"
        body += (
            f"<section><h2>Card</h2><p>On file: {kind}.</p>"
            + _form("card:works", "Change to a card that works")
            + _form("card:declines", "Change to a card that is declined")
            + "</section>"
        )
        paid = self._store.all("payment_intent", customer=customer["id"], status="succeeded")
        debits = self._store.all(
            "checkout.session", customer=customer["id"], status="complete", payment_status="unpaid"
        )
        payments = "".join([*map(_debit, debits), *map(self._payment, paid)])
        body += "<section><h2>Payments</h2>" + (payments or "<p>None.</p>") + "</section>"
        if portal["return_url"]:
            body += f'<p><a href="{escape(portal["return_url"], quote=True)}">Back to the shop</a></p>'
        return _page("Your subscription and payments", body)

    def _subscription(self, subscription: Json) -> str:
        item = subscription["items"]["data"][0]
        name = escape(self._store.get(item["price"]["product"])["name"])
        ends = _date(item["current_period_end"])
        state = f"{subscription['status']}, period until {ends}"
        if subscription["cancel_at_period_end"]:
            state = f"ends on {ends}"
        if subscription["pause_collection"]:
            state += ", collection paused"
        made = f"<section><h2>{name}{_times(item['quantity'])}</h2><p>{escape(state)}</p>"
        if subscription["status"] in ("active", "past_due", "trialing"):
            at = subscription["id"]
            made += (
                _form(f"keep:{at}", "Do not cancel")
                if subscription["cancel_at_period_end"]
                else _form(f"end:{at}", "Cancel at the period's end")
            )
            made += _form(f"cancel:{at}", "Cancel now") + _form(f"renew:{at}", "Renew now")
            made += (
                _form(f"resume:{at}", "Resume collection")
                if subscription["pause_collection"]
                else _form(f"pause:{at}", "Pause collection")
            )
            for price in self._store.all("price", active=True):
                if price["recurring"] and price["id"] != item["price"]["id"]:
                    to = escape(self._store.get(price["product"])["name"])
                    cost = f"{_money(price['unit_amount'], price['currency'])} / {price['recurring']['interval']}"
                    made += _form(f"to {price['id']}:{at}", f"Change to {to}, {cost}")
        return made + "</section>"

    def _payment(self, intent: Json) -> str:
        at = intent["id"]
        refunds = self._store.all("refund", payment_intent=at)
        disputes = self._store.all("dispute", payment_intent=at)
        back = sum(one["amount"] for one in refunds if one["status"] == "succeeded")
        made = f"<p>{_date(intent['created'])}: {_money(intent['amount'], intent['currency'])}"
        made += f", {_money(back, intent['currency'])} paid back</p>" if back else "</p>"
        if back < intent["amount"]:
            made += _form(f"refund:{at}", "Refund") + _form(f"half:{at}", "Refund half of it")
        made += "".join(
            _form(f"unrefund:{one['id']}", "The refund fails") for one in refunds if one["status"] == "succeeded"
        )
        for one in disputes:
            made += f"<p>Dispute: {escape(one['status'])}</p>"
            if one["status"] == "needs_response":
                made += _form(f"won:{one['id']}", "The dispute is won") + _form(f"lost:{one['id']}", "It is lost")
        return made if disputes else made + _form(f"dispute:{at}", "Dispute")

    async def _act(self, request: Request) -> Response:
        portal = self._store.get(request.path_params["id"], "billing_portal.session")
        what, _, of = (await _choice(request)).partition(":")
        if what == "card":
            self._shop.change_card(self._store.get(portal["customer"], "customer"), declines=of == "declines")
        else:
            found = self._own_object(of, portal["customer"])
            await self._moment_of_its_own(found)
            self._do(what, found)
        return RedirectResponse(str(request.url), status_code=303)

    async def _moment_of_its_own(self, of: Json) -> None:
        """Events have whole seconds: of two within one, nobody could say which was the later click."""
        about = [told for told in self._store.events if told["data"]["object"]["id"] == of["id"]]
        last = max((told["created"] for told in about), default=0)
        await asyncio.sleep(max(last + 1 - self._store.moment(), 0))

    def _own_object(self, object_id: str, customer: str) -> Json:
        found = self._store.get(object_id)
        intent = self._store.get(found["payment_intent"]) if found["object"] == "dispute" else found
        if intent.get("customer") != customer:
            raise Missing(object_id)
        return found

    def _do(self, what: str, of: Json) -> None:
        shop = self._shop
        if what.startswith("to "):
            shop.change(of, price=self._store.get(what.removeprefix("to "), "price"))
            return
        actions: dict[str, Callable[[], object]] = {
            "keep": lambda: shop.keep_on(of),
            "end": lambda: shop.cancel(of, at_period_end=True),
            "cancel": lambda: shop.cancel(of, at_period_end=False),
            "renew": lambda: shop.renew(of),
            "pause": lambda: shop.pause(of),
            "resume": lambda: shop.resume(of),
            "refund": lambda: shop.refund(of),
            "half": lambda: shop.refund(of, of["amount"] // 2),
            "unrefund": lambda: shop.fail_refund(of),
            "dispute": lambda: shop.dispute(of),
            "won": lambda: shop.close_dispute(of, won=True),
            "lost": lambda: shop.close_dispute(of, won=False),
        }
        if what not in actions:
            raise Impossible("There is no such button.")
        actions[what]()


async def _choice(request: Request) -> str:
    return parse_qs((await request.body()).decode()).get("do", [""])[0]


def _own(request: Request) -> bool:
    """A browser says which page a form was on; another site's page may not buy here."""
    origin = request.headers.get("origin")
    return origin in (None, f"{request.url.scheme}://{request.url.netloc}")


def _form(do: str, label: str) -> str:
    return f'<form method="post"><button name="do" value="{escape(do, quote=True)}">{escape(label)}</button></form>'


def _back(session: Json) -> str:
    to = session["success_url"] if session["status"] == "complete" else session["cancel_url"]
    return f'<p><a href="{escape(to, quote=True)}">Back to the shop</a></p>' if to else ""


def _page(title: str, body: str, status: int = 200) -> Response:
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} (simulated)</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<style>{_STYLE}</style></head><body><p class="mark" role="note">{_MARK}</p>'
        f"<main><h1>{escape(title)}</h1>{body}</main></body></html>",
        status,
        headers={
            "cache-control": "no-store",
            "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
            "referrer-policy": "same-origin",
            "x-content-type-options": "nosniff",
        },
    )


def _amount(item: Json) -> str:
    return _money(item["amount_total"], item["price"]["currency"])


def _money(cents: int, currency: str) -> str:
    return escape(show_amount(cents, currency.upper()))


def _debit(session: Json) -> str:
    """A debit on its way, with the page on which its money arrives or not."""
    amount = _money(session["amount_total"], session["currency"])
    return f'<p>A debit of {amount} is on its way: <a href="../pay/{session["id"]}">does its money arrive?</a></p>'


def _times(quantity: int) -> str:
    return f" × {quantity}" if quantity != 1 else ""  # noqa: RUF001


def _date(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
