#!/bin/sh
# Starts PostgreSQL on the cluster in /data, which the first start makes:
# POSTGRES_USER owns POSTGRES_DB and comes in with POSTGRES_PASSWORD.
# Stop it with SIGINT: PostgreSQL ends its clients' sessions and shuts down. SIGTERM
# waits until they leave by themselves.
set -eu

for bin in /usr/lib/postgresql/*/bin; do :; done
PATH=$bin:$PATH
main=/data/main

first_start() {
	user=${POSTGRES_USER:-postgres}
	db=${POSTGRES_DB:-$user}
	: "${POSTGRES_PASSWORD:?must be set for the first start}"
	new=/data/new
	rm -rf "$new" # a first start that was cut short
	secret=$(mktemp)
	printf '%s' "$POSTGRES_PASSWORD" >"$secret"
	initdb -D "$new" -U "$user" --pwfile="$secret" --locale=C.UTF-8 --encoding=UTF8 \
		--auth-local=trust --auth-host=scram-sha-256 --no-instructions >/dev/null
	rm -f "$secret"
	echo 'host all all all scram-sha-256' >>"$new/pg_hba.conf"
	if [ "$db" != postgres ]; then
		printf 'CREATE DATABASE "%s";\n' "$db" | postgres --single -D "$new" postgres >/dev/null
	fi
	mv "$new" "$main" # all or nothing
	sync
}

[ -s "$main/PG_VERSION" ] || first_start
unset POSTGRES_PASSWORD

exec postgres -D "$main" -c listen_addresses='*' -c unix_socket_directories=/tmp \
	-c jit=off -c shared_buffers=32MB -c log_destination=stderr -c logging_collector=off "$@"
