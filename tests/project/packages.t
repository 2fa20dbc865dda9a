#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Debian's packages: they build, lintian finds no error, and in a clean Debian that has nothing else the
# quick start runs with them. That Debian comes from where this one's packages do, or from DEBIAN_MIRROR.

PATH=$PATH:/usr/sbin:/sbin
LC_ALL=C
export LC_ALL
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES CC SOCKTALLY
top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/tests/lib/tap.sh"

[ "$(id -u)" = 0 ] || skip_all "needs root"
for tool in dpkg-buildpackage dh lintian; do
	command -v $tool >/dev/null || skip_all "needs $tool"
done

work=$(mktemp -d "${TMPDIR:-/tmp}/socktally-packages.XXXXXX") || exit 1
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 1' HUP INT TERM
mkdir "$work/source"
if git -C "$top" rev-parse >/dev/null 2>&1; then
	(cd "$top" && git ls-files -z --cached --others --exclude-standard | tar -c --null -T -)
else
	tar -C "$top" -c --exclude ./build --exclude './build-[!a]*' .
fi | tar -C "$work/source" -x || exit 1

# --- build

cd "$work/source" || exit 1
DEB_BUILD_OPTIONS="noautodbgsym parallel=$(nproc)" dpkg-buildpackage -us -uc -b >"$work/log" 2>&1
ok "dpkg-buildpackage" $? "$work/log" || finish
cd "$work" || exit 1
[ "$(dpkg-parsechangelog -l source/debian/changelog -SVersion)" = "$(cat source/VERSION)" ]
ok "the packages have the version of the sources" $?
lintian --allow-root --fail-on error ./*.changes >"$work/log" 2>&1
ok "lintian finds no error" $? "$work/log"
[ "$(find . -maxdepth 1 -name '*.deb' -printf '%f\n' | sed 's/_.*//' | sort | tr '\n' ' ')" = \
	"libsocktally-dev libsocktally1 socktally " ]
ok "libsocktally1, libsocktally-dev, socktally" $?
dpkg-deb -f libsocktally1_*.deb Depends | sed 's/([^)]*)//g; s/ //g' >"$work/log"
[ "$(cat "$work/log")" = libc6 ]
ok "the library depends on libc alone" $? "$work/log"

# --- a clean Debian

. /etc/os-release
suite=${VERSION_CODENAME-stable}
mirror=${DEBIAN_MIRROR-$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
	sed -n "s/^$suite //p" | head -n 1)}
name="the quick start, in a Debian with nothing else in it"
if ! command -v debootstrap >/dev/null; then
	skip "$name" "needs debootstrap"
	finish
fi
root=$work/root
if ! debootstrap --variant=minbase --include=tcpdump,iproute2,iputils-ping \
	"$suite" "$root" "$mirror" >"$work/log" 2>&1; then
	skip "$name" "debootstrap: $(grep -m 1 '^[EW]:' "$work/log")"
	finish
fi
cp ./*.deb "$root/"
cp -r "$work/source/examples" "$root/examples"
# inside COMMAND: in the clean root; what it mounts there goes with it
inside()
{
	unshare --mount --propagation private sh -c '
		root=$1; shift
		mount -t proc proc "$root/proc" && mount --rbind /sys "$root/sys" &&
			mount --rbind /dev "$root/dev" && exec chroot "$root" sh -c "$1"' \
		inside "$root" "$1" </dev/null >"$work/log" 2>&1
}
inside 'dpkg -i /*.deb'
ok "the packages install" $? "$work/log"
inside 'socktally --version && socktally list && ldconfig -p' &&
	grep -q "^socktally $(cat source/VERSION)\$" "$work/log" &&
	grep -q 'libsocktally\.so\.1 ' "$work/log" && grep -q 'libsocktally-preload\.so ' "$work/log"
ok "the command runs, the libraries are found" $? "$work/log"
inside 'SOCKTALLY=/usr/bin/socktally sh /examples/quickstart.sh' &&
	grep -q '^tcpdump captured [1-9]' "$work/log"
ok "$name" $? "$work/log"
inside 'dpkg --purge libsocktally-dev socktally libsocktally1 &&
	! find / -xdev -path /proc -prune -o -path /examples -prune -o -name "*socktally*" ! -name "*.deb" -print |
	grep -v "^/var/l" | grep .'
ok "and take everything away again" $? "$work/log"
finish
