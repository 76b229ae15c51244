#!/usr/bin/env bash
# Makes one database and one role per user of the server. The image runs it once, on an empty data folder.
set -euo pipefail

database() { # name password
  psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=name="$1" --set=password="$2" \
    --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
SQL
}

database airflow "$AIRFLOW_DB_PASSWORD"
database tracker "$TRACKER_DB_PASSWORD"
database feast "$FEAST_DB_PASSWORD"
