# shellcheck shell=bash
# tables.sh: many domains in the DNS, in mxhop's cache and in static tables of
# Postfix, with the same results. For benches and integration tests; to be
# sourced after tests/integration/lib.sh.

TABLES=/run/tables # readable for the user postfix, wherever the checkout is
MXHOP_TABLE=mxhop:/etc/mxhop/mxhop.cf

# COUNT domains d<n>.bench.test that share SETS MX sets of one to three hosts.
# All of it is good for a day: nothing expires while it is measured.
tables_zone() { # COUNT SETS
	awk -v count="$1" -v sets="$2" -v ns="$NSD_ADDRESS" 'BEGIN {
		print "$ORIGIN bench.test.\n$TTL 86400"
		print "@ SOA ns hostmaster 1 3600 600 86400 86400\n@ NS ns\nns A " ns
		for (i = 0; i < count; i++) {
			s = i % sets
			printf "d%d MX 10 m%d\n", i, s
			if (s % 3 > 0) printf "d%d MX 20 m%d\n", i, (s + 1) % sets
			if (s % 3 > 1) printf "d%d MX 30 m%d\n", i, (s + 2) % sets
		}
		for (s = 0; s < sets; s++) {
			printf "m%d A 192.0.2.%d\n", s, s % 200 + 1
			printf "m%d AAAA 2001:db8::%x\n", s, s % 200 + 1
		}
	}' >"$SCRATCH/zones/bench.test"
}

# In an order that is the same each time.
tables_shuffle() { shuf --random-source=<(yes || true); }

# The domains of that zone, shuffled.
tables_keys() { # COUNT
	seq -f 'd%.0f.bench.test' 0 $(($1 - 1)) | tables_shuffle
}

tables_as_postfix() { # COMMAND...
	setpriv --reuid=postfix --regid=postfix --clear-groups -- "$@"
}

# Answers in TABLE to the keys, as the daemons of Postfix ask it.
tables_ask() { # TYPE:NAME
	tables_as_postfix postmap -q - "$1" <"$TABLES/keys"
}

tables_asked_once() { mxhop cache stats | awk '/^ *asked once/ { print $NF }'; }

# The keys at the pace of a busy mail server, not of a benchmark, and again.
tables_feed() {
	awk '{ print } NR % 1000 == 0 { fflush(); system("sleep 0.02") }' "$TABLES/keys"
	sleep 2.2
	cat "$TABLES/keys"
	sleep 0.5
}

# Fill mxhop's cache with the keys: DNS answers by `mxhop warm`, finished routes
# by the plugin itself, which writes them in the background, and notes with as
# little hurry that a domain was asked for again: by the hundred, or after two
# seconds. Hot is when there is nothing left to note.
tables_warm_mxhop() {
	local i
	mxhop warm - <"$TABLES/keys" >&2
	for ((i = 0; i < 6; i++)); do
		tables_feed | tables_as_postfix postmap -q - "$MXHOP_TABLE" >/dev/null
		[[ $(tables_asked_once) -gt 0 ]] || break
	done
	assert_eq "$(tables_asked_once)" 0 "domains not yet noted as used"
	tables_ask "$MXHOP_TABLE" >"$TABLES/answers"
	assert_eq "$(wc -l <"$TABLES/answers")" "$(wc -l <"$TABLES/keys")" "answers"
}

# Static tables of what mxhop says: $TABLES/static.lmdb and .cdb. In an order of
# their own: cdb stores as it reads, and would be asked from front to end.
tables_make_static() {
	sort "$TABLES/answers" >"$TABLES/static"
	postmap "lmdb:$TABLES/static"
	postmap "cdb:$TABLES/static"
}

tables_prepare() { # COUNT SETS
	mkdir -p "$TABLES"
	tables_zone "$1" "$2"
	tables_keys "$1" >"$TABLES/keys"
	start_nsd
	configure_postfix
	use_mxhop_plugin <<-END
		dns_servers = $NSD_ADDRESS
		cache_size = 256M
		rotate_interval = 7d
	END
	tables_warm_mxhop
	tables_make_static
}

# How many system calls postmap and its threads make for all keys.
tables_syscalls() { # TYPE:NAME
	local counts=$TABLES/strace
	rm -f "$counts"
	install -o postfix -m 0600 /dev/null "$counts"
	tables_as_postfix strace -f -c -o "$counts" postmap -q - "$1" \
		<"$TABLES/keys" >"$TABLES/answers.strace"
	cmp -s "$TABLES/answers" "$TABLES/answers.strace" ||
		fail "$1 answers otherwise under strace"
	awk '$1 ~ /^[0-9.]+$/ && $NF != "total" { n += $4 } END { print n }' "$counts"
}
