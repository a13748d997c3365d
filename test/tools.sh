#!/bin/sh
# Installs the compilers that the tests need beside Go, if they are missing: gcc for the race
# detector and for clients of glibc, musl-gcc for clients of musl. It needs root.
set -eu

missing=""
command -v gcc >/dev/null || missing="$missing gcc libc6-dev"
command -v musl-gcc >/dev/null || missing="$missing musl-tools"
[ -n "$missing" ] || exit 0
echo "test/tools.sh: installing$missing"
apt-get update -qq
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
