# shellcheck shell=bash disable=SC2016
# promise.sh: words for cases that send one message to each of many situations
# and compare who took it with what the override allows. A file.t reads it at
# its top: . "$ROOT/tests/integration/promise.sh"

ME=alice@mta.mxhop.test
CF=/etc/mxhop/mxhop.cf
TABLE=/var/lib/mxhop/overrides

# Who is who. No sink listens on down's address: it refuses connections.
declare -A HOSTS=([mx1]=192.0.2.1 [mx2]=192.0.2.2 [gw]=192.0.2.10
	[gw2]=192.0.2.11 [s1]=192.0.2.21 [s2]=192.0.2.22 [prov]=192.0.2.5
	[bad]=192.0.2.6 [down]=192.0.2.99)

# --- DNS ---

# Every domain below test. has mx1 and mx2, but for those that say otherwise.
promise_rules() {
	local host
	for host in "${!HOSTS[@]}"; do
		echo "$host.example A a ${HOSTS[$host]}"
		echo "$host.example AAAA"
	done
	cat <<-'END'
		silent.example    TXT  soa 5
		six.example       AAAA aaaa 2001:db8::6
		six.example       A
		mta.mxhop.test    A    a 192.0.2.250
		alias.example     A    a 192.0.2.250
		alias.example     AAAA
		aliasmx.example   MX   mx 10 alias.example
		mta.mxhop.test    AAAA
		splice.example    MX   mx 10 s1.example mx 20 s2.example
		null.example      MX   mx 0 .
		exclude-only.test MX   mx 10 mx1.example
		exclude-worse.test MX  mx 10 down.example mx 20 mx2.example
		implicit.test     A    a 192.0.2.1
		implicit.test     *
		*.null.test       MX   mx 0 .
		*.nowhere.test    *    rcode=nxdomain
		*.prov.test       MX   mx 10 prov.example
		*.bad.test        MX   mx 10 bad.example
		*.backup.test     MX   mx 10 down.example mx 20 bad.example
		*.mixed.test      MX   mx 10 mx1.example mx 20 bad.example
		*.test            MX   mx 10 mx1.example mx 20 mx2.example
		*.test            *
	END
}

# normal, slow (each answer takes 400 ms, twice what a lookup waits), dead (no
# answer at all), gone (gateways and the second MX host have no address).
dns() { # CONDITION
	case $1 in
	normal) promise_rules ;;
	slow)
		promise_rules | sed -E 's/^([^ ]+ +[^ ]+)/\1 delay=400/'
		echo '* * delay=400 rcode=nxdomain'
		;;
	dead) echo '* * silence' ;;
	gone)
		printf '%s\n' 'gw.example * rcode=nxdomain' 'gw2.example * soa 5' \
			's2.example * soa 5' 'mx2.example * rcode=nxdomain'
		promise_rules
		;;
	esac | faultdns_rules resolver
}

# --- Postfix and the table ---

# A Postfix that says which transport took a message, with one sink for each
# host, and accounts of its own.
start_promise() { # < MXHOP.CF
	local host
	start_faultdns resolver 127.0.0.54:53 < <(promise_rules)
	set_resolver 127.0.0.54
	echo 'options timeout:1 attempts:1' >>/etc/resolv.conf
	cp /etc/resolv.conf /var/spool/postfix/etc/resolv.conf 2>/dev/null || true
	use_mxhop_plugin
	postconf -M 'other/unix=other unix - - y - - smtp -o syslog_name=postfix/other'
	echo 'carol:x:64300:64300::/nonexistent:/usr/sbin/nologin' >>/etc/passwd
	mkdir -p /var/mail/virtual/vmbox.test
	chown -R bob: /var/mail/virtual
	postconf -e 'inet_interfaces = 127.0.0.1, 192.0.2.250' 'inet_protocols = ipv4' \
		'mydestination = $myhostname, localhost, half.test, below.moved.test' \
		'virtual_mailbox_domains = vmbox.test' 'virtual_mailbox_base = /var/mail/virtual' \
		'virtual_mailbox_maps = inline:{ user@vmbox.test=vmbox.test/user }' \
		'virtual_minimum_uid = 1' "virtual_uid_maps = static:$(id -u bob)" \
		"virtual_gid_maps = static:$(id -g bob)" 'relay_domains = relayed.test'
	start_postfix "transport_maps = $M"
	for host in "${!HOSTS[@]}"; do
		[[ $host == down ]] || start_sink "${HOSTS[$host]}"
	done
	start_sink 192.0.2.10:2525
	cp /etc/postfix/main.cf "$SCRATCH/main.cf"
	cp /etc/postfix/master.cf "$SCRATCH/master.cf"
}

