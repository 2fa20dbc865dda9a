#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# sudo sh tests/run.sh: installs what the tests need, builds in ./build-check, and runs every test.

set -eu
cd "$(dirname "$0")/.."

if [ "$(id -u)" != 0 ]; then
	echo "Most tests load BPF programs and make network namespaces: sudo sh tests/run.sh" >&2
	exit 1
fi
# What the build needs; what tests are made with; tools that are metered or compared with.
sh examples/install-missing.sh gcc=gcc g++=g++ libc6-dev make=make clang=clang libbpf-dev libelf-dev \
	libpcap-dev zlib1g-dev libzstd-dev pkg-config=pkgconf \
	prove=perl python3=python3 git=git ip=iproute2 ping=iputils-ping bpftool=bpftool \
	capsh=libcap2-bin ethtool=ethtool mandoc=mandoc strace=strace valgrind=valgrind zstd=zstd \
	libasan8 libubsan1 libtsan2 abidiff=abigail-tools debootstrap=debootstrap \
	dpkg-buildpackage=dpkg-dev dh=debhelper lintian=lintian \
	tcpdump=tcpdump tshark=tshark netsniff-ng=netsniff-ng ngrep=ngrep \
	argus-server arp-scan arping arpwatch darkstat dhcpcd-base dhcpdump dnscap ettercap=ettercap-text-only \
	hping3 iftop iptraf-ng isc-dhcp-client lldpd netdiscover nethogs nmap p0f pktstat pmacct \
	python3-scapy sngrep softflowd ssldump tcpflow tcptrack udhcpc

# With an emulator the core tests are also run on the kernel of Debian 12; where that can't be had, they
# are skipped, with the reason.
sh examples/install-missing.sh qemu-system-x86_64=qemu-system-x86 || :

mkdir -p build-check
cd build-check
../configure --enable-werror
make -j"$(nproc)" tests
exec make check KERNELS=quick
