#!/usr/bin/env bash
# Provides a Docker Engine to test with.
#
#   test/engine.sh 29               builds it unless that was done before, and prints its folder
#   test/engine.sh 29 COMMAND...    runs the command with it
#
# ENGINE is 20.10 or 29. 20.10 is the docker.io of Debian 12, which packaging/setup.sh
# installs. 29 is built from the modules that Docker publishes, and kept in
# /var/cache/tombolo/engines (TOMBOLO_CACHE); other users keep it in ~/.cache. The first
# build takes 7 minutes on two idle cores, needs the network, and 4 GB of disk meanwhile.
#
# The command gets the Engine by PATH, so that a lab starts it for its hosts, and by
# DOCKER_HOST a daemon of its own, which builds images and ends with the command.
set -euo pipefail

GO=${GO:-go}
moby=v2.0.0-beta.24 release=29.8.0 containerd=v2.4.2 runc=v1.5.3 buildx=v0.38.2
limit=${ENGINE_MINUTES:-40} # for the build

say() { printf 'engine: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

engine=${1:-}
shift || true
case $engine in
	20.10) ;;
	29) ;;
	*) die "ENGINE is \"$engine\"; there are 20.10 and 29" ;;
esac

# is_debian fails unless the dockerd of this machine is the version that is wanted.
is_debian() {
	local have
	have=$(dockerd --version 2>/dev/null) || die "there is no dockerd on this machine (try: make setup)"
	[[ $have == "Docker version 20.10."* ]] ||
		die "this machine has \"$have\", and ENGINE=20.10 is the package docker.io of Debian 12"
}

cache=${TOMBOLO_CACHE:-/var/cache/tombolo}
[ "$(id -u)" = 0 ] || cache=${TOMBOLO_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tombolo}
folder=$cache/engines/$engine-$(printf '%s\n' "$moby" "$release" "$containerd" "$runc" "$buildx" | sha256sum | cut -c1-12)

# install builds one module's programs into the work folder, unless they are there.
install() { # NAME=VALUE of the environment..., --, arguments of go install
	local env=()
	while [ "$1" != -- ]; do env+=("$1"); shift; done
	shift
	say "building ${*: -1}"
	env GOBIN="$work/bin" GOMODCACHE="$work/modules" GOCACHE="$work/objects" GOFLAGS='-trimpath -buildvcs=false -modcacherw' \
		GOENV=off GOWORK=off "${env[@]}" timeout "$((end - SECONDS))" nice "$GO" install "$@" >"$work/log" 2>&1 || {
		tail -n 20 "$work/log" >&2
		[ "$SECONDS" -lt "$end" ] || die "the build took longer than $limit minutes (ENGINE_MINUTES sets more)"
		grep -qE 'dial tcp|lookup .*: |proxyconnect|i/o timeout|TLS handshake|no such host|connection refused' "$work/log" &&
			die "Engine $engine cannot be built: $("$GO" env GOPROXY) is not reachable from here"
		die "Engine $engine cannot be built; the messages above say why"
	}
}

compiler() {
	local missing=()
	command -v gcc >/dev/null || missing+=(gcc libc6-dev)
	command -v pkg-config >/dev/null || missing+=(pkg-config)
	pkg-config --exists libseccomp 2>/dev/null || missing+=(libseccomp-dev)
	[ ${#missing[@]} -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] || die "building runc needs ${missing[*]}: install these packages first"
	say "installing ${missing[*]}"
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
		die "the packages ${missing[*]} cannot be installed, and building runc needs them"
}

build() {
	local started=$SECONDS
	end=$((SECONDS + limit * 60))
	say "building Docker Engine $release into $folder, once; this takes 7 minutes on two idle cores"
	mkdir -p "$cache/engines"
	work=$(mktemp -d "$cache/engines/new.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	trap 'exit 130' INT TERM
	compiler
	install CGO_ENABLED=0 -- -ldflags "-s -w -X github.com/moby/moby/v2/dockerversion.Version=$release" \
		github.com/moby/moby/v2/cmd/{dockerd,docker-proxy}@$moby
	install CGO_ENABLED=0 -- -ldflags '-s -w' github.com/containerd/containerd/v2/cmd/{containerd,containerd-shim-runc-v2}@$containerd
	install CGO_ENABLED=1 -- -tags seccomp -ldflags '-s -w' github.com/opencontainers/runc@$runc
	install CGO_ENABLED=0 -- -ldflags "-s -w -X github.com/docker/buildx/version.Version=$buildx" github.com/docker/buildx/cmd/buildx@$buildx
	mkdir -p "$work/engine/config/cli-plugins"
	mv "$work/bin" "$work/engine/bin"
	mv "$work/engine/bin/buildx" "$work/engine/config/cli-plugins/docker-buildx"
	# Before version 23, "docker build" uses buildx only with this alias.
	echo '{"aliases": {"builder": "buildx"}}' >"$work/engine/config/config.json"
	rm -rf "$folder"
	mv "$work/engine" "$folder"
	rm -rf "$work" # also the modules that were downloaded
	trap - EXIT INT TERM
	say "built in $((SECONDS - started)) s, $(du -sm "$folder" | cut -f1) MB"
}

# provide builds the Engine while no other process does.
provide() {
	[ ! -x "$folder/bin/dockerd" ] || return 0
	mkdir -p "$cache/engines"
	exec 9>"$cache/engines/lock"
	flock 9
	[ -x "$folder/bin/dockerd" ] || build
	exec 9>&-
}

# builder starts a daemon that builds images. It has a bridge of its own, which leads
# nowhere, because RUN needs one; it changes nothing else of this machine's network.
builder() {
	state=$(mktemp -d /var/tmp/tombolo-builder.XXXXXX)
	trap 'stop_builder' EXIT
	trap 'exit 130' INT TERM
	bridge=build-$$
	ip link add "$bridge" type bridge && ip addr add 198.18.255.1/24 dev "$bridge" || die "cannot make a bridge (try sudo)"
	dockerd -H "unix://$state/docker.sock" --data-root "$state/data" --exec-root "$state/exec" --pidfile "$state/pid" \
		--config-file /dev/null --bridge "$bridge" --iptables=false --ip6tables=false --ip-forward=false >"$state/log" 2>&1 &
	builder=$!
	export DOCKER_HOST=unix://$state/docker.sock
	for _ in $(seq 600); do
		! docker version >/dev/null 2>&1 || return 0
		kill -0 "$builder" 2>/dev/null || break
		sleep 0.1
	done
	tail -n 20 "$state/log" >&2
	die "the Docker Engine that builds images does not answer"
}

stop_builder() {
	[ -z "${builder:-}" ] || { kill "$builder" 2>/dev/null && wait "$builder" 2>/dev/null; } || true
	ip link del "$bridge" 2>/dev/null || true
	rm -rf "$state"
}

if [ "$engine" = 20.10 ]; then
	is_debian
	[ $# -gt 0 ] || { dirname "$(command -v dockerd)"; exit 0; }
	exec "$@"
fi
provide
[ $# -gt 0 ] || { echo "$folder"; exit 0; }
export PATH=$folder/bin:$PATH DOCKER_CONFIG=$folder/config
builder
"$@"