# $CONF is a line of its own.
promise_conf() { # LINE...
	printf '%s\n' 'overrides = ldif:/etc/mxhop/overrides.ldif' 'seed = tests' \
		"${CONF:-}" "$@"
}

# These overrides, all there are, from now on. An exit status that says that
# something is to be looked at is one of the situations.
promise_overrides() { # < TABLE
	ldif_table >/etc/mxhop/overrides.ldif
	mxhop refresh --force || [[ $? -lt 74 ]] || fail "refresh"
}

# Postfix has just been started and knows nothing.
forget() {
	purge
	rm -rf /run/mxhop/mxhop
	reload_postfix
}

# Every bucket (or the header alone) has octets turned over, in place; or the
# file is cut, or gone.
damage_table() { # buckets|header|cut|missing
	local page last=0
	case $1 in
	missing) rm "$TABLE" ;;
	cut) truncate -s 6000 "$TABLE" ;;
	buckets) last=$(stat -c %s "$TABLE") ;&
	header)
		for ((page = 0; page <= last; page += 4096)); do
			[[ $1 == header || $page -gt 0 ]] || continue
			printf '\377\377\377\377' |
				dd of="$TABLE" bs=1 seek=$((page + 200)) conv=notrunc status=none
		done
		;;
	esac
}

# Under readers and writers that have it open.
damage_cache() {
	local file
	for file in /run/mxhop/mxhop/cache-*; do
		[[ -e $file ]] || return 0
		head -c "$(stat -c %s "$file")" /dev/urandom |
			dd of="$file" conv=notrunc bs=64k status=none
	done
}

# --- what became of the mail ---

# RECIPIENT OUTCOME TRANSPORT TEXT, the last one of each recipient; an outcome
# is the name of a host, `local`, `wait` or `reject`.
outcomes() {
	local host names=''
	for host in "${!HOSTS[@]}"; do names+="${HOSTS[$host]}=$host "; done
	maillog | awk -v names="$names" '
	BEGIN {
		n = split(names, pair, " ")
		for (i = 1; i <= n; i++) {
			split(pair[i], part, "=")
			host[part[1]] = part[2]
		}
	}
	match($0, /: to=<[^>]*>, /) && match($0, / status=[a-z]+ /) {
		status = substr($0, RSTART + 8, RLENGTH - 9)
		text = substr($0, RSTART + RLENGTH)
		to = $0; sub(/.*: to=</, "", to); sub(/>.*/, "", to)
		transport = $0
		sub(/.* postfix\//, "", transport); sub(/\[.*/, "", transport)
		sub(/\/smtp$/, "", transport)
		relay = $0; sub(/.*relay=/, "", relay); sub(/, .*/, "", relay)
		if (status == "deferred") what = "wait"
		else if (status == "bounced") what = "reject"
		else if (relay == "local" || relay == "virtual") what = "local"
		else {
			address = relay; sub(/.*\[/, "", address); sub(/\].*/, "", address)
			what = address in host ? host[address] : relay
		}
		last[to] = to "\t" what "\t" transport "\t" text
	}
	END { for (to in last) print last[to] }'
}

settled_recipients() { # N
	sleep 0.15 # a look costs five processes
	[[ $(outcomes | wc -l) -ge $1 ]]
}

# One message to all recipients; what becomes of each is in $SCRATCH/outcomes.
send_to_all() { # SECONDS RECIPIENT...
	local seconds=$1
	shift
	mark
	send_mail "$ME" "$@"
	eventually "$seconds" settled_recipients $# ||
		echo "nothing known of: $(comm -23 <(printf '%s\n' "$@" | sort) \
			<(outcomes | cut -f 1 | sort) | paste -sd ' ')"
	outcomes | sort >"$SCRATCH/outcomes"
}

# What every host has in fact received since the mark: RECIPIENT HOST.
received() {
	local host to
	for host in "${!HOSTS[@]}"; do
		[[ $host != down ]] || continue
		for to in $(sink_recipients "${HOSTS[$host]}"); do echo "$to $host"; done
	done
	for to in $(sink_recipients 192.0.2.10:2525); do echo "$to gw"; done
}
