#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#
# sudo sh tests/run.sh [--root DIR] [TEST...]
#
# Installs what the tests need, builds in ./build-check, and runs every test, or those that are named
# ("cli/read.t unit/table"). With --root all of that happens in a Debian of its own, which is made in DIR
# if there is none, and nothing is installed on this machine.

set -eu
cd "$(dirname "$0")/.."
top=$PWD
PATH=$PATH:/usr/sbin:/sbin

if [ "$(id -u)" != 0 ]; then
	echo "Most tests load BPF programs and make network namespaces: sudo sh tests/run.sh" >&2
	exit 1
fi

# in_root DIR TEST...: the same in another root, with mounts that nobody else sees
in_root()
{
	root=$1
	shift
	if [ ! -x "$root/usr/bin/apt-get" ]; then
		. /etc/os-release
		suite=${VERSION_CODENAME-stable}
		mirror=${DEBIAN_MIRROR-$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' \
			'Created-By: Packages' 2>/dev/null | sed -n "s/^$suite //p" | head -n 1)}
		echo "Making a Debian ($suite) in $root"
		command -v debootstrap >/dev/null || sh examples/install-missing.sh debootstrap=debootstrap
		# shellcheck disable=SC2086
		debootstrap --variant=minbase "$suite" "$root" $mirror >"$root.log" 2>&1 ||
			{ tail -n 5 "$root.log" >&2; exit 1; }
		rm -f "$root.log"
		cp /etc/resolv.conf "$root/etc/" 2>/dev/null || :
	fi
	mkdir -p "$root/socktally"
	exec unshare --mount --propagation private sh -c '
		root=$1; top=$2; shift 2
		mount --bind "$top" "$root/socktally" && mount -t proc proc "$root/proc" &&
			mount --rbind /sys "$root/sys" && mount --rbind /dev "$root/dev" &&
			mount -t tmpfs run "$root/run" && exec chroot "$root" sh /socktally/tests/run.sh "$@"' \
		in-root "$root" "$top" "$@"
}

if [ "${1-}" = --root ]; then
	[ -n "${2-}" ] || { echo "--root: in which folder?" >&2; exit 2; }
	mkdir -p "$2"
	root=$(cd "$2" && pwd)
	shift 2
	in_root "$root" "$@"
fi

named=
for name; do
	case $name in
	*.t) file=$top/tests/$name path=../tests/$name ;;
	*) file=$top/tests/$name.c path=tests/$name ;;
	esac
	[ -e "$file" ] || { echo "There is no test $name: one is, for instance, cli/read.t or unit/table" >&2; exit 2; }
	named="$named $path"
done

if [ -z "$named" ]; then
	cat <<EOF
Installs what is missing here of some 80 Debian packages, builds in ./build-check and runs all tests:
25 minutes on two cores, 2 GB of disk. Nothing is sent on any network but what the tests make themselves.
Services that come with the packages are neither started nor enabled. With --root DIR all of it stays there.
EOF
fi

# What the build needs; what tests are made with; tools that are metered or compared with.
sh examples/install-missing.sh build-essential gcc=gcc g++=g++ libc6-dev make=make clang=clang libbpf-dev libelf-dev \
	libpcap-dev zlib1g-dev libzstd-dev liblzma-dev libbz2-dev liblz4-dev libmicrohttpd-dev pkg-config=pkgconf \
	prove=perl python3=python3 git=git ip=iproute2 ping=iputils-ping bpftool=bpftool \
	capsh=libcap2-bin ethtool=ethtool mandoc=mandoc musl-gcc=musl-tools strace=strace valgrind=valgrind \
	chromium=chromium python3-html5lib zsh=zsh fish=fish \
	zstd=zstd xz=xz-utils bzip2=bzip2 lz4=lz4 \
	libasan8 libubsan1 libtsan2 abidiff=abigail-tools debootstrap=debootstrap \
	dpkg-buildpackage=dpkg-dev dh=debhelper lintian=lintian \
	tcpdump=tcpdump tshark=tshark netsniff-ng=netsniff-ng ngrep=ngrep \
	argus-server arp-scan arping arpwatch darkstat dhcpcd-base dhcpdump dnscap ettercap=ettercap-text-only \
	hping3 iftop iptraf-ng isc-dhcp-client lldpd netdiscover nethogs nmap p0f pktstat pmacct \
	prometheus openssl=openssl curl=curl systemd-analyze=systemd python3-prometheus-client python3-scapy sngrep softflowd ssldump tcpflow tcptrack udhcpc

# With an emulator the core tests are also run on the kernel of Debian 12; where that can't be had, they
# are skipped, with the reason.
[ -n "$named" ] || sh examples/install-missing.sh qemu-system-x86_64=qemu-system-x86 || :

mkdir -p build-check
cd build-check
../configure --enable-werror
make V=0 -j"$(nproc)" tests
if [ -n "$named" ]; then
	exec make check "TESTS=$named"
fi
exec make check KERNELS=quick
