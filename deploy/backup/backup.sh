#!/bin/sh
# Writes one database of PostgreSQL into a file, as it was at one moment, while it is in use.
#   backup.sh DATABASE FILE     where and as whom: PGHOST, PGPORT, PGUSER, PGPASSWORD or a password file
# A file that is there is whole: it takes its name only after it could be read again. It holds all that the database
# holds: keep it as you keep the database.
set -eu
database=$1 file=$2
umask 077

pg_dump --format=custom --no-owner --no-privileges --file "$file.part" "$database"
pg_restore --file /dev/null "$file.part"
mv "$file.part" "$file"
