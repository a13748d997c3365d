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
# linker belongs on every agent and on the framework's machine. daemon is for one
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

# unit NAME FLAGS...: installs the unit and hands it its flags.
unit() {
	name=$1
	shift
	install -D -m 0644 "$here/$name.service" "/etc/systemd/system/$name.service"
	install -d -m 0755 /etc/tombolo
	printf 'TOMBOLO_FLAGS=%s\n' "$*" >"/etc/tombolo/$name.env"
	systemctl daemon-reload
	systemctl enable "$name" >/dev/null 2>&1
	systemctl restart "$name"
}

case $role in
linker)
	"$here/setup.sh"
	install_binary
	unit tombolo-linker "$@"
	;;
framework)
	install_binary
	unit tombolo-framework "$@"
	;;
daemon)
	"$here/setup.sh"
	install_binary
	unit tombolo-daemon "$@"
	;;
mesos-master | mesos-agent)
	[ $# -gt 0 ] || die "$role needs the package file"
	package=$1
	shift
	"$here/setup.sh"
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$(realpath "$package")" >/dev/null
	install -d -m 0755 /etc/tombolo
	install -m 0644 "$here/$role.service" "/etc/systemd/system/tombolo-$role.service"
	printf 'MESOS_FLAGS=%s\n' "$*" >"/etc/tombolo/$role.env"
	systemctl daemon-reload
	systemctl enable "tombolo-$role" >/dev/null 2>&1
	systemctl restart "tombolo-$role"
	;;
*) die "unknown role $role: linker, framework, daemon, mesos-master or mesos-agent" ;;
esac
printf 'install: %s is installed\n' "$role"
