#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# sudo sh examples/quickstart.sh: builds socktally in ./build, and lets it meter a tcpdump. Installs
# what is missing for that, and says what. The traffic is its own, in a network namespace that ends
# with it. May be run as often as you like.
#
# SOCKTALLY=/usr/bin/socktally in the environment: that one is used, and nothing is built or installed.

set -eu
PATH=$PATH:/usr/sbin:/sbin
here=$(cd "$(dirname "$0")/.." && pwd)

if [ "$(id -u)" != 0 ]; then
	echo "A packet capture needs root: sudo sh $0" >&2
	exit 1
fi

if [ "${1-}" != in-namespace ] && [ -n "${SOCKTALLY-}" ]; then
	exec unshare --net sh "$here/examples/quickstart.sh" in-namespace
elif [ "${1-}" != in-namespace ]; then
	sh "$here/examples/install-missing.sh" gcc=gcc libc6-dev make=make clang=clang libbpf-dev \
		libelf-dev libpcap-dev zlib1g-dev libzstd-dev pkg-config=pkgconf \
		tcpdump=tcpdump ip=iproute2 ping=iputils-ping
	mkdir -p "$here/build"
	cd "$here/build"
	echo "Building in $here/build"
	../configure >configure.out 2>&1 || { cat configure.out >&2; exit 1; }
	make -s -j"$(nproc)" >make.out 2>&1 || { tail -30 make.out >&2; exit 1; }
	exec env SOCKTALLY="$here/build/socktally" unshare --net sh "$here/examples/quickstart.sh" in-namespace
fi

# --- from here on in a network namespace of our own: nothing but what is sent here is on lo

work=$(mktemp -d)
meters=
finish()
{
	for meter in $meters; do kill "$meter" 2>/dev/null || :; done
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM
ip link set lo up

# meter NAME OPTIONS...: a metered tcpdump that takes what is not TCP
meter()
{
	name=$1
	shift
	: >"$work/$name.messages"
	"$SOCKTALLY" run "$@" -- tcpdump -i lo -w - not tcp \
		>"$work/$name.pcap" 2>"$work/$name.messages" &
	meters="$meters $!"
	for moment in $(seq 100); do
		grep -q 'listening on' "$work/$name.messages" && return
		sleep 0.1
	done
	cat "$work/$name.messages" >&2
	echo "tcpdump did not start" >&2
	exit 1
}

echo "# socktally run -- tcpdump -i lo -w - not tcp >capture.pcap"
meter text -o "$work/report.txt"
meter json --format json -o "$work/report.json"

ping -q -c 10 -i 0.02 127.0.0.1 >"$work/ping"
ping -q -c 10 -i 0.02 ::1 >>"$work/ping"
perl -MIO::Socket::INET -e '
	my $receiver = IO::Socket::INET->new(Proto => "udp", LocalAddr => "127.0.0.1") or die "udp: $!";
	my $sender = IO::Socket::INET->new(Proto => "udp", PeerAddr => "127.0.0.1",
		PeerPort => $receiver->sockport) or die "udp: $!";
	$sender->send("x" x 100) for 1 .. 25;

	my $server = IO::Socket::INET->new(Proto => "tcp", LocalAddr => "127.0.0.1", Listen => 1) or die "tcp: $!";
	my $client = IO::Socket::INET->new(Proto => "tcp", PeerAddr => "127.0.0.1",
		PeerPort => $server->sockport) or die "tcp: $!";
	my $peer = $server->accept or die "tcp: $!";
	for (1 .. 20) {
		$client->syswrite("y" x 1000);
		$peer->sysread(my $data, 1000);
	}
'
sleep 1.5 # tcpdump takes packets out of its ring once a second

# The tools get the signal, as they would get Ctrl-C; the reports come at their end.
# shellcheck disable=SC2086
kill $meters
status=0
for meter in $meters; do
	wait "$meter" || status=$?
done
meters=
if [ $status != 0 ]; then
	cat "$work/text.messages" "$work/json.messages" >&2
	exit $status
fi

cat "$work/report.txt"
captured=$(tcpdump -n -r "$work/json.pcap" 2>/dev/null | wc -l)
# On lo a socket sees each packet on its way out and on its way in; libpcap keeps the second only.
accepted=$(tr '{' '\n' <"$work/report.json" |
	sed -n '/"direction":"in"/s/.*"accepted_packets":\([0-9]*\).*/\1/p' |
	awk '{ sum += $1 } END { print sum + 0 }')
echo "tcpdump captured $captured, the kernel accepted $accepted"
[ "$captured" = "$accepted" ]
