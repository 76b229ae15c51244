"""Creates the bucket of the artifact root, by the connection that the operators use."""

# ruff: noqa: INP001 - a script beside init.sh, not a package
from __future__ import annotations

import json
import logging
import os
from urllib.parse import urlsplit

import boto3

logging.basicConfig(level=logging.INFO, format="%(message)s")
logger = logging.getLogger("bucket")

bucket = urlsplit(os.environ["AIRFLOW__MLPIPE__ARTIFACT_ROOT"]).netloc
connection = json.loads(os.environ["AIRFLOW_CONN_MLPIPE_ARTIFACTS"])
client = boto3.client(
    "s3",
    endpoint_url=connection["extra"]["endpoint_url"],
    region_name=connection["extra"]["region_name"],
    aws_access_key_id=connection["login"],
    aws_secret_access_key=connection["password"],
)
if bucket in {found["Name"] for found in client.list_buckets()["Buckets"]}:
    logger.info("bucket %s is there", bucket)
else:
    client.create_bucket(Bucket=bucket)
    logger.info("bucket %s created", bucket)
