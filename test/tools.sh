#!/bin/sh
# Installs the programs that the tests need beside Go, if they are missing. It needs root.
#
# - gcc for the race detector and for clients of glibc, musl-gcc for clients of musl
# - ufw and firewalld with a D-Bus daemon: the kernel tests load their rules in network
#   namespaces. Neither is started nor enabled on this machine.
set -eu

missing=""
need() { command -v "$1" >/dev/null || missing="$missing $2"; }
need gcc "gcc libc6-dev"
need musl-gcc musl-tools
need ufw ufw
need firewalld firewalld
need dbus-daemon dbus
[ -n "$missing" ] || exit 0
echo "test/tools.sh: installing$missing"

# While this file is there, packages start no service (policy-rc.d(8)).
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi
apt-get update -qq
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
case $missing in
	*firewalld*) [ ! -d /run/systemd/system ] || systemctl disable -q firewalld ;;
esac
