#!/usr/bin/env bash
# What has to be true before Airflow's services start. Each step can be repeated on what is already there.
set -euo pipefail
here="$(dirname "$0")"

airflow db migrate
python "$here/login.py"
python "$here/bucket.py"
python "$here/sample.py"
