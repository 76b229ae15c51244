"""Where artifacts lie: a local disk or an S3-compatible bucket, behind one small class.

Both are reached through pyarrow's file systems, so that data is read and written by the same code. What differs is
how one small file is replaced as a whole: a rename on disk, a single PUT in a bucket.
"""

from __future__ import annotations

import os
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from airflow_provider_mlpipe.artifacts.silence import close_silent
from airflow_provider_mlpipe.errors import ArtifactError, ConfigError, PublishError, redact

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow.fs as pafs

__all__ = ["S3Options", "Storage", "hang_up", "join"]

QUIET_SECONDS = 0.5
"""A server that has a thing to say says it sooner. If not, the client asks again: it tries three times."""
_HTTPS, _HTTP = 443, 80
_ports: set[int] = set()
"""Of the servers that were asked for."""


@dataclass(frozen=True, kw_only=True)
class S3Options:
    """How to reach a bucket. What is left empty comes from the usual AWS_* environment variables.

    `ca_file` holds the certificates, in PEM format, of the authorities to trust in place of those everybody trusts.
    """

    endpoint_url: str = ""
    region: str = ""
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    ca_file: str = ""


@dataclass(frozen=True)
class Storage:
    """One place: the file system and the way to name paths on it.

    Attributes:
        uri: the root as the user wrote it, without a trailing slash: ``/data/artifacts`` or ``s3://bucket/prefix``.
        options: how to reach S3; ignored on disk.
    """

    uri: str
    options: S3Options = field(default_factory=S3Options)

    @property
    def is_local(self) -> bool:
        """Whether the place is a local folder."""
        return not self.uri.startswith("s3://")

    @property
    def root(self) -> str:
        """The root as the file system names it."""
        return local_path(self.uri) if self.is_local else self.uri.removeprefix("s3://")

    @property
    def filesystem(self) -> pafs.FileSystem:
        """The pyarrow file system, connected once per process and set of options."""
        return _local() if self.is_local else _s3(self.options)

    def path(self, name: str = "") -> str:
        """Return the path of `name` below the root, as `filesystem` wants it."""
        return join(self.root, name)

    def below(self, name: str) -> Storage:
        """Return the place `name` below this one."""
        return Storage(join(self.uri, name), self.options)

    def read(self, name: str) -> bytes | None:
        """Return the content of a small file, or None if there is none."""
        try:
            with self.filesystem.open_input_stream(self.path(name), compression=None) as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            return None
        except OSError as error:
            raise ArtifactError(
                f"cannot read {redact(join(self.uri, name))}: {redact(str(error))}",
                hint="Check that the storage is reachable and that you may read it.",
            ) from error

    def replace(self, name: str, content: bytes) -> None:
        """Write a small file so that a reader sees the old content or the new, never a part of it."""
        with self.publishing(name):
            if not self.is_local:
                with self.filesystem.open_output_stream(self.path(name), compression=None) as stream:
                    stream.write(content)
                return
            target = Path(self.path(name))
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
            try:
                with temporary.open("wb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fsync(stream.fileno())
                temporary.replace(target)
                sync_folder(target.parent)
            finally:
                temporary.unlink(missing_ok=True)

    def create(self, name: str, content: bytes) -> bool:
        """Write a small file unless there is one; of several writers at once exactly one is told True.

        Raises:
            PublishError: the storage refused, or is a bucket that knows no conditional writes.
        """
        with self.publishing(name):
            return (
                _create_on_disk(Path(self.path(name)), content) if self.is_local else self._put_if_absent(name, content)
            )

    def client(self) -> Any:  # noqa: ANN401 - boto3 has no types
        """Return a boto3 client for what pyarrow does not know: conditional writes, listings with ETags.

        Raises:
            ImportError: boto3 is not installed.
        """
        import boto3

        options = self.options
        return boto3.client(
            "s3",
            endpoint_url=options.endpoint_url or os.environ.get("AWS_ENDPOINT_URL") or None,
            region_name=options.region or os.environ.get("AWS_REGION", "us-east-1"),
            aws_access_key_id=options.access_key or None,
            aws_secret_access_key=options.secret_key or None,
            aws_session_token=options.session_token or None,
            verify=options.ca_file or None,  # from AWS_CA_BUNDLE then
        )

    def _put_if_absent(self, name: str, content: bytes) -> bool:
        """Have the bucket decide: pyarrow knows no conditional write."""
        try:
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError as error:
            raise PublishError.failed(
                join(self.uri, name), "creating a file once on S3 needs the extra [s3]"
            ) from error

        client, (bucket, key) = self.client(), self.path(name).split("/", 1)
        try:
            client.put_object(Bucket=bucket, Key=key, Body=content, IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] in {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}:
                return False
            raise PublishError.failed(join(self.uri, name), redact(str(error))) from error
        except BotoCoreError as error:
            raise PublishError.failed(join(self.uri, name), redact(str(error))) from error
        return True

    def names(self) -> dict[str, float]:
        """Return the files directly below the root, with their modification time in seconds since the epoch."""
        import pyarrow.fs as pafs

        selector = pafs.FileSelector(self.root, allow_not_found=True)
        infos = self.filesystem.get_file_info(selector)
        return {info.base_name: info.mtime_ns / 1e9 for info in infos if info.is_file}

    def delete(self, name: str) -> None:
        """Remove a file; that it is already gone is fine."""
        try:
            self.filesystem.delete_file(self.path(name))
        except FileNotFoundError:
            return

    def make_folder(self) -> None:
        """Create the root folder on disk; buckets need none."""
        if self.is_local:
            with self.publishing(""):
                Path(self.root).mkdir(parents=True, exist_ok=True)

    @contextmanager
    def publishing(self, name: str) -> Iterator[None]:
        """Turn what the system says of a failed write into a PublishError."""
        try:
            yield
        except OSError as error:
            raise PublishError.failed(join(self.uri, name), error.strerror or str(error)) from error


def join(root: str, name: str) -> str:
    """Join with exactly one slash.

    >>> join("s3://bucket/a/", "b")
    's3://bucket/a/b'
    """
    return f"{root.rstrip('/')}/{name}" if name else (root.rstrip("/") or root)


def local_path(uri: str) -> str:
    """Return the absolute path that a plain path or a ``file://`` URI names.

    Raises:
        ConfigError: the URI has another scheme.
    """
    if "://" not in uri:
        return str(Path(uri).expanduser().absolute())
    parsed = urlparse(uri)
    if parsed.scheme != "file":
        raise ConfigError.invalid(
            where=redact(uri),
            key="artifact root",
            problem=f"storage {parsed.scheme}:// is not supported",
            hint="Use a local path, file:// or s3://.",
        )
    return unquote(parsed.path)


def _create_on_disk(target: Path, content: bytes) -> bool:
    """Give a complete file its name by a link, which fails if the name is taken."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(temporary, target)
        sync_folder(target.parent)
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@lru_cache(maxsize=1)
def _local() -> pafs.FileSystem:
    import pyarrow.fs as pafs

    return pafs.LocalFileSystem()


@lru_cache(maxsize=8)
def _s3(options: S3Options) -> pafs.FileSystem:
    import pyarrow.fs as pafs

    endpoint = options.endpoint_url or os.environ.get("AWS_ENDPOINT_URL", "")
    port = _HTTPS
    settings: dict[str, Any] = {"region": options.region or os.environ.get("AWS_REGION", "us-east-1")}
    if options.access_key:
        settings |= {"access_key": options.access_key, "secret_key": options.secret_key}
    if options.session_token:
        settings["session_token"] = options.session_token
    if endpoint:
        parsed = urlparse(endpoint)
        settings |= {"endpoint_override": parsed.netloc, "scheme": parsed.scheme}
        port = parsed.port or (_HTTP if parsed.scheme == "http" else _HTTPS)
    authorities = options.ca_file or os.environ.get("AWS_CA_BUNDLE", "")
    if authorities:
        settings["tls_ca_file_path"] = authorities
    _ports.add(port)
    return pafs.S3FileSystem(**settings)


def hang_up(*, impatient: bool = False) -> None:
    """Have requests to buckets fail that are not answered, in whatever thread they are waited for.

    Args:
        impatient: those that are answered slowly, too.
    """
    if _ports:
        close_silent(_ports, 0 if impatient else QUIET_SECONDS)
