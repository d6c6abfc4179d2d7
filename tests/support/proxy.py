"""A TCP proxy that can lose an answer after the server has done its work."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Proxy:
    """Forwards bytes to one address. `lose_answers` is how many of the next answers never arrive.

    While it is `silent`, nothing comes back any more, and nobody is told.
    """

    def __init__(self, host: str, port: int, own_port: int = 0) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", own_port))
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self.port = self._listener.getsockname()[1]
        self.lose_answers = 0
        self.lost = 0
        self.silent = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        # A thread in accept() keeps the port open until it is woken.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Break every connection."""
        with self._lock:
            broken, self._open = self._open, []
        for each in broken:
            break_connection(each)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
            except OSError:
                return
            with self._lock:
                self._open += [client, server]
            threading.Thread(target=self._requests, args=(client, server), daemon=True).start()
            threading.Thread(target=self._answers, args=(client, server), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                server.sendall(data)
        break_connection(server)

    def _answers(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                with self._lock:
                    losing = self.lose_answers > 0
                    if losing:
                        self.lose_answers -= 1
                        self.lost += 1
                if losing:
                    break
                if self.silent:
                    continue
                client.sendall(data)
        break_connection(client)
        break_connection(server)


def break_connection(connection: socket.socket) -> None:
    """End it in both directions at once."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


@contextmanager
def proxy_to(host: str, target: int, *, port: int = 0) -> Iterator[Proxy]:
    proxy = Proxy(host, target, port)
    try:
        yield proxy
    finally:
        proxy.close()
