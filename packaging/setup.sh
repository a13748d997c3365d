#!/bin/sh
# Installs and starts the programs that Tombolo needs on Debian and Ubuntu: a Docker
# Engine, nftables, iptables and iproute2. With --examples it also installs debootstrap
# and curl, which build and try the example images. It installs only what is missing, so
# it is safe to run again. It works with systemd and without.
set -eu

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || die "this script must run as root, because it installs packages and starts Docker (try sudo)"
command -v apt-get >/dev/null || die "this script supports Debian and Ubuntu only (no apt-get found); on other systems install docker, nft, iptables and ip yourself"

missing=""
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
need dockerd docker.io
need nft nftables
need iptables iptables
need ip iproute2
need nsenter util-linux
need pgrep procps
# If the kernel has AppArmor enabled, Docker needs AppArmor's parser to start a container.
[ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" != Y ] || need apparmor_parser apparmor
if [ "${1:-}" = --examples ]; then
	need debootstrap debootstrap
	need curl curl
fi

if [ -n "$missing" ]; then
	say "installing$missing"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	# shellcheck disable=SC2086 # a list of words
	apt-get install -y -qq --no-install-recommends $missing ca-certificates >/dev/null
fi

# Some distributions do not load these modules by themselves for Tombolo.
for module in vxlan nf_tables br_netfilter; do
	modprobe "$module" 2>/dev/null || true # it may be built into the kernel; if it is missing, the linker reports it
done

engine() { DOCKER_HOST=unix:///var/run/docker.sock docker version >/dev/null 2>&1; }

if ! engine; then
	if [ -d /run/systemd/system ]; then
		say "starting Docker with systemd"
		systemctl start docker
	else
		say "starting Docker without systemd; its log is /var/log/tombolo-dockerd.log"
		rm -f /var/run/docker.pid
		setsid dockerd >>/var/log/tombolo-dockerd.log 2>&1 </dev/null &
	fi
	for _ in $(seq 300); do
		engine && break
		sleep 0.1
	done
	engine || die "Docker does not answer 30 seconds after its start; see: journalctl -u docker, or /var/log/tombolo-dockerd.log"
fi
say "ready, with Docker $(docker version --format '{{.Server.Version}}')"
