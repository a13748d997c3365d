#!/bin/sh
# Installs and starts what Tombolo needs on Debian and Ubuntu: a Docker Engine,
# nftables, iptables and iproute2; with --examples also debootstrap and curl, for the
# example images. Safe to repeat: it installs only what is missing. Works with
# systemd and without.
set -eu

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || die "root is needed to install packages and start Docker (try with sudo)"
command -v apt-get >/dev/null || die "this script knows Debian and Ubuntu; elsewhere install docker, nft, iptables and ip yourself"

missing=""
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
need dockerd docker.io
need nft nftables
need iptables iptables
need ip iproute2
need nsenter util-linux
need pgrep procps
# With AppArmor in the kernel, Docker starts no container without its parser.
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

# Modules that some distributions load on demand only for other users of them.
for module in vxlan nf_tables br_netfilter; do
	modprobe "$module" 2>/dev/null || true # built in, or reported by the linker
done

engine() { DOCKER_HOST=unix:///var/run/docker.sock docker version >/dev/null 2>&1; }

if ! engine; then
	if [ -d /run/systemd/system ]; then
		say "starting Docker with systemd"
		systemctl start docker
	else
		say "starting Docker (no systemd here; its log: /var/log/tombolo-dockerd.log)"
		rm -f /var/run/docker.pid
		setsid dockerd >>/var/log/tombolo-dockerd.log 2>&1 </dev/null &
	fi
	for _ in $(seq 300); do
		engine && break
		sleep 0.1
	done
	engine || die "Docker does not answer; see: journalctl -u docker, or /var/log/tombolo-dockerd.log"
fi
say "ready: Docker $(docker version --format '{{.Server.Version}}')"
