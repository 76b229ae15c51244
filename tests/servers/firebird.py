"""Firebird: a database that is none of those that have a reader of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers.processes import PASSWORD, answers, free_ports, process

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["firebird"]


@contextmanager
def firebird() -> Iterator[str]:
    """Start Firebird and yield ``sysdba:password@127.0.0.1:port//path`` of an empty database."""
    program, shell = shutil.which("firebird", path=f"{os.environ.get('PATH', '')}:/usr/sbin"), shutil.which("isql-fb")
    installed = sorted(Path("/usr/lib").glob("*/firebird/*/plugins"))
    if not (program and shell and installed):
        pytest.skip("no Firebird server: apt-get install firebird3.0-server")
    folder = Path(tempfile.mkdtemp(prefix="mlpipe-firebird-"))
    [port] = free_ports()
    try:
        for name in ("plugins", "intl", "firebird.msg"):
            (folder / name).symlink_to(installed[-1].with_name(name))
        shutil.copy(installed[-1].with_name("plugins.conf"), folder)
        (folder / "databases.conf").touch()
        settings = {
            "RemoteServicePort": port, "RemoteBindAddress": "127.0.0.1", "SecurityDatabase": folder / "users.fdb",
            "AuthServer": "Srp", "UserManager": "Srp", "WireCrypt": "Enabled",
        }  # fmt: skip
        (folder / "firebird.conf").write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
        environment = {**os.environ, "FIREBIRD": str(folder), "FIREBIRD_LOCK": str(folder), "FIREBIRD_TMP": str(folder)}
        script = f"""CREATE DATABASE '{folder}/users.fdb';
            CREATE USER sysdba PASSWORD '{PASSWORD[:8]}'; COMMIT;
            CREATE DATABASE '{folder}/shop.fdb' DEFAULT CHARACTER SET utf8; QUIT;"""
        subprocess.run([shell, "-user", "sysdba"], input=script, text=True, env=environment, check=True,
                       capture_output=True)  # fmt: skip
        with process([program], lambda: answers(port), env=environment, cwd=folder):
            yield f"sysdba:{PASSWORD[:8]}@127.0.0.1:{port}/{folder}/shop.fdb"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
