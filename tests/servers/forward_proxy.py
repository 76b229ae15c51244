"""A forward proxy in a process of its own: plain requests are passed on, CONNECT opens a tunnel.

Usage: ``python forward_proxy.py PORT [LOGIN:PASSWORD]``. What it is asked goes to its output, a line each: method and
target. Who lacks the login gets 407; the host ``forbidden.invalid`` gets 403, and any other that cannot be reached 502.
"""

from __future__ import annotations

import asyncio
import base64
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["ForwardProxy", "forward_proxy"]


@dataclass(frozen=True)
class ForwardProxy:
    """A running proxy: its address without a login, and the file of what it was asked."""

    url: str
    output: Path

    @property
    def asked(self) -> list[str]:
        """Method and target of every request so far."""
        return self.output.read_text().splitlines()


@contextmanager
def forward_proxy(folder: Path, login: str = "") -> Iterator[ForwardProxy]:
    """Run a proxy until the block is left; its output goes into `folder`."""
    from tests.servers.processes import answers, free_ports, process

    (port,) = free_ports()
    output = folder / f"proxy-{port}.log"
    command = [sys.executable, __file__, str(port), *([login] if login else [])]
    with process(command, lambda: answers(port), output=output):
        yield ForwardProxy(f"http://127.0.0.1:{port}", output)


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
    except OSError:  # one side is gone
        pass
    finally:
        target.close()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, login: str) -> None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:  # somebody looked whether we are up
        writer.close()
        return
    first, *lines = head.decode().rstrip().split("\r\n")
    method, target, _ = first.split(" ")
    print(method, target, flush=True)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if login and headers.get("proxy-authorization") != "Basic " + base64.b64encode(login.encode()).decode():
        await _answer(writer, "407 Proxy Authentication Required")
        return
    split = urlsplit(target if "://" in target else f"//{target}")
    if split.hostname == "forbidden.invalid":
        await _answer(writer, "403 Forbidden")
        return
    try:
        there, onwards = await asyncio.open_connection(split.hostname, split.port or 80)
    except OSError:
        await _answer(writer, "502 Bad Gateway")
        return
    if method == "CONNECT":
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    else:
        path = split.path + (f"?{split.query}" if split.query else "")
        kept = [line for line in lines if not line.lower().startswith(("proxy-", "connection"))]
        onwards.write("\r\n".join([f"{method} {path or '/'} HTTP/1.1", *kept, "Connection: close", "", ""]).encode())
    await asyncio.gather(_pump(reader, onwards), _pump(there, writer))


async def _answer(writer: asyncio.StreamWriter, status: str) -> None:
    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
    await writer.drain()
    writer.close()


async def _main(port: int, login: str) -> None:
    server = await asyncio.start_server(lambda reader, writer: _serve(reader, writer, login), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""))
