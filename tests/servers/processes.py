"""Starting a process, waiting until it answers, and stopping exactly that one."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["PASSWORD", "answers", "free_ports", "home_of", "process", "until"]

START_SECONDS = 600
STOP_SECONDS = 20
PASSWORD = "s3cr3t-of-the-server"  # tests look for it where it must not be


def free_ports(count: int = 1) -> list[int]:
    """Return ports that were free a moment ago, all different, below those that weed derives by adding 10000."""
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            probe = held.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
            if port < 55_000:
                found.append(port)
    return found


def until(condition: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Poll until `condition` holds; fail with `what` if it never does."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {seconds:.0f} s")
        pause.wait(0.02)


def answers(port: int) -> bool:
    """Return whether something listens on `port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def process(
    command: list[str],
    ready: Callable[[], bool],
    *,
    stop: signal.Signals = signal.SIGTERM,
    patience: float = STOP_SECONDS,
    output: Path | None = None,
    **options: Any,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` until the block is left; its output goes to the failure message if it does not come up.

    Args:
        command: program and arguments.
        ready: whether it is up.
        stop: the signal that ends it.
        patience: seconds until it is killed, with its whole session if it has one of its own.
        output: the file that keeps its output; a temporary one if absent.
        options: of `subprocess.Popen`.
    """
    with tempfile.TemporaryFile() if output is None else output.open("w+b") as log:
        running = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, **options)
        try:
            until(lambda: running.poll() is not None or ready(), command[0])
            if running.poll() is not None:
                log.seek(0)
                pytest.fail(f"{command[0]} ended with {running.returncode}:\n{log.read().decode()[-2000:]}")
            yield running
        finally:
            if running.poll() is None:
                running.send_signal(stop)
            try:
                running.wait(patience)
            except subprocess.TimeoutExpired:
                if options.get("start_new_session"):
                    os.killpg(running.pid, signal.SIGKILL)
                running.kill()
                running.wait()


@contextmanager
def home_of(name: str, account: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Make a folder for a server that refuses to run as root; remove it when the block is left.

    Yields:
        The folder, and what `subprocess` needs to run as `account`: nothing unless we are root.
    """
    as_user = {"user": account, "group": account, "extra_groups": []} if os.getuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix=f"mlpipe-{name}-"))
    try:
        if as_user:
            shutil.chown(folder, account, account)
        yield folder, as_user
    finally:
        shutil.rmtree(folder, ignore_errors=True)
