"""Which Spark to use, and what it may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_mlpipe.artifacts import S3Options

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SparkSettings"]


@dataclass(frozen=True, kw_only=True)
class SparkSettings:
    """Which Spark to use, and what it may take.

    A Spark session that the process already has (a notebook, Databricks, EMR, `spark-submit`) is used whatever `master`
    says: a process cannot have two. All that is set is set for our own part of it, and it is left running.

    Attributes:
        master: Spark's address: ``local[2]``, ``spark://host:7077``, ``yarn`` ... Empty: what `spark-submit` said, else
            all cores of this machine.
        app_name: the name that Spark's pages show.
        memory: what the driver's JVM may hold, in Java's notation; on a local master that is all of Spark. It has no
            effect on a JVM that runs already.
        conf: further Spark settings, ``{"spark.executor.memory": "4g"}``.
        scratch: where results pass through on their way out of Spark, as files: a folder or ``s3://`` prefix that the
            driver and all executors reach. Empty: a temporary folder, which will do on a local master only.
        s3: how this process reaches `scratch` if it is a bucket; Spark has its own ``spark.hadoop.fs.s3a.*``.
        temp_directory: where temporary folders are made; the system's place if None.
    """

    name: ClassVar[str] = "spark"

    master: str = ""
    app_name: str = "mlpipe"
    memory: str = "1g"
    conf: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    scratch: str = ""
    s3: S3Options = field(default_factory=S3Options, repr=False)
    temp_directory: str | None = None
