# shellcheck shell=bash disable=SC2016
# hosts.sh: words for cases that need several machines. A host has a network
# and the files of a mail system of its own; programs and users are shared.
# A file.t reads it at its top: . "$ROOT/tests/integration/hosts.sh"

# Joins hosts made on it; `unplug` parts them.
make_switch() { # NAME
	ip link add name "$1" type bridge
	ip link set "$1" up
}

# What it mounts is its own and ends with it; nothing reaches the ground.
# shellcheck disable=SC2016 # for the shell inside
HOST_FILES='
	set -e
	mount --make-rprivate /
	for d in /etc/postfix /etc/mxhop /var/spool/postfix /var/lib/postfix \
		/var/lib/mxhop /run/mxhop /run/slapd /var/mail; do
		mkdir -p "$d"
		exec 3<"$d"
		mount -t tmpfs -o mode=755 host "$d"
		cp -a /proc/self/fd/3/. "$d/"
		chown --reference=/proc/self/fd/3/ "$d"
		exec 3<&-
	done
	touch "$0"
	exec sleep infinity'

# A host with ADDRESS (a /24) on a switch. It has copies of what is in
# /etc/postfix and the like by then.
make_host() { # NAME SWITCH ADDRESS
	local pid ready=$SCRATCH/$1/ready
	mkdir -p "$SCRATCH/$1/tmp"
	spawn "host-$1" unshare --net --mount bash -c "$HOST_FILES" "$ready"
	eventually 5 test -e "$ready" || fail "host $1: $(<"$SCRATCH/host-$1.log")"
	pid=$(<"$SCRATCH/pids/host-$1")
	ip link add name "v-$1" type veth peer name eth0 netns "$pid"
	ip link set "v-$1" master "$2" up
	on "$1" ip link set lo up
	on "$1" ip addr add "$3/24" dev eth0
	on "$1" ip link set eth0 up
	on "$1" postconf -e 'inet_interfaces = loopback-only' \
		"maillog_file = $SCRATCH/$1/mail.log"
}

# COMMAND, or a word of these files, on a host. What it spawns stays until it
# is stopped there or the file ends.
on() { # HOST COMMAND...
	local host=$1 pid
	shift
	pid=$(<"$SCRATCH/pids/host-$host")
	SCRATCH=$SCRATCH/$host nsenter -t "$pid" --net --mount bash -c '
		. "$0/tests/integration/lib.sh"
		. "$0/tests/integration/ldap.sh"
		"$@"' "$ROOT" "$@"
}

# A cable between two switches, and without it: no side is told, packets end.
connect_switches() { # A B
	ip link add name "c-$1" type veth peer name "c-$2"
	ip link set "c-$1" master "$1" up
	ip link set "c-$2" master "$2" up
}

unplug() { ip link set "$1" nomaster; }     # INTERFACE
plug() { ip link set "$1" master "$2"; }    # INTERFACE SWITCH
