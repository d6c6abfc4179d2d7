"""Refusing a WebSocket: it is closed with a code and a reason."""

from __future__ import annotations

from starlette.websockets import WebSocket, WebSocketState

from sonas_supabase import CreditsError
from sonas_supabase.fastapi._problems import close_messages
from sonas_supabase.fastapi._request_spends import SCOPE_KEY
from sonas_supabase.fastapi.errors import NotAuthenticated


async def refuse(websocket: WebSocket, refusal: CreditsError | NotAuthenticated) -> None:
    """Close it. One that has not been accepted is accepted first: a refused handshake tells its client nothing."""
    accepted = websocket.application_state is not WebSocketState.CONNECTING
    if not accepted and SCOPE_KEY in websocket.scope:
        websocket.scope[SCOPE_KEY].was_refused = True
    if websocket.application_state is not WebSocketState.DISCONNECTED:
        for message in close_messages(refusal, accepted=accepted):
            await websocket.send(message)
