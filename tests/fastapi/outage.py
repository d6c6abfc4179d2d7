"""A database that can be cut off: a TCP proxy in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sonas_supabase.local import free_port
from tests.support.database import Database


class Line:
    """The line to a database. `cut` drops what is connected and refuses the rest until `mend`."""

    def __init__(self, database: Database) -> None:
        self._target = (database.server.host, database.server.port)
        self._port = free_port()
        self.url = database.url.replace(f"{database.server.host}:{database.server.port}", f"127.0.0.1:{self._port}")
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", self._port)

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        await asyncio.gather(self._pass(reader, there_writer), self._pass(there_reader, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with suppress(ConnectionError):
                while part := await reader.read(65536):
                    writer.write(part)
                    await writer.drain()
        finally:
            self._writers.discard(writer)
            writer.close()


@asynccontextmanager
async def line_to(database: Database) -> AsyncIterator[Line]:
    line = Line(database)
    await line.mend()
    try:
        yield line
    finally:
        await line.cut()
