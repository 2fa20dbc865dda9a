#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# sudo sh examples/quickstart.sh: builds socktally in ./build-quickstart, and lets it meter a tcpdump.
# Installs what is missing for that, and says what. The traffic is its own, between two network namespaces
# that end with it. May be run as often as you like.
#
# SOCKTALLY=/usr/bin/socktally in the environment: that one is used, and nothing is built or installed.

set -eu
PATH=$PATH:/usr/sbin:/sbin
here=$(cd "$(dirname "$0")/.." && pwd)

if [ "$(id -u)" != 0 ]; then
	echo "A packet capture needs root: sudo sh $0" >&2
	exit 1
fi

if [ "${1-}" != in-namespace ]; then
	if [ -z "${SOCKTALLY-}" ]; then
		sh "$here/examples/install-missing.sh" gcc=gcc libc6-dev make=make clang=clang libbpf-dev \
			libelf-dev libpcap-dev zlib1g-dev libzstd-dev pkg-config=pkgconf \
			tcpdump=tcpdump ip=iproute2 ping=iputils-ping
		build=$here/build-quickstart
		mkdir -p "$build"
		cd "$build"
		echo "Building in $build"
		../configure >configure.out 2>&1 || { cat configure.out >&2; exit 1; }
		make -s -j"$(nproc)" >make.out 2>&1 || { tail -30 make.out >&2; exit 1; }
		SOCKTALLY=$build/socktally
	fi
	exec env SOCKTALLY="$SOCKTALLY" unshare --net sh "$here/examples/quickstart.sh" in-namespace
fi

# --- from here on in a network namespace of our own: eth0, and another host at the far end of its wire

work=$(mktemp -d)
tool=
far=
finish()
{
	for process in $tool $far; do kill "$process" 2>/dev/null || :; done
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM
moments() { seq 100; }

unshare --net sleep 300 &
far=$!
for moment in $(moments); do
	[ "$(readlink /proc/$far/ns/net)" = "$(readlink /proc/$$/ns/net)" ] || break
	sleep 0.1
done
there() { nsenter --net="/proc/$far/ns/net" "$@"; }
ip link add eth0 type veth peer name eth0 netns $far
ip address add 10.9.9.1/24 dev eth0
ip -6 address add fd00:9::1/64 dev eth0 nodad
there ip address add 10.9.9.2/24 dev eth0
there ip -6 address add fd00:9::2/64 dev eth0 nodad
ip link set eth0 up
there ip link set eth0 up

# Servers at the far end: one answers what comes to port 53, one takes what comes to port 80.
# shellcheck disable=SC2016
there perl -MIO::Socket::INET -e '
	my $dns = IO::Socket::INET->new(Proto => "udp", LocalAddr => "10.9.9.2", LocalPort => 53) or die "udp: $!";
	my $web = IO::Socket::INET->new(Proto => "tcp", LocalAddr => "10.9.9.2", LocalPort => 80, Listen => 1)
		or die "tcp: $!";
	$| = 1;
	print "ready\n";
	for (1 .. 12) {
		$dns->recv(my $question, 512);
		$dns->send($question);
	}
	my $peer = $web->accept or die "tcp: $!";
	1 while $peer->sysread(my $data, 65536);
' >"$work/server" &
for moment in $(moments); do
	[ ! -s "$work/server" ] || break
	sleep 0.1
done

echo "# socktally run -- tcpdump -i eth0 -w - udp port 53 >dns.pcap"
"$SOCKTALLY" run -- tcpdump -i eth0 -w - udp port 53 >"$work/dns.pcap" 2>"$work/messages" &
tool=$!
for moment in $(moments); do
	! grep -q 'listening on' "$work/messages" || break
	sleep 0.1
done

ping -q -c 10 -i 0.02 10.9.9.2 >"$work/ping"
ping -q -c 10 -i 0.02 fd00:9::2 >>"$work/ping"
# shellcheck disable=SC2016
perl -MIO::Socket::INET -e '
	my $dns = IO::Socket::INET->new(Proto => "udp", PeerAddr => "10.9.9.2", PeerPort => 53) or die "udp: $!";
	for (1 .. 12) {
		$dns->send("?" x 40);
		$dns->recv(my $answer, 512);
	}
	my $web = IO::Socket::INET->new(Proto => "tcp", PeerAddr => "10.9.9.2", PeerPort => 80) or die "tcp: $!";
	$web->syswrite("y" x 10000) for 1 .. 30;
'
sleep 1.5 # tcpdump takes packets out of its ring once a second

# The tool gets the signal, as it would get Ctrl-C; the report comes at its end.
kill $tool
status=0
wait $tool || status=$?
tool=
cat "$work/messages"
[ $status = 0 ] || exit $status

captured=$(tcpdump -n -r "$work/dns.pcap" 2>/dev/null | wc -l)
accepted=$(sed -n 's/^accepted by the filter: \([0-9]*\) packets.*/\1/p' "$work/messages")
echo
echo "tcpdump captured $captured, the kernel accepted $accepted, and counted all the others as well"
[ "$captured" = "$accepted" ]
