#!/bin/sh
# Installs an emulator and fetches the kernel of this distribution's cloud images, and
# prints the path of the kernel. The kernel is kept in /var/cache/tombolo
# (TOMBOLO_CACHE). Its VXLAN support is a module, which is not installed.
# Exit code 3: this distribution has no such kernel.
set -eu

out=${TOMBOLO_CACHE:-/var/cache/tombolo}/kernel
case $(. /etc/os-release && echo "$ID") in
	debian) package=linux-image-cloud-$(dpkg --print-architecture) ;;
	ubuntu) package=linux-image-virtual ;;
	*) exit 3 ;;
esac
missing=""
command -v qemu-system-x86_64 >/dev/null || missing="$missing qemu-system-x86"
command -v cpio >/dev/null || missing="$missing cpio"
if [ -n "$missing" ]; then
	apt-get update -qq
	# shellcheck disable=SC2086 # a list of words
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
if [ ! -e "$out/vmlinuz" ]; then
	mkdir -p "$out"
	work=$(mktemp -d "$out/new.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	[ -n "$(apt-cache depends "$package" 2>/dev/null)" ] || apt-get update -qq
	image=$(apt-cache depends "$package" 2>/dev/null | awk '/Depends: linux-image/ { print $2; exit }')
	[ -n "$image" ] || exit 3
	(cd "$work" && apt-get download -qq -o APT::Sandbox::User=root "$image" >&2)
	dpkg --fsys-tarfile "$work"/*.deb | tar -x -C "$work" --wildcards './boot/vmlinuz-*'
	mv "$work"/boot/vmlinuz-* "$out/vmlinuz"
fi
echo "$out/vmlinuz"
