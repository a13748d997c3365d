#!/bin/sh
# Builds the disk of a virtual machine from Debian packages. It holds the parts of a fresh
# server (systemd, its own kernel, AppArmor, cgroup v2) and the packages that
# packaging/setup.sh would install, because the machines cannot reach a package mirror.
# Prints the folder with disk.img, vmlinuz, initrd and root's SSH key. The folder is kept
# in /var/cache/tombolo (TOMBOLO_CACHE); the first run takes about two minutes.
set -eu

suite=${SUITE:-bookworm}
packages=systemd-sysv,udev,dbus,linux-image-cloud-amd64,initramfs-tools,kmod,apparmor,openssh-server
packages=$packages,docker.io,nftables,iptables,iproute2,procps,curl,ca-certificates
out=${TOMBOLO_CACHE:-/var/cache/tombolo}/vm-$suite
say() { printf 'image: %s\n' "$*" >&2; }

[ "$(id -u)" = 0 ] || { say "this script must run as root (try sudo)"; exit 1; }
missing=""
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
need debootstrap debootstrap
need mke2fs e2fsprogs
need ssh-keygen openssh-client
need qemu-img qemu-utils
need qemu-system-x86_64 qemu-system-x86
if [ -n "$missing" ]; then
	say "installing$missing"
	apt-get update -qq
	# shellcheck disable=SC2086 # a list of words
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
mkdir -p "$out"
exec 9>"$out/lock"
flock 9
sum=$(sha256sum "$0" | cut -c1-16)
if [ "$(cat "$out/sum" 2>/dev/null)" = "$sum" ]; then
	echo "$out"
	exit
fi

root=$(mktemp -d "$out/root.XXXXXX")
trap 'rm -rf --one-file-system "$root"' EXIT
trap 'exit 130' INT TERM
mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' | awk -v suite="$suite" '$2 == suite { print $1; exit }')}
say "building a disk with Debian $suite"
debootstrap --variant=minbase --include="$packages" "$suite" "$root" "$mirror" >"$out/log" 2>&1 ||
	{ say "debootstrap ended with an error; see $out/log"; exit 1; }

rm -f "$out/key" "$out/key.pub"
ssh-keygen -q -t ed25519 -N '' -f "$out/key"
install -D -m 0600 "$out/key.pub" "$root/root/.ssh/authorized_keys"
echo '/dev/vda / ext4 defaults 0 1' >"$root/etc/fstab"
: >"$root/etc/hostname" # the kernel's command line gives each machine its name and address
chroot "$root" systemctl enable systemd-networkd systemd-network-generator ssh >/dev/null 2>&1

cp "$root"/boot/vmlinuz-* "$out/vmlinuz"
cp "$root"/boot/initrd.img-* "$out/initrd"
rm -f "$out/disk.img"
truncate -s 4G "$out/disk.img"
mke2fs -q -t ext4 -d "$root" "$out/disk.img"
echo "$sum" >"$out/sum"
echo "$out"
