#!/bin/sh
# Builds the images of the examples with this machine's Docker (DOCKER_HOST), from Debian
# or Ubuntu packages. It needs no image registry. The images are:
#
#   tombolo-example/postgres:debian   tombolo-example/redis:debian
#
# The root file systems are kept in /var/cache/tombolo (TOMBOLO_CACHE). The first run takes
# about two minutes and needs root and debootstrap; later runs take a second and need
# neither. MIRROR and SUITE select another package mirror and another release.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${TOMBOLO_CACHE:-/var/cache/tombolo}
. /etc/os-release
suite=${SUITE:-${VERSION_CODENAME:-bookworm}}
arch=$(dpkg --print-architecture)
case ${ID:-debian} in
ubuntu) components=main,universe ;;
*) components=main ;;
esac
# By default, the package mirror that this machine itself uses.
mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' | awk -v suite="$suite" '$2 == suite { print $1; exit }')}

say() { printf 'images: %s\n' "$*" >&2; }
die() {
	say "$@"
	exit 1
}

work=
cleanup() {
	[ -z "$work" ] || rm -rf --one-file-system "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# lock waits until no other run builds, and removes the remains of a killed run.
lock() {
	[ -z "${locked:-}" ] || return 0
	mkdir -p "$cache"
	exec 9>"$cache/images.lock"
	flock 9
	rm -rf --one-file-system "$cache"/build.*
	locked=1
}

# rootfs NAME PACKAGES...: prints the path of a tarball of a minimal system with these
# packages, and makes the tarball if it is missing. The file gets its final name when it is
# complete, so an interrupted run leaves no broken tarball.
rootfs() {
	name=$1
	shift
	tar=$cache/rootfs-$name-$suite-$arch.tar
	if [ ! -s "$tar" ]; then
		[ "$(id -u)" = 0 ] || die "building $name from packages must run as root (try sudo)"
		command -v debootstrap >/dev/null || die "debootstrap is not installed; run: apt-get install debootstrap"
		work=$(mktemp -d "$cache/build.XXXXXX")
		if [ "$name" = base ]; then
			say "building a minimal $suite"
			debootstrap --variant=minbase --components="$components" "$suite" "$work" "$mirror" >"$cache/$name.log" 2>&1 ||
				die "debootstrap ended with an error; see $cache/$name.log"
			prepare
		else
			say "installing $* into a minimal $suite"
			base_tar=$(rootfs base) || exit 1
			tar -C "$work" -xf "$base_tar"
			install "$@" >"$cache/$name.log" 2>&1 || die "apt-get ended with an error; see $cache/$name.log"
		fi
		slim
		tar -C "$work" --numeric-owner --one-file-system --exclude=./dev/* -cf "$tar.new" .
		mv "$tar.new" "$tar"
		cleanup
		work=
	fi
	echo "$tar"
}

# prepare prevents services from starting in the chroot and leaves out documentation.
prepare() {
	printf '#!/bin/sh\nexit 101\n' >"$work/usr/sbin/policy-rc.d"
	chmod +x "$work/usr/sbin/policy-rc.d"
	printf 'path-exclude=/usr/share/%s/*\n' doc man locale info lintian >"$work/etc/dpkg/dpkg.cfg.d/slim"
	mkdir -p "$work/etc/postgresql-common"
	echo 'create_main_cluster = false' >"$work/etc/postgresql-common/createcluster.conf"
}

# install installs packages into the chroot, through the HTTP proxy of this machine's apt.
install() {
	cp /etc/resolv.conf "$work/etc/resolv.conf"
	apt-config dump Acquire::http::Proxy >"$work/etc/apt/apt.conf.d/proxy"
	in_chroot apt-get -q update
	in_chroot apt-get -q -y --no-install-recommends install "$@"
	rm -f "$work/etc/apt/apt.conf.d/proxy" "$work/etc/resolv.conf"
}

in_chroot() {
	DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$work" "$@"
}

# slim removes caches, documentation and LLVM. PostgreSQL needs LLVM only to compile
# queries just in time, and the example switches that off.
slim() {
	rm -rf "$work"/var/cache/apt/* "$work"/var/lib/apt/lists/* "$work"/var/log/* "$work"/tmp/* \
		"$work"/usr/share/doc/* "$work"/usr/share/man/* "$work"/usr/share/locale/* \
		"$work"/usr/lib/*/libLLVM* "$work"/usr/lib/*/libz3.so* "$work"/usr/lib/llvm-* "$work"/usr/lib/postgresql/*/lib/bitcode
}

have() { docker image inspect "$1" >/dev/null 2>&1; }

# image NAME PACKAGES...: builds tombolo-example/NAME:debian from these packages and the
# Dockerfile in images/NAME, unless the image is up to date.
image() {
	name=$1
	shift
	base=tombolo-example/$name:rootfs
	sum=$({
		printf '%s %s %s' "$suite" "$arch" "$*"
		find "$here/images/$name" -type f -exec cat {} +
		cat "$here/images.sh"
	} | sha256sum | cut -c1-16)
	if have "tombolo-example/$name:debian" &&
		[ "$(docker image inspect -f '{{index .Config.Labels "tombolo.example"}}' "tombolo-example/$name:debian")" = "$sum" ]; then
		return
	fi
	lock
	tar=$(rootfs "$name" "$@")
	say "importing $name"
	docker import "$tar" "$base" >/dev/null
	DOCKER_BUILDKIT=0 docker build -q --label "tombolo.example=$sum" -t "tombolo-example/$name:debian" "$here/images/$name" 2>/dev/null >/dev/null ||
		die "docker build of $here/images/$name ended with an error; run it by hand to see why"
}

[ -n "$mirror" ] || die "this machine's apt sources name no mirror for $suite; set MIRROR to the URL of one"
docker version >/dev/null 2>&1 || die "Docker does not answer at ${DOCKER_HOST:-its usual socket}; start it with: make setup"
image redis redis-server
image postgres postgresql
say "ready: tombolo-example/redis:debian tombolo-example/postgres:debian"
