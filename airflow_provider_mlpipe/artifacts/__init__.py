"""Artifacts: the one thing that travels between stages.

An artifact is a folder ``{root}/{dataset}/{stage}/{partition}/`` with ``part-*.parquet`` and a ``_manifest.json`` that
lists exactly the parts that count. `ArtifactWriter` publishes one, `Artifact.open` reads one.
"""

from __future__ import annotations

from airflow_provider_mlpipe.artifacts.artifact import ONLINE, REPORT, SUITE, VERDICT, Artifact
from airflow_provider_mlpipe.artifacts.manifest import MANIFEST, Input, Manifest, Part
from airflow_provider_mlpipe.artifacts.storage import S3Options, Storage
from airflow_provider_mlpipe.artifacts.writer import ArtifactWriter, Description

__all__ = [
    "MANIFEST",
    "ONLINE",
    "REPORT",
    "SUITE",
    "VERDICT",
    "Artifact",
    "ArtifactWriter",
    "Description",
    "Input",
    "Manifest",
    "Part",
    "S3Options",
    "Storage",
]
