#!/bin/sh
# Starts PostgreSQL; the first time it makes the database `likeness`, whose owner
# has the password in PGPASSWORD and no other right.
set -eu
: "${PGPASSWORD:?set LIKENESS_POSTGRES_PASSWORD, the password with which the replicas connect}"
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
DATA=/var/lib/postgresql/data
if [ ! -s "$DATA/PG_VERSION" ]; then
    initdb -D "$DATA" -U postgres --auth-local=peer --auth-host=scram-sha-256 --encoding=UTF8 --locale=C --data-checksums
    echo "host likeness likeness all scram-sha-256" >> "$DATA/pg_hba.conf"
    quoted=$(printf '%s' "$PGPASSWORD" | sed "s/'/''/g")
    postgres --single -D "$DATA" postgres <<SQL
CREATE ROLE likeness LOGIN PASSWORD '$quoted'
CREATE DATABASE likeness OWNER likeness
SQL
fi
exec postgres -D "$DATA" -c listen_addresses='*' -c unix_socket_directories=/tmp
