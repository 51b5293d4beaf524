# shellcheck shell=bash disable=SC2016,SC2154
# syscalls.t: a cached answer costs no system call (docs/design.md 1): many
# lookups through the plugin make as many as in a static cdb: table that is mapped once.

# shellcheck source=tests/bench/tables.sh
. "$ROOT/tests/bench/tables.sh"

KEYS=20000

setup() {
	tables_prepare "$KEYS" 2000
	stop nsd # from here on only what is cached can be answered
}

case_answers_are_those_of_the_static_table() {
	tables_ask "$MXHOP_TABLE" >"$TABLES/mxhop"
	tables_ask "cdb:$TABLES/static" >"$TABLES/cdb"
	cmp "$TABLES/mxhop" "$TABLES/cdb" || fail "they differ"
	assert_eq "$(wc -l <"$TABLES/mxhop")" "$KEYS" answers
}

case_as_many_system_calls_as_cdb() {
	local mxhop cdb difference
	mxhop=$(tables_syscalls "$MXHOP_TABLE")
	cdb=$(tables_syscalls "cdb:$TABLES/static")
	difference=$((mxhop - cdb))
	echo "mxhop $mxhop, cdb $cdb"
	[[ $cdb -gt 100 ]] || fail "strace counted only $cdb calls"
	[[ ${difference#-} -le 500 ]] ||
		fail "$mxhop system calls with mxhop, $cdb with cdb"
}

overrides_of_others() { # PORT
	seq 1 1000 | awk -v port="$1" '{ print "dn: cn=o" $1 ",dc=test\nobjectClass: mxhopOverride\ncn: o" $1 "\nmxhopKey: o" $1 ".test\nmxhopHop: [192.0.2.1]:" port "\n" }' \
		>/etc/mxhop/overrides.ldif
	mxhop refresh
}

use_overrides_of_others() {
	grep -q '^overrides' /etc/mxhop/mxhop.cf ||
		echo 'overrides = ldif:/etc/mxhop/overrides.ldif' >>/etc/mxhop/mxhop.cf
	overrides_of_others 25
	for _ in 1 2; do # answers are made anew, once, for another configuration
		tables_feed | tables_as_postfix postmap -q - "$MXHOP_TABLE" >/dev/null
	done
}

# With a set of overrides that concerns none of them, and three looks a second at
# files that may change.
case_overrides_of_others_cost_none() {
	local mxhop cdb from
	use_overrides_of_others
	from=$(now_ms)
	mxhop=$(tables_syscalls "$MXHOP_TABLE")
	cdb=$(tables_syscalls "cdb:$TABLES/static")
	[[ $((mxhop - cdb)) -le $((500 + ($(now_ms) - from) / 100)) ]] ||
		fail "$mxhop system calls with mxhop, $cdb with cdb"
}

# Nor do changes of them, as a directory that is followed commits them: each run
# comes to a new set, and the last one sees sets come.
case_changes_of_others_cost_none() {
	local mxhop cdb round from
	use_overrides_of_others
	cdb=$(tables_syscalls "cdb:$TABLES/static")
	for round in 1 2 3; do
		overrides_of_others $((25 + round))
		[[ $round -lt 3 ]] || spawn changes bash -c '
			for port in {2000..2999}; do
				sed -i "s/\]:.*/]:$port/" /etc/mxhop/overrides.ldif
				mxhop refresh || exit
				sleep 0.5
			done'
		from=$(now_ms)
		mxhop=$(tables_syscalls "$MXHOP_TABLE")
		[[ $((mxhop - cdb)) -le $((500 + ($(now_ms) - from) / 20)) ]] ||
			fail "$mxhop system calls with mxhop, $cdb with cdb"
	done
	stop changes
}
