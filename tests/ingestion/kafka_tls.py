"""TLS before the Kafka broker of the tests, which speaks none: a proxy that also rewrites the address it gives out."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

__all__ = ["tls_before"]


@contextmanager
def tls_before(address: str, context: ssl.SSLContext) -> Iterator[str]:
    """Take connections with TLS and pass them on to the broker at `address`; yield the address to use instead.

    The broker says in its answers where it is: host, then port in four bytes. The clients have to come back here.
    """
    host, _, port = address.partition(":")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        own = listening.getsockname()[1]
        theirs, ours = (host.encode() + struct.pack(">i", number) for number in (int(port), own))
        open_sockets: list[socket.socket] = []

        def pump(source: socket.socket, sink: socket.socket, swap: bool) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(65_536):
                    # Answers about addresses are short: none is cut in two.
                    sink.sendall(data.replace(theirs, ours) if swap else data)
            for end in (source, sink):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

        def serve(raw: socket.socket) -> None:
            with contextlib.suppress(OSError):
                client = context.wrap_socket(raw, server_side=True)
                broker = socket.create_connection((host, int(port)))
                open_sockets.extend((client, broker))
                back = threading.Thread(target=pump, args=(broker, client, True), daemon=True)
                back.start()
                pump(client, broker, False)
                back.join()

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    raw, _ = listening.accept()
                    open_sockets.append(raw)
                    threading.Thread(target=serve, args=(raw,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{own}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            for one in open_sockets:
                one.close()
