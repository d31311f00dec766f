#!/bin/sh
# Creates or upgrades both databases of Temporal. Runs before every start of the server; changes nothing when current.
set -eu

for database in temporal temporal_visibility; do
  case "$database" in
    temporal) schema=temporal ;;
    *) schema=visibility ;;
  esac
  sql="temporal-sql-tool --plugin postgres12 --endpoint $SQL_HOST --port 5432 --user $SQL_USER --database $database"
  $sql create
  $sql setup-schema --version 0.0 2>/dev/null || echo "$database: schema exists, upgrading"
  $sql update-schema --schema-dir "/etc/temporal/schema/postgresql/v12/$schema/versioned"
done
