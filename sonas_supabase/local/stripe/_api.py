"""The part of Stripe's API that selling credits calls, for the official SDK."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sonas_supabase.local.stripe import _objects
from sonas_supabase.local.stripe._forms import nested
from sonas_supabase.local.stripe._objects import Json, listed
from sonas_supabase.local.stripe._shop import Impossible, Shop
from sonas_supabase.local.stripe._store import Missing

Parameters = dict[str, Any]
Action = Callable[["Call"], Json]

_LISTS = {
    "customers": "customer",
    "products": "product",
    "prices": "price",
    "checkout/sessions": "checkout.session",
    "subscriptions": "subscription",
    "invoices": "invoice",
    "invoice_payments": "invoice_payment",
    "payment_intents": "payment_intent",
    "refunds": "refund",
    "disputes": "dispute",
    "credit_notes": "credit_note",
    "webhook_endpoints": "webhook_endpoint",
}
_TRUE = {"true": True, "false": False}


class Call:
    """One request: what it is about and what it gives."""

    def __init__(self, shop: Shop, base: str, given: Parameters, object_id: str = "") -> None:
        self.shop = shop
        self.store = shop.store
        self.base = base
        self.given = given
        self.object_id = object_id

    def text(self, name: str) -> str | None:
        """A value that may be absent."""
        value = self.given.get(name)
        return value if isinstance(value, str) and value else None

    def needed(self, name: str) -> str:
        """A value that must be there."""
        value = self.text(name)
        if value is None:
            raise Impossible(f"Missing required param: {name}.")
        return value

    def object(self, kind: str) -> Json:
        """The object that the path names."""
        return self.store.get(self.object_id, kind)


class Api:
    """The routes under /v1/, for the bearer of one secret key."""

    def __init__(self, shop: Shop, secret_key: str) -> None:
        self._shop = shop
        self._key = secret_key

    def routes(self) -> list[Route]:
        """All of them."""
        made = [Route(f"/v1/{path}", self._answer(action), methods=[method]) for method, path, action in _ACTIONS]
        for path, kind in _LISTS.items():
            made.append(Route(f"/v1/{path}", self._answer(_lister(kind)), methods=["GET"]))
            made.append(Route(f"/v1/{path}/{{id}}", self._answer(_getter(kind)), methods=["GET"]))
        return made

    def _answer(self, action: Action) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not secrets.compare_digest(bearer.encode(), self._key.encode()):
                return _error(401, "Invalid API Key provided.")
            form = (await request.body()).decode() if request.method == "POST" else request.url.query
            key = request.headers.get("idempotency-key") if request.method == "POST" else None
            asked = hashlib.sha256(f"{request.method} {request.url.path} {form}".encode()).hexdigest()
            kept = self._shop.store.answers.get(key) if key else None
            if kept:
                if kept[0] != asked:
                    return _error(400, "Keys for idempotent requests can only be used with the same parameters.",
                                  kind="idempotency_error")  # fmt: skip
                return JSONResponse(kept[2], kept[1], headers={"idempotent-replayed": "true"})
            # Where it is mounted, too: the pages are beside the API.
            base = f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}".rstrip("/")
            status, body = self._do(action, Call(self._shop, base, nested(form), request.path_params.get("id", "")))
            if key and status < 500:
                self._shop.store.answers[key] = [asked, status, body]
            self._shop.store.save()
            return JSONResponse(body, status)

        return answer

    def _do(self, action: Action, call: Call) -> tuple[int, Json]:
        try:
            return 200, _expanded(call, action(call))
        except Missing as error:
            return 404, _told(f"No such object: '{error}'", code="resource_missing")
        except _CardDeclined as error:
            return 402, _told(str(error), code="card_declined", kind="card_error")
        except Impossible as error:
            return 400, _told(str(error))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return 400, _told(f"Invalid request: {error!r}")


class _CardDeclined(Impossible):
    pass


def _told(message: str, *, code: str | None = None, kind: str = "invalid_request_error") -> Json:
    return {"error": {"type": kind, "message": f"{message} (simulated Stripe)", "code": code}}


def _error(status: int, message: str, kind: str = "invalid_request_error") -> Response:
    return JSONResponse(_told(message, kind=kind), status)


def _expanded(call: Call, body: Json) -> Json:
    """The answer with the objects whose ids it has, where `expand` asks for them."""
    body = json.loads(json.dumps(body))
    for path in call.given.get("expand") or []:
        names = str(path).split(".")
        targets = body["data"] if names[0] == "data" and body.get("object") == "list" else [body]
        name = names[1] if names[0] == "data" and len(names) > 1 else names[0]
        for target in targets:
            if name == "line_items":
                target[name] = call.store.objects.get(f"items_of_{target['id']}")
            elif name == "payments":
                target[name] = listed(call.store.all("invoice_payment", invoice=target["id"]))
            elif isinstance(target.get(name), str):
                target[name] = call.store.objects.get(target[name], target[name])
    return body


def _getter(kind: str) -> Action:
    return lambda call: call.object(kind)


def _lister(kind: str) -> Action:
    def every(call: Call) -> Json:
        wanted = {
            name: _TRUE.get(value, value)
            for name, value in call.given.items()
            if isinstance(value, str) and name not in ("limit", "starting_after", "ending_before", "type")
        }
        if kind == "invoice_payment":
            wanted.pop("payment", None)
        if wanted.get("status") == "all":
            del wanted["status"]
        found = call.store.all(kind, **wanted)
        keys = call.given.get("lookup_keys")
        if keys:
            found = [one for one in found if one["lookup_key"] in keys]
        return _page(call, found)

    return every


def _page(call: Call, found: list[Json]) -> Json:
    created = call.given.get("created")
    if isinstance(created, dict):
        found = [one for one in found if one["created"] >= int(created.get("gte", 0))]
    after = call.text("starting_after")
    if after:
        at = next((place for place, one in enumerate(found) if one["id"] == after), len(found))
        found = found[at + 1 :]
    limit = int(call.given.get("limit", 10))
    return listed(found[:limit], has_more=len(found) > limit)


def _events(call: Call) -> Json:
    types = call.given.get("types")
    return _page(call, [one for one in reversed(call.store.events) if not types or one["type"] in types])


def _event(call: Call) -> Json:
    return next((one for one in call.store.events if one["id"] == call.object_id), None) or call.store.get("evt_none")


def _new_customer(call: Call) -> Json:
    given = {name: call.given[name] for name in ("email", "name", "metadata") if name in call.given}
    return call.store.keep(_objects.customer(created=call.store.now(), **given))


def _update_customer(call: Call) -> Json:
    customer = call.object("customer")
    customer.update({name: call.given[name] for name in ("email", "name", "metadata") if name in call.given})
    call.store.tell("customer.updated", customer, {})
    return customer


def _delete_customer(call: Call) -> Json:
    customer = call.object("customer")
    for subscription in call.store.all("subscription", customer=customer["id"]):
        if subscription["status"] != "canceled":
            call.shop.cancel(subscription, at_period_end=False)
    del call.store.objects[customer["id"]]
    call.store.tell("customer.deleted", customer)
    return {"id": customer["id"], "object": "customer", "deleted": True}


def _new_product(call: Call) -> Json:
    given = {name: call.given[name] for name in ("id", "description", "metadata") if name in call.given}
    return call.store.keep(_objects.product(created=call.store.now(), name=call.needed("name"), **given))


def _update_product(call: Call) -> Json:
    product = call.object("product")
    product.update({name: call.given[name] for name in ("name", "description", "metadata") if name in call.given})
    call.store.tell("product.updated", product, {})
    return product


def _new_price(call: Call) -> Json:
    recurring = call.given.get("recurring") or {}
    key = call.text("lookup_key")
    before = [one for one in call.store.all("price") if key and one["lookup_key"] == key]
    if before and call.given.get("transfer_lookup_key") != "true":
        raise Impossible(f"A price already uses that lookup key: {key}.")
    for one in before:
        one["lookup_key"] = None
    return call.store.keep(
        _objects.price(
            created=call.store.now(),
            product=call.store.get(call.needed("product"), "product")["id"],
            currency=call.needed("currency"),
            unit_amount=int(call.needed("unit_amount")),
            interval=recurring.get("interval"),
            lookup_key=key,
            metadata=call.given.get("metadata") or {},
        )
    )


def _update_price(call: Call) -> Json:
    price = call.object("price")
    if "active" in call.given:
        price["active"] = call.given["active"] == "true"
    call.store.tell("price.updated", price, {})
    return price


def _new_session(call: Call) -> Json:
    mode, now = call.needed("mode"), call.store.now()
    customer = call.store.get(call.needed("customer"), "customer")
    items = [_session_item(call, wanted) for wanted in call.given["line_items"]]
    if any(bool(item["price"]["recurring"]) != (mode == "subscription") for item in items):
        raise Impossible(f"A price of the wrong kind for mode {mode}.")
    total = sum(item["amount_total"] for item in items)
    made = call.store.keep(
        _objects.session(
            created=now,
            mode=mode,
            amount_subtotal=total,
            amount_total=total,
            cancel_url=call.text("cancel_url"),
            client_reference_id=call.text("client_reference_id"),
            currency=items[0]["price"]["currency"],
            customer=customer["id"],
            expires_at=int(call.given.get("expires_at", now + 86400)),
            metadata=call.given.get("metadata") or {},
        )
    )
    made["url"] = f"{call.base}/pay/{made['id']}"
    made["success_url"] = (call.text("success_url") or "").replace("{CHECKOUT_SESSION_ID}", made["id"]) or None
    call.store.objects[f"items_of_{made['id']}"] = listed(items)
    return made


def _session_item(call: Call, wanted: Json) -> Json:
    quantity = int(wanted.get("quantity", 1))
    if "price" in wanted:
        price = call.store.get(wanted["price"], "price")
    else:
        data = wanted["price_data"]
        product = call.store.keep(
            _objects.product(created=call.store.now(), name=data["product_data"]["name"], active=False)
        )
        price = call.store.keep(
            _objects.price(
                created=call.store.now(), product=product["id"], currency=data["currency"], active=False,
                unit_amount=int(data["unit_amount"]), interval=(data.get("recurring") or {}).get("interval"),
            )
        )  # fmt: skip
    if not price["active"] and "price" in wanted:
        raise Impossible("The price specified is inactive.")
    name = call.store.get(price["product"])["name"]
    return {
        "id": _objects.new_id("li"), "object": "item", "price": price, "quantity": quantity, "description": name,
        "amount_total": price["unit_amount"] * quantity,
    }  # fmt: skip


def _expire_session(call: Call) -> Json:
    session = call.object("checkout.session")
    call.shop.expire(session)
    return session


def _new_portal(call: Call) -> Json:
    customer = call.store.get(call.needed("customer"), "customer")
    made = _objects.new_id("bps")
    return call.store.keep(
        _objects.portal_session(
            created=call.store.now(), customer=customer["id"], return_url=call.text("return_url"),
            url=f"{call.base}/portal/{made}", session_id=made,
        )
    )  # fmt: skip


def _portal_settings(call: Call) -> Json:
    kept = call.store.all("billing_portal.configuration")
    return _objects.listed(
        kept or [call.store.keep(_objects.portal_configuration(created=call.store.now()))],
        "/v1/billing_portal/configurations",
    )


def _update_subscription(call: Call) -> Json:
    subscription = call.object("subscription")
    ends = call.given.get("cancel_at_period_end")
    if ends == "true":
        call.shop.cancel(subscription, at_period_end=True)
    elif ends == "false" and subscription["cancel_at_period_end"]:
        call.shop.keep_on(subscription)
    if "pause_collection" in call.given:
        (call.shop.pause if call.given["pause_collection"] else call.shop.resume)(subscription)
    for item in call.given.get("items") or []:
        price = call.store.get(item["price"], "price") if "price" in item else None
        call.shop.change(subscription, price=price, quantity=int(item["quantity"]) if "quantity" in item else None)
    return subscription


def _cancel_subscription(call: Call) -> Json:
    subscription = call.object("subscription")
    call.shop.cancel(subscription, at_period_end=False)
    return subscription


def _new_invoice(call: Call) -> Json:
    customer = call.store.get(call.needed("customer"), "customer")
    return call.store.keep(
        _objects.invoice(
            created=call.store.now(), customer=customer["id"], lines=[], reason="manual",
            auto_advance=call.given.get("auto_advance") == "true", metadata=call.given.get("metadata") or {},
            currency=call.text("currency") or "usd",
        )
    )  # fmt: skip


def _new_invoice_item(call: Call) -> Json:
    invoice = call.store.get(call.needed("invoice"), "invoice")
    if invoice["status"] != "draft":
        raise Impossible("Only a draft takes items.")
    pricing = call.given.get("pricing") or {}
    wanted = {"price": pricing["price"]} if "price" in pricing else {"price_data": call.given["price_data"]}
    if "price_data" in wanted:
        wanted["price_data"].setdefault("product_data", {"name": call.text("description") or "Credits"})
    item = _session_item(call, {**wanted, "quantity": call.given.get("quantity", 1)})
    now = call.store.now()
    line = _objects.line(
        amount=item["amount_total"], price=item["price"], quantity=item["quantity"], start=now, end=now,
        currency=invoice["currency"],
    )  # fmt: skip
    invoice["lines"]["data"].append(line)
    total = sum(one["amount"] for one in invoice["lines"]["data"])
    invoice.update(dict.fromkeys(
        ("amount_due", "amount_remaining", "subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax"), total,
    ))  # fmt: skip
    return {"id": line["parent"]["invoice_item_details"]["invoice_item"], "object": "invoiceitem",
            "invoice": invoice["id"], "customer": invoice["customer"], "livemode": False}  # fmt: skip


def _finalize_invoice(call: Call) -> Json:
    invoice = call.object("invoice")
    call.shop.finalize(invoice)
    return invoice


def _pay_invoice(call: Call) -> Json:
    invoice = call.object("invoice")
    if not call.shop.pay_invoice(invoice):
        raise _CardDeclined("Your card was declined.")
    return invoice


def _void_invoice(call: Call) -> Json:
    invoice = call.object("invoice")
    call.shop.void(invoice)
    return invoice


def _invoice_lines(call: Call) -> Json:
    return _page(call, call.object("invoice")["lines"]["data"])


def _subscription_items(call: Call) -> Json:
    return _page(call, call.store.get(call.needed("subscription"), "subscription")["items"]["data"])


def _new_refund(call: Call) -> Json:
    intent = call.store.get(call.needed("payment_intent"), "payment_intent")
    amount = call.text("amount")
    return call.shop.refund(intent, int(amount) if amount else None)


def _new_endpoint(call: Call) -> Json:
    made = _objects.webhook_endpoint(
        created=call.store.now(),
        url=call.needed("url"),
        enabled_events=call.given["enabled_events"],
        api_version=call.text("api_version"),
    )
    call.store.keep(made)
    return {**made, "secret": f"whsec_{secrets.token_hex(16)}"}


def _update_endpoint(call: Call) -> Json:
    endpoint = call.object("webhook_endpoint")
    endpoint.update({name: call.given[name] for name in ("url", "enabled_events") if name in call.given})
    return endpoint


_ACTIONS: list[tuple[str, str, Action]] = [
    ("POST", "customers", _new_customer),
    ("POST", "customers/{id}", _update_customer),
    ("DELETE", "customers/{id}", _delete_customer),
    ("POST", "products", _new_product),
    ("POST", "products/{id}", _update_product),
    ("POST", "prices", _new_price),
    ("POST", "prices/{id}", _update_price),
    ("POST", "checkout/sessions", _new_session),
    ("POST", "checkout/sessions/{id}/expire", _expire_session),
    ("POST", "billing_portal/sessions", _new_portal),
    ("GET", "billing_portal/configurations", _portal_settings),
    ("POST", "subscriptions/{id}", _update_subscription),
    ("DELETE", "subscriptions/{id}", _cancel_subscription),
    ("POST", "invoices", _new_invoice),
    ("POST", "invoiceitems", _new_invoice_item),
    ("POST", "invoices/{id}/finalize", _finalize_invoice),
    ("POST", "invoices/{id}/pay", _pay_invoice),
    ("POST", "invoices/{id}/void", _void_invoice),
    ("GET", "invoices/{id}/lines", _invoice_lines),
    ("GET", "subscription_items", _subscription_items),
    ("POST", "refunds", _new_refund),
    ("GET", "events", _events),
    ("GET", "events/{id}", _event),
    ("POST", "webhook_endpoints", _new_endpoint),
    ("POST", "webhook_endpoints/{id}", _update_endpoint),
]
