#!/bin/sh
# Starts PostgreSQL with the database cluster in /data. The first start creates it, with
# the database POSTGRES_DB, its owner POSTGRES_USER and the password POSTGRES_PASSWORD.
# Stop it with SIGINT: PostgreSQL then ends the sessions of its clients and shuts down.
# With SIGTERM it would wait until the clients disconnect.
set -eu

for bin in /usr/lib/postgresql/*/bin; do :; done
PATH=$bin:$PATH
main=/data/main

first_start() {
	user=${POSTGRES_USER:-postgres}
	db=${POSTGRES_DB:-$user}
	: "${POSTGRES_PASSWORD:?must be set for the first start}"
	new=/data/new
	rm -rf "$new" # left by a first start that was interrupted
	secret=$(mktemp)
	printf '%s' "$POSTGRES_PASSWORD" >"$secret"
	initdb -D "$new" -U "$user" --pwfile="$secret" --locale=C.UTF-8 --encoding=UTF8 \
		--auth-local=trust --auth-host=scram-sha-256 --no-instructions >/dev/null
	rm -f "$secret"
	echo 'host all all all scram-sha-256' >>"$new/pg_hba.conf"
	if [ "$db" != postgres ]; then
		printf 'CREATE DATABASE "%s";\n' "$db" | postgres --single -D "$new" postgres >/dev/null
	fi
	mv "$new" "$main" # the rename makes the first start complete
	sync
}

[ -s "$main/PG_VERSION" ] || first_start
unset POSTGRES_PASSWORD

exec postgres -D "$main" -c listen_addresses='*' -c unix_socket_directories=/tmp \
	-c jit=off -c shared_buffers=32MB -c log_destination=stderr -c logging_collector=off "$@"
