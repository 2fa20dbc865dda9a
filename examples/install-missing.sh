#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# install-missing.sh WHAT...: installs with apt-get what is not there yet, and says what. WHAT is a
# Debian package, or COMMAND=PACKAGE where any program of that name will do. Services that come with
# them are neither started nor enabled.

PATH=$PATH:/usr/sbin:/sbin
missing=
for what; do
	case $what in
	*=*) command -v "${what%%=*}" >/dev/null || missing="$missing ${what#*=}" ;;
	*)
		case $(dpkg-query -W -f '${db:Status-Status} ' "$what" 2>/dev/null) in
		*installed\ *) ;;
		*) missing="$missing $what" ;;
		esac
		;;
	esac
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "No apt-get here: please install what these Debian packages hold:$missing" >&2
	exit 0 # what is really missing, configure says
fi
if [ "$(id -u)" != 0 ]; then
	echo "Missing:$missing. Run this with sudo, or: sudo apt-get install --no-install-recommends$missing" >&2
	exit 1
fi

# invoke-rc.d and deb-systemd-invoke ask this program, and take 101 for "no".
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap 'rm -f $policy' EXIT
	trap 'exit 1' HUP INT TERM
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
fi

echo "Installing what is missing:$missing"
export DEBIAN_FRONTEND=noninteractive
try=1
# shellcheck disable=SC2086
until apt-get -q update >/dev/null &&
	apt-get -q -y -o Dpkg::Use-Pty=0 install --no-install-recommends $missing </dev/null >/dev/null; do
	[ $try -lt 3 ] || {
		echo "apt-get could not install them: see above" >&2
		exit 1
	}
	try=$((try + 1))
	sleep 5
done

# Nor are they to start with the machine.
for package in $missing; do
	for file in $(dpkg-query -L "$package" 2>/dev/null); do
		case $file in
		/lib/systemd/system/*@.*) ;;
		/lib/systemd/system/*.service | /lib/systemd/system/*.timer | /lib/systemd/system/*.socket)
			! command -v systemctl >/dev/null || systemctl -q disable "${file##*/}" 2>/dev/null || :
			;;
		/etc/init.d/*) update-rc.d "${file##*/}" disable >/dev/null || : ;;
		esac
	done
done
