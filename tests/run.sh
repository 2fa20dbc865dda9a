#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# sudo sh tests/run.sh: installs what the tests need, builds in ./build-check, and runs every test.

set -eu
cd "$(dirname "$0")/.."

if [ "$(id -u)" != 0 ]; then
	echo "Most tests load BPF programs and make network namespaces: sudo sh tests/run.sh" >&2
	exit 1
fi
sh examples/install-missing.sh gcc libc6-dev make=make clang=clang libbpf-dev libelf-dev \
	libpcap-dev zlib1g-dev libzstd-dev pkg-config=pkgconf prove=perl python3=python3 ip=iproute2 \
	ping=iputils-ping tcpdump=tcpdump tshark=tshark bpftool=bpftool git=git valgrind=valgrind \
	zstd=zstd mandoc=mandoc libasan8 libubsan1 strace=strace netsniff-ng=netsniff-ng ngrep=ngrep \
	ethtool=ethtool

mkdir -p build-check
cd build-check
../configure --enable-werror
make -j"$(nproc)" tests
exec make check
