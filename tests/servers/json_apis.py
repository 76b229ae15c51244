"""A small JSON API."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    import ssl

__all__ = ["Answer", "Api", "Request", "json_api"]


@dataclass(frozen=True)
class Request:
    """What a client asked."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    method: str = "GET"
    form: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What it gets: `body` is sent as it is if bytes or str, else as JSON. Status 0 hangs up without an answer."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Route = Callable[[Request], Any]


@dataclass
class Api:
    """A running API.

    Attributes:
        url: ``http://127.0.0.1:port``.
        requests: everything asked so far, in order.
    """

    url: str
    requests: list[Request] = field(default_factory=list)


@contextmanager
def json_api(routes: Mapping[str, Any], tls: ssl.SSLContext | None = None, port: int = 0) -> Iterator[Api]:
    """Serve `routes`: by path, a JSON value, an `Answer`, or a function of the `Request` that returns one of them.

    Args:
        routes: by path.
        tls: serve https.
        port: any that is free if 0.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65_536  # head and body in one packet: in two, the client's kernel waits 40 ms between them

        def do_GET(self) -> None:
            split = urlsplit(self.path)
            form = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
            request = Request(
                split.path,
                dict(parse_qsl(split.query)),
                dict(self.headers.items()),
                self.command,
                dict(parse_qsl(form)),
            )
            api.requests.append(request)
            found = routes.get(split.path, Answer({"error": "no such path"}, status=404))
            found = found(request) if callable(found) else found
            answer = found if isinstance(found, Answer) else Answer(found)
            self.close_connection = answer.status == 0
            if answer.status == 0:
                return
            content = answer.body.encode() if isinstance(answer.body, str) else answer.body
            content = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - the name is http.server's

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
            """Keep quiet."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *given: Any) -> None:
            # A client that is gone, or does not trust us, is what some tests are about.
            if not isinstance(sys.exc_info()[1], OSError):
                super().handle_error(*given)

    server = Server(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    api = Api(f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
