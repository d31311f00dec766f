#!/bin/sh
# Makes a database of PostgreSQL from a file of backup.sh: all of it, or nothing.
#   restore.sh DATABASE FILE    where and as whom: PGHOST, PGPORT, PGUSER, PGPASSWORD or a password file
# The database must not be there: what is in use is never written over. Restore beside it, check, then change the name.
set -eu
database=$1 file=$2

pg_restore --file /dev/null "$file"
createdb "$database"
if ! pg_restore --dbname "$database" --no-owner --no-privileges --exit-on-error --single-transaction "$file"; then
  dropdb "$database"
  exit 1
fi
