#!/bin/sh
# Installs Tombolo on one machine that has systemd. Run it once for each role of the
# machine. Run it again to change the flags of a role or to upgrade the binary.
#
#   install.sh linker    [--host NAME] [--underlay ADDRESS] [--join ADDRESS]...
#   install.sh framework --master URL[,URL...]
#   install.sh daemon
#   install.sh mesos-master PACKAGE.deb
#   install.sh mesos-agent  PACKAGE.deb --master ADDRESS:PORT
#
# linker: for every agent and for the framework's machine. On the framework's machine
# install it first, because the framework uses the linker of its machine.
#
# framework: for one machine. It launches apps on the Mesos masters that --master names.
#
# daemon: for one machine without a cluster. tombolo up starts the same daemon by itself;
# this role starts it at boot and before Docker. Otherwise Docker would wait, for each
# container that it starts at boot, for a network driver that is not there yet.
#
# mesos-master, mesos-agent: install a Mesos or Clusterd package that you bring. If your
# cluster runs Mesos already, you need only linker and framework.
#
# The flags of a role are written to /etc/tombolo/tombolo-ROLE.env (for the two mesos
# roles: /etc/tombolo/ROLE.env). If you give no flags, the role keeps the flags of the
# last time. Other lines of the file always stay. The binary is $TOMBOLO_BINARY, or
# bin/tombolo beside this folder if the variable is not set.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
binary=${TOMBOLO_BINARY:-$here/../bin/tombolo}

die() { printf 'install: %s\n' "$*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || die "this script must run as root (try sudo)"
[ -d /run/systemd/system ] || die "systemd does not run on this machine; start 'tombolo linker' with your init system instead"
[ $# -gt 0 ] || die "name a role: linker, framework, daemon, mesos-master or mesos-agent"
role=$1
shift

install_binary() {
	[ -x "$binary" ] || die "no binary at $binary (build it with: make build, or set TOMBOLO_BINARY)"
	install -m 0755 "$binary" /usr/local/bin/tombolo.new
	mv -f /usr/local/bin/tombolo.new /usr/local/bin/tombolo # a rename, so that a running process keeps its file
}

# environment FILE VARIABLE FLAGS...: writes VARIABLE=FLAGS into the environment file of
# a unit. Without FLAGS the old line stays. Other lines of the file always stay.
environment() {
	file=$1 variable=$2
	shift 2
	install -d -m 0755 /etc/tombolo
	[ -e "$file" ] || : >"$file"
	[ $# -gt 0 ] || return 0
	sed "/^$variable=/d" "$file" >"$file.new"
	printf '%s=%s\n' "$variable" "$*" >>"$file.new"
	mv -f "$file.new" "$file"
}

# start UNIT: enables the unit and starts it, or restarts it with its new files.
start() {
	systemctl daemon-reload
	systemctl enable "$1" >/dev/null 2>&1 || die "systemd cannot enable $1; see: systemctl status $1"
	systemctl restart "$1" || die "$1 is installed, but systemd cannot start it; see: journalctl -u $1"
}

# await UNIT COMMAND...: waits up to a minute until the command succeeds, which shows that
# the unit does its work.
await() {
	unit=$1
	shift
	for _ in $(seq 60); do
		if said=$("$@" 2>&1); then
			return 0
		fi
		sleep 1
	done
	die "$unit is installed, but is not ready after one minute; see: journalctl -u $unit${said:+
$said}"
}

# unit NAME FLAGS...: installs and starts one of Tombolo's own units.
unit() {
	name=$1
	shift
	install -D -m 0644 "$here/$name.service" "/etc/systemd/system/$name.service"
	environment "/etc/tombolo/$name.env" TOMBOLO_FLAGS "$@"
	start "$name"
}

# unmanaged: keeps systemd-networkd away from the interfaces of the overlay.
unmanaged() {
	install -D -m 0644 "$here/10-tombolo.network" /etc/systemd/network/10-tombolo.network
	if systemctl is-active --quiet systemd-networkd; then
		networkctl reload || die "systemd-networkd cannot read /etc/systemd/network/10-tombolo.network; see: journalctl -u systemd-networkd"
	fi
}

# steady UNIT: succeeds if the unit runs now and still runs after three seconds, so that a
# unit that crashes and restarts does not count.
steady() {
	systemctl is-active --quiet "$1" && sleep 3 && systemctl is-active --quiet "$1"
}

case $role in
linker)
	"$here/setup.sh"
	install_binary
	unmanaged
	unit tombolo-linker "$@"
	await tombolo-linker /usr/local/bin/tombolo linker status
	;;
framework)
	install_binary
	unit tombolo-framework "$@"
	await tombolo-framework /usr/local/bin/tombolo ps --all
	;;
daemon)
	"$here/setup.sh"
	install_binary
	unmanaged
	unit tombolo-daemon "$@"
	await tombolo-daemon /usr/local/bin/tombolo daemon status
	;;
mesos-master | mesos-agent)
	[ $# -gt 0 ] || die "$role needs the package file as its first argument"
	package=$1
	shift
	"$here/setup.sh"
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$(realpath "$package")" >/dev/null
	install -D -m 0644 "$here/$role.service" "/etc/systemd/system/tombolo-$role.service"
	environment "/etc/tombolo/$role.env" MESOS_FLAGS "$@"
	start "tombolo-$role"
	await "tombolo-$role" steady "tombolo-$role"
	;;
*) die "unknown role $role; the roles are linker, framework, daemon, mesos-master and mesos-agent" ;;
esac
printf 'install: %s is installed and running\n' "$role"
