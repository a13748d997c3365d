#!/bin/sh
# Installs Tombolo on one machine of a cluster, with systemd. Run it once for each
# role that the machine has; run it again to change or upgrade.
#
#   install.sh linker    [--host NAME] [--underlay ADDRESS] [--join ADDRESS]...
#   install.sh framework --master URL[,URL...]
#   install.sh daemon
#   install.sh mesos-master PACKAGE.deb
#   install.sh mesos-agent  PACKAGE.deb --master ADDRESS:PORT
#
# linker belongs on every agent and on the framework's machine, where it comes first: the
# framework asks it. Without flags a role keeps those that it has; what else
# /etc/tombolo/tombolo-ROLE.env says stays in any case. daemon is for one
# machine without a cluster: what tombolo up starts by itself, but from boot on and
# before Docker, which otherwise waits for it, container by container. The two mesos
# roles install a Mesos or Clusterd package that you bring; a cluster that runs
# one already needs only the first two. The binary is taken from $TOMBOLO_BINARY,
# or else from bin/tombolo beside this folder.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
binary=${TOMBOLO_BINARY:-$here/../bin/tombolo}

die() { printf 'install: %s\n' "$*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || die "root is needed (try with sudo)"
[ -d /run/systemd/system ] || die "no systemd runs here; start 'tombolo linker' with the init system you have"
[ $# -gt 0 ] || die "which role? linker, framework, daemon, mesos-master or mesos-agent"
role=$1
shift

install_binary() {
	[ -x "$binary" ] || die "no binary at $binary (build it with: make build, or set TOMBOLO_BINARY)"
	install -m 0755 "$binary" /usr/local/bin/tombolo.new
	mv -f /usr/local/bin/tombolo.new /usr/local/bin/tombolo # a running one keeps its file
}

# environment FILE VARIABLE FLAGS...: has the file give the unit its flags. Without any
# those of the last time stay, and so does what else the file says.
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

# start UNIT: starts it, with what has changed.
start() {
	systemctl daemon-reload
	systemctl enable "$1" >/dev/null 2>&1 || die "cannot enable $1"
	systemctl restart "$1" || die "$1 is installed, but does not start; see: journalctl -u $1"
}

# await UNIT COMMAND...: waits until the command says that the unit does its work.
await() {
	unit=$1
	shift
	for _ in $(seq 60); do
		if said=$("$@" 2>&1); then
			return 0
		fi
		sleep 1
	done
	die "$unit is installed, but is not ready after a minute; see: journalctl -u $unit${said:+
$said}"
}

# unit NAME FLAGS...: installs and starts a unit of ours.
unit() {
	name=$1
	shift
	install -D -m 0644 "$here/$name.service" "/etc/systemd/system/$name.service"
	environment "/etc/tombolo/$name.env" TOMBOLO_FLAGS "$@"
	start "$name"
}

# steady UNIT: it runs, and is not just being started again.
steady() {
	systemctl is-active --quiet "$1" && sleep 3 && systemctl is-active --quiet "$1"
}

case $role in
linker)
	"$here/setup.sh"
	install_binary
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
	unit tombolo-daemon "$@"
	await tombolo-daemon /usr/local/bin/tombolo daemon status
	;;
mesos-master | mesos-agent)
	[ $# -gt 0 ] || die "$role needs the package file"
	package=$1
	shift
	"$here/setup.sh"
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$(realpath "$package")" >/dev/null
	install -D -m 0644 "$here/$role.service" "/etc/systemd/system/tombolo-$role.service"
	environment "/etc/tombolo/$role.env" MESOS_FLAGS "$@"
	start "tombolo-$role"
	await "tombolo-$role" steady "tombolo-$role"
	;;
*) die "unknown role $role: linker, framework, daemon, mesos-master or mesos-agent" ;;
esac
printf 'install: %s is installed and runs\n' "$role"
