# shellcheck shell=bash disable=SC2016
# `mxhop refresh` under a running Postfix: seen at the next lookup, refused as a
# whole when the source is bad, and what the MTA does without a usable table.
#
# Each message has a recipient of its own: qmgr(8) remembers its last answer.

TABLE=/var/lib/mxhop/overrides
LDIF=/etc/mxhop/overrides.ldif
LOOKS=1.1 # seconds between two looks of a daemon at its table

setup() {
	zone test <<-'END'
		plain  MX 10 mx1
		over   MX 10 mx1
		mx1    A 192.0.2.1
	END
	start_dns
	use_mxhop_plugin <<<''
	configure
	good_table
	start_sink 192.0.2.1
	start_sink 192.0.2.10
	start_postfix "transport_maps = $M"
}

configure() { # [LINE...]
	printf '%s\n' "overrides = ldif:$LDIF" 'cache = memory' 'lookup_budget = 2s' \
		'wait_share = 100%' "$@" >/etc/mxhop/mxhop.cf
}

# One entry a line: NAME KEY HOP.
ldif() {
	local name key hop
	while read -r name key hop; do
		printf '%s\n' "dn: cn=$name,dc=test" 'objectClass: mxhopOverride' \
			"cn: $name" "mxhopKey: $key" "mxhopHop: $hop" ''
	done
}

four_entries() {
	ldif <<-'END'
		one    over.test  [192.0.2.10]
		two    two.test   [192.0.2.10]
		three  three.test [192.0.2.10]
		four   four.test  [192.0.2.10]
	END
}

good_table() {
	four_entries >"$LDIF"
	mxhop refresh --force
}

# What the last refresh has left beside the table.
state() { # FILTER
	jq -r "$1" "$TABLE.state"
}

# A table as new, under the Postfix that runs.
fresh_table() {
	rm -f "$TABLE"*
	good_table
}

# The daemons that run now are still there, when asked again: PIDs are words.
rewrite_pids() { pgrep -x trivial-rewrite | tr '\n' ' '; }

assert_not_restarted() { # PID...
	local pid
	for pid; do
		kill -0 "$pid" || fail "process $pid has ended"
	done
	refute_log 'has changed -- restarting'
}

# Mail for USER@over.test goes to HOST now.
assert_sent_to() { # USER HOST
	send_mail alice@mta.mxhop.test "$1@over.test"
	wait_for_log "to=<$1@over.test>, relay=$2.*status=sent"
}

assert_override() { # ANSWER
	assert_eq "$(postmap -q over.test "$M" 2>"$SCRATCH/stderr" || true)" "$1" \
		"over.test ($(<"$SCRATCH/stderr"))"
}

# --- what a refresh changes, and when ---

case_seen_by_the_running_jailed_daemon() {
	local pid pids
	assert_sent_to before 192.0.2.10
	read -ra pids <<<"$(rewrite_pids)"
	for pid in "${pids[@]}"; do
		assert_eq "$(readlink "/proc/$pid/root")" /var/spool/postfix "jail of $pid"
	done
	{
		ldif <<<'one over.test [192.0.2.11]'
		four_entries | tail -n +7
	} >"$LDIF"
	mxhop refresh
	start_sink 192.0.2.11
	sleep $LOOKS
	assert_sent_to after 192.0.2.11
	sed -i 's/over.test/other.test/' "$LDIF"
	mxhop refresh
	sleep $LOOKS
	assert_sent_to without mx1.test
	good_table
	sleep $LOOKS
	assert_sent_to again 192.0.2.10
	assert_not_restarted "${pids[@]}"
}

case_a_large_set_under_the_running_daemon() {
	local pids
	assert_sent_to small 192.0.2.10
	read -ra pids <<<"$(rewrite_pids)"
	{
		four_entries
		seq 1 20000 | awk '{ print "x" $1, "d" $1 ".large.test", "[192.0.2.10]" }' | ldif
	} >"$LDIF"
	assert_status 0 mxhop refresh
	assert_match "$OUTPUT" '20004 entries'
	sleep $LOOKS
	send_mail alice@mta.mxhop.test user@d20000.large.test
	wait_for_log 'to=<user@d20000.large.test>, relay=192.0.2.10'
	assert_not_restarted "${pids[@]}"
	good_table
}

case_unchanged_set() {
	good_table
	assert_status 0 mxhop refresh
	assert_match "$OUTPUT" '^/var/lib/mxhop/overrides: 4 entries \(unchanged\), id [0-9a-f]{8}, 0 skipped$'
}

case_seen_by_proxymap() {
	local pid
	postfix_set "transport_maps = proxy:$M"
	assert_sent_to proxy1 192.0.2.10
	pid=$(pgrep -x proxymap)
	assert_eq "$(stat -c %U "/proc/$pid")" postfix
	start_sink 192.0.2.12
	sed 's/192.0.2.10/192.0.2.12/' "$LDIF" >"$LDIF.new"
	mv "$LDIF.new" "$LDIF"
	mxhop refresh
	sleep $LOOKS
	assert_sent_to proxy2 192.0.2.12
	assert_eq "$(pgrep -x proxymap)" "$pid" proxymap
	good_table
	postfix_set "transport_maps = $M"
}

# --- sources that are refused ---

# The file is refused with this line and text, and the old set stays.
assert_refused() { # LINE REGEX < LDIF
	cat >"$LDIF"
	assert_status 65 mxhop refresh --force
	assert_match "$OUTPUT" "^mxhop: $LDIF:$1: $2"
	assert_override ':[192.0.2.10]'
}

case_broken_ldif_leaves_the_old_table() {
	local head=$'dn: cn=a,dc=test\nobjectClass: mxhopOverride\n'
	good_table
	assert_refused 3 'expected "attribute: value"' <<<"${head}mxhopKey over.test"
	assert_refused 4 'a second dn:' <<<"${head}mxhopKey: over.test"$'\ndn: cn=b,dc=test'
	assert_refused 2 'expected dn:' <<<$'\nmxhopKey: over.test'
	assert_refused 1 'this is not a distinguished name' <<<"dn: over.test"
	assert_refused 2 'change records' <<<$'dn: cn=a,dc=test\nchangetype: delete'
	assert_refused 3 'control byte 0x07' <<<"${head}mxhopReason: "$'\a'
	assert_refused 3 'control byte 0x00' < <(printf '%smxhopReason: a\0b\n' "$head")
	assert_refused 3 'expected "attribute: value" or "attribute:: base64"' \
		<<<"${head}mxhopKey:: b3Zl!!!!"
	# Good entries before and after it do not help.
	assert_refused 26 'expected "attribute: value"' < <(
		four_entries
		echo 'dn: cn=z,dc=test'
		echo 'mxhopMode replace'
		echo
		ldif <<<'y y.test [192.0.2.10]'
	)
	# And still by the daemon, in force the whole time.
	assert_sent_to unharmed 192.0.2.10
	good_table
}

# Nothing of a file that the LDIF names may end up in the table or on screen.
case_ldif_reads_no_other_file() {
	local head=$'dn: cn=a,dc=test\nobjectClass: mxhopOverride\nmxhopKey: over.test\n'
	good_table
	printf 'secret.test' >"$SCRATCH/secret"
	assert_refused 4 'values from a URL \(attr:< ...\) are refused' \
		<<<"${head}mxhopHop:< file://$SCRATCH/secret"
	assert_refused 4 'values from a URL' <<<"${head}mxhopHop:"$'\n'" < file://$SCRATCH/secret"
	assert_refused 4 'values from a URL' <<<"${head}description:<file://$SCRATCH/secret"
	assert_refused 1 'values from a URL' <<<"dn:< file://$SCRATCH/secret"
	assert_refused 1 'include: is refused' <<<"include: file://$LDIF"$'\n'"$head"
	assert_refused 5 'include: is refused' <<<"$head"$'\nINCLUDE: file:///etc/passwd'
	refute_match "$OUTPUT" 'secret\.test|root:'
	good_table
}

case_base64_and_folded_lines_are_fine() {
	{
		four_entries | tail -n +7
		printf '%s\n' 'dn: cn=one,dc=test' 'objectClass: mxhopOverride' \
			"mxhopKey:: $(printf over.test | base64)" 'mxhopHop: [192.0.' ' 2.13]'
	} >"$LDIF"
	assert_status 0 mxhop refresh
	assert_override ':[192.0.2.13]'
	good_table
}

case_source_that_cannot_be_read() {
	good_table
	rm "$LDIF"
	assert_status 74 mxhop refresh --force
	assert_match "$OUTPUT" "$LDIF: No such file or directory"
	mkdir "$LDIF"
	assert_status 74 mxhop refresh --force
	assert_match "$OUTPUT" "$LDIF: not a regular file"
	rmdir "$LDIF"
	mkfifo "$LDIF"
	assert_status 74 timeout 5 mxhop refresh --force
	assert_match "$OUTPUT" "$LDIF: not a regular file"
	rm "$LDIF"
	assert_override ':[192.0.2.10]'
	good_table
}

case_shrunk_set_is_held_back() {
	fresh_table
	# What changes and what is new is in force at once, what is gone stays.
	ldif <<<$'one over.test [192.0.2.14]\nfive plain.test [192.0.2.14]' >"$LDIF"
	sed -i 1,6d "$LDIF"
	assert_status 75 mxhop refresh
	assert_match "$OUTPUT" "held back: 3 of 4 entries would be dropped.*override_shrink_limit \(50 %\).*--force"
	assert_match "$OUTPUT" ': 5 entries, id [0-9a-f]{8}, 0 skipped, 4 held back$'
	assert_override ':[192.0.2.10]'
	assert_eq "$(postmap -q plain.test "$M")" ':[192.0.2.14]'
	assert_eq "$(state '.held_back, (.held | sort)[1]')" $'4\ncn=one,dc=test'
	assert_status 75 mxhop refresh
	assert_match "$OUTPUT" '\(unchanged\)'
	# An entry for the same key beats one that is held back, and of those that
	# the source has again nothing is held back.
	{ ldif <<<'zero over.test [192.0.2.15]' && four_entries | tail -n +13; } >"$LDIF"
	assert_status 0 mxhop refresh
	assert_override ':[192.0.2.15]'
	assert_eq "$(state .held_back)" 0
	# Half of them may go, and with --force all.
	ldif <<<$'one over.test [192.0.2.14]\ntwo two.test [192.0.2.14]' >"$LDIF"
	assert_status 0 mxhop refresh --force
	assert_override ':[192.0.2.14]'
	: >"$LDIF"
	assert_status 0 mxhop refresh --force
	assert_match "$OUTPUT" ': 0 entries'
	assert_override ':[mx1.test]'
	good_table
}

# --- entries that are edited wrongly ---

case_last_good_version_stays() {
	fresh_table
	{
		ldif <<<$'one over.test [192.0.2.10]:99999\nfive plain.test [192.0.2.14]'
		four_entries | tail -n +7
	} >"$LDIF"
	assert_status 65 mxhop refresh --strict
	assert_match "$OUTPUT" 'nothing is changed: 1 entry is invalid'
	assert_eq "$(postmap -q plain.test "$M" || true)" ':[mx1.test]'
	assert_match "$(state .error)" 'nothing is changed'
	for _ in 1 2; do
		assert_status 65 mxhop refresh
		assert_match "$OUTPUT" "$LDIF:[0-9]+: cn=one,dc=test: mxhopHop: .*; the last good version \(kept since 20.*Z\) stays in force"
		assert_match "$OUTPUT" ': 5 entries.* 0 skipped, 1 kept in an older version$'
	done
	assert_sent_to kept 192.0.2.10
	assert_eq "$(postmap -q plain.test "$M")" ':[192.0.2.14]'
	assert_eq "$(state '.kept[0].dn, .error')" $'cn=one,dc=test\nnull'
	# Switched off counts, and the last good version is not lost by that.
	sed -i '4s/$/\nmxhopEnabled: FALSE/' "$LDIF"
	assert_status 65 mxhop refresh
	assert_match "$OUTPUT" 'is switched off, as mxhopEnabled says'
	assert_override ':[mx1.test]'
	sed -i '/mxhopEnabled/d' "$LDIF"
	assert_status 65 mxhop refresh
	assert_override ':[192.0.2.10]'
	# As long as the source has the entry.
	sed -i 1,6d "$LDIF"
	assert_status 0 mxhop refresh
	assert_override ':[mx1.test]'
	good_table
}

case_a_first_refresh_of_nothing_valid() {
	rm -f "$TABLE"*
	four_entries | sed 's/^mxhopHop/mxhopHopp/' >"$LDIF"
	assert_status 65 mxhop refresh
	assert_match "$OUTPUT" ': 0 entries, id [0-9a-f]{8}, 4 skipped$'
	assert_eq "$(state .left_out)" 4
	good_table
}

# The table is filled with a copy of the configuration, and then switched on: no
# message waits for it.
case_first_refresh_before_it_is_switched_on() {
	rm -f "$TABLE"*
	four_entries >"$LDIF"
	sed -i '/^overrides/d' /etc/mxhop/mxhop.cf
	reload_postfix
	assert_sent_to before mx1.test
	{ cat /etc/mxhop/mxhop.cf && echo "overrides = ldif:$LDIF"; } >/etc/mxhop/mxhop.cf.new
	assert_status 0 mxhop -c /etc/mxhop/mxhop.cf.new refresh
	mark
	mv /etc/mxhop/mxhop.cf.new /etc/mxhop/mxhop.cf
	reload_postfix
	assert_sent_to after 192.0.2.10
	refute_log 'status=deferred'
}

# Nothing is written, and the status is that of a refresh.
case_dry_run() {
	local before
	fresh_table
	sed -i 's|^cache = .*|cache = /run/mxhop/dry|' /etc/mxhop/mxhop.cf
	mxhop lookup plain.test >/dev/null
	before=$(stat -c '%i %y %s' "$TABLE"*)
	{
		ldif <<<$'one over.test [192.0.2.14]\nfive plain.test [192.0.2.14]'
		ldif <<<'two two.test [192.0.2.10]:99999'
	} >"$LDIF"
	assert_status 65 mxhop refresh --dry-run
	assert_match "$OUTPUT" '\+ cn=five,dc=test'
	assert_match "$OUTPUT" '! cn=one,dc=test.*- mxhopHop: \[192.0.2.10\].*\+ mxhopHop: \[192.0.2.14\]'
	assert_match "$OUTPUT" '- cn=four,dc=test'
	assert_match "$OUTPUT" 'would have 3 entries: 1 added, 1 changed, 2 removed, 0 skipped, 1 kept in an older version, 0 held back; nothing is written'
	assert_match "$OUTPUT" 'plain.test: no override -> cn=five,dc=test'
	assert_match "$OUTPUT" '1 cached domain gets another entry'
	{ # one that excludes no host of it
		four_entries
		printf '%s\n' 'dn: cn=none,dc=test' 'objectClass: mxhopOverride' \
			'cn: none' 'mxhopKey: plain.test' 'mxhopMode: exclude' \
			'mxhopExclude: elsewhere.test'
	} >"$LDIF"
	assert_status 0 mxhop refresh --dry-run
	assert_match "$OUTPUT" '0 cached domains get another entry'
	: >"$LDIF"
	assert_status 75 mxhop refresh --dry-run
	assert_match "$OUTPUT" 'held back: cn=one,dc=test'
	assert_status 64 mxhop refresh --dry-run --follow
	rm "$LDIF"
	assert_status 74 mxhop refresh --dry-run
	assert_eq "$(stat -c '%i %y %s' "$TABLE"*)" "$before"
	assert_eq "$(compgen -G '/tmp/mxhop-dry-run-*' || true)" ''
	configure
	good_table
}

case_shrink_limit_is_a_parameter() {
	good_table
	printf '%s\n' "overrides = ldif:$LDIF" 'override_shrink_limit = 100%' >"$SCRATCH/loose.cf"
	: >"$LDIF"
	assert_status 0 mxhop -c "$SCRATCH/loose.cf" refresh
	good_table
	printf '%s\n' "overrides = ldif:$LDIF" 'override_shrink_limit = 0' >"$SCRATCH/tight.cf"
	four_entries | tail -n +7 >"$LDIF"
	assert_status 75 mxhop -c "$SCRATCH/tight.cf" refresh
	good_table
}

# --- tables that cannot be used ---

# With `on_override_failure = defer`: what an administrator sees of it.
assert_table_failure() { # REGEX
	assert_status 75 mxhop lookup over.test
	assert_match "$OUTPUT" "$1"
	assert_override './retry:4.3.5 Routing overrides are not available'
	assert_match "$(<"$SCRATCH/stderr")" "warning: mxhop:/etc/mxhop/mxhop.cf: $1"
	# Local domains do not depend on it.
	assert_status 1 postmap -q mta.mxhop.test "$M"
}

# Outbound mail waits, inbound mail does not, at RCPT and in the queue.
assert_only_outbound_is_deferred() { # USER
	send_mail alice@mta.mxhop.test "$1@over.test"
	wait_for_log "to=<$1@over.test>, .*dsn=4.3.5, status=deferred \(.*Routing overrides are not available"
	send_mail alice@over.test bob@localhost
	wait_for_log 'from=<alice@over.test>'
	wait_for_log 'to=<bob@localhost>.*status=sent \(delivered to mailbox\)'
	assert_status 0 smtp_try someone@over.test bob@mta.mxhop.test
	refute_log "to=<$1@over.test>.*status=(sent|bounced)"
}

# The daemon that could not use the table looks for it at each lookup, and nobody
# touched Postfix. qmgr(8) remembers the last answer it got for half a minute:
# another address makes it ask again.
flushed() {
	send_mail alice@mta.mxhop.test "flush$RANDOM@over.test"
	sleep 0.5
	postqueue -f
	sleep 0.5
	queue_empty
}

assert_recovers() { # USER
	eventually 30 flushed || fail "still queued: $(queued)"
	wait_for_log "to=<$1@over.test>, relay=192.0.2.10.*status=sent"
	refute_log 'has changed -- restarting|reload --|terminating on signal|fatal:|panic:'
}

case_missing_table() {
	stop_postfix
	rm "$TABLE"
	assert_table_failure "$TABLE: No such file or directory; run .mxhop refresh"
	start_postfix
	mark
	assert_only_outbound_is_deferred missing
	# One line a state change and a process, not one a lookup.
	assert_eq "$(maillog | grep -o 'trivial-rewrite.*on_override_failure = defer' | uniq -d)" '' "repeated"
	mxhop refresh
	assert_recovers missing
}

case_missing_table_passes_if_told_so() {
	stop_postfix
	rm "$TABLE"
	configure 'on_override_failure = pass'
	assert_override ''
	assert_status 1 mxhop lookup over.test
	start_postfix
	assert_sent_to passes mx1.test
	stop_postfix
	configure
	good_table
	start_postfix
}

# Damage is a fault, never "no override", and a refresh mends it.
case_damaged_tables() {
	local damage
	for damage in 'truncate -s 4096 ' 'truncate -s 8192 ' 'truncate -s +4096 ' \
		'dd if=/dev/zero bs=64 seek=1 count=2 conv=notrunc status=none of=' \
		'dd if=/dev/urandom bs=4096 seek=1 conv=notrunc count=1 status=none of='; do
		fresh_table
		eval "$damage$TABLE"
		assert_table_failure "$TABLE: (is|has) .*; run .mxhop refresh"
		assert_status 0 mxhop refresh
		assert_override ':[192.0.2.10]'
	done
	# Nor is any other file taken for ours, or an empty file for "none".
	echo 'over.test x' >"$SCRATCH/foreign"
	postmap "lmdb:$SCRATCH/foreign"
	for damage in "$SCRATCH/foreign.lmdb" /etc/passwd; do
		cp "$damage" "$TABLE"
		assert_table_failure "$TABLE: is not an override table; remove it and run .mxhop refresh"
		assert_status 74 mxhop refresh
		assert_match "$OUTPUT" "$TABLE: is not an override table.*remove it"
		cmp "$damage" "$TABLE"
	done
	: >"$TABLE"
	assert_table_failure "$TABLE: is empty; run .mxhop refresh"
	assert_status 0 mxhop refresh
	assert_override ':[192.0.2.10]'
}

case_damaged_table_at_start_of_postfix() {
	stop_postfix
	fresh_table
	truncate -s 5000 "$TABLE"
	start_postfix
	mark
	assert_only_outbound_is_deferred damaged
	mxhop refresh
	assert_recovers damaged
}

case_empty_table_at_start_of_postfix() {
	stop_postfix
	fresh_table
	: >"$TABLE"
	start_postfix
	mark
	assert_only_outbound_is_deferred empty
	mxhop refresh
	assert_recovers empty
}

# A daemon must not go on with a deleted file.
case_table_removed_and_made_anew_under_postfix() {
	fresh_table
	reload_postfix
	assert_sent_to old 192.0.2.10
	rm "$TABLE"
	assert_sent_to deleted 192.0.2.10 # the last good set
	start_sink 192.0.2.15
	four_entries | sed 's/192.0.2.10/192.0.2.15/' >"$LDIF"
	mxhop refresh
	eventually 10 new_set_is_in_force || fail "every process has the old table"
	refute_log 'has changed -- restarting'
}

# Each process of several finds out by itself, and only while it is asked; qmgr(8)
# does not ask again for the address that it asked for last.
new_set_is_in_force() {
	send_mail alice@mta.mxhop.test "notice$RANDOM@over.test"
	sleep 0.5
	log_has "$MAIL_LOG" 'to=<notice[0-9]*@over.test>, relay=192.0.2.15.*status=sent'
}

# proxymap runs as mail_owner and, unlike the jailed daemon, never was root.
case_table_unreadable_by_the_mta_user() {
	fresh_table
	chmod 600 "$TABLE"
	assert_status 75 setpriv --reuid postfix --regid postfix --clear-groups \
		mxhop lookup over.test
	assert_match "$OUTPUT" "$TABLE: Permission denied"
	postfix_set "transport_maps = proxy:$M"
	mark
	assert_only_outbound_is_deferred unreadable
	wait_for_log "warning: mxhop:.*$TABLE: Permission denied"
	# Refresh puts the mode right, and the next lookups find out by themselves.
	mxhop refresh
	assert_eq "$(stat -c '%a %U' "$TABLE")" '644 root'
	assert_eq "$(stat -c '%a %U' "$TABLE.lock")" '600 root'
	drain
	wait_for_log 'to=<unreadable@over.test>, relay=192.0.2.10.*status=sent'
	postfix_set "transport_maps = $M"
}

# --- what refresh does not write to, and lookups do not open ---

case_symlinked_files_are_refused() {
	fresh_table
	head -c 100000 /dev/zero >"$SCRATCH/precious"
	chmod 600 "$SCRATCH/precious"
	ln -sf "$SCRATCH/precious" "$TABLE.lock"
	assert_status 74 mxhop refresh
	assert_match "$OUTPUT" "$TABLE.lock: is a symbolic link; remove it"
	assert_override ':[192.0.2.10]'
	cmp "$SCRATCH/precious" <(head -c 100000 /dev/zero)
	assert_eq "$(stat -c '%a %U %G' "$SCRATCH/precious")" '600 root root'
	rm "$TABLE" "$TABLE.lock"
	ln -s "$SCRATCH/nothing-yet" "$TABLE"
	assert_table_failure "$TABLE: is a symbolic link; remove it"
	assert_status 74 mxhop refresh
	assert_match "$OUTPUT" "$TABLE: is a symbolic link; remove it"
	[[ ! -e $SCRATCH/nothing-yet ]] || fail "written through the link"
	fresh_table
}

case_writable_by_others_is_refused() {
	fresh_table
	chmod 777 /var/lib/mxhop
	assert_status 74 mxhop refresh
	assert_match "$OUTPUT" '/var/lib/mxhop: others may write to this directory; .install -d -m 0755'
	chmod 775 /var/lib/mxhop
	assert_status 74 mxhop refresh
	chmod 755 /var/lib/mxhop
	chmod 666 "$TABLE"
	assert_table_failure "$TABLE: everybody may write to it"
	assert_status 0 mxhop refresh
	assert_override ':[192.0.2.10]'
	rmdir /var/lib/nowhere 2>/dev/null || true
	printf '%s\n' "overrides = ldif:$LDIF" 'override_table = /var/lib/nowhere/t' >"$SCRATCH/nowhere.cf"
	assert_status 74 mxhop -c "$SCRATCH/nowhere.cf" refresh
	assert_match "$OUTPUT" '/var/lib/nowhere: No such file or directory; .install -d'
}

# A refresh ends in the middle, at any point: the old set or the new one.
case_killed_refresh() {
	local i answer
	fresh_table
	{
		four_entries | sed 's/192.0.2.10/192.0.2.16/'
		seq 1 3000 | awk '{ print "x" $1, "d" $1 ".large.test", "[192.0.2.10]" }' | ldif
	} >"$SCRATCH/large.ldif"
	for i in 1 2 4 6 8 10 14 18 25; do
		cp "$SCRATCH/large.ldif" "$LDIF"
		timeout -s KILL "0.00$i" mxhop refresh >/dev/null 2>&1 || true
		answer=$(postmap -q over.test "$M")
		assert_match "$answer" '^:\[192\.0\.2\.1[06]\]$'
		good_table
	done
}

# --- what lies under the name is in force, in a daemon that nobody touches ---

# Mail for over.test goes to HOST within two seconds (and some for the queue).
becomes() { # HOST
	eventually 4 sent_to "$1" || fail "not to $1"
	refute_log 'has changed -- restarting|reload --|killed by signal|fatal:|panic:'
}

sent_to() { # HOST
	local user=try$RANDOM
	send_mail alice@mta.mxhop.test "$user@over.test"
	eventually 2 log_has "$MAIL_LOG" "to=<$user@over.test>" &&
		log_has "$MAIL_LOG" "to=<$user@over.test>, relay=$1.*status=sent"
}

# A set that sends over.test to 192.0.2.17, while $SCRATCH/backup does to .10.
another_set() {
	four_entries | sed 's/192.0.2.10/192.0.2.17/' >"$LDIF"
	mxhop refresh --force
}

case_backups_are_restored_under_a_daemon() {
	local restore
	start_sink 192.0.2.17
	good_table
	cp -p "$TABLE" "$SCRATCH/backup"
	reload_postfix
	mark
	for restore in "cp $SCRATCH/backup $TABLE" \
		"cp -p $SCRATCH/backup $TABLE.x && mv $TABLE.x $TABLE" \
		"rm $TABLE && cp -p $SCRATCH/backup $TABLE"; do
		another_set
		becomes 192.0.2.17
		eval "$restore"
		becomes 192.0.2.10
	done
	good_table
}

# In a directory of its own, which is not there when Postfix starts.
case_directory_missing_at_start_and_made_anew() {
	local d=/var/lib/mxhop/sub
	start_sink 192.0.2.17
	stop_postfix
	configure "override_table = $d/t"
	start_postfix
	mark
	assert_only_outbound_is_deferred nodir
	install -d -m 0755 $d
	good_table
	assert_recovers nodir
	mv $d $d.aside
	becomes 192.0.2.10 # the last good set
	install -d -m 0755 $d
	another_set
	becomes 192.0.2.17
	rm -r $d
	mv $d.aside $d
	becomes 192.0.2.10
	stop_postfix
	rm -r $d
	configure
	good_table
	start_postfix
}

# Its directory was changed just now, and Postfix must not hear of that.
case_no_storm_of_restarts() {
	good_table
	reload_postfix
	mark
	for _ in 1 2 3 4 5 6; do
		chmod 666 "$TABLE"
		touch /var/lib/mxhop
		send_mail alice@mta.mxhop.test "storm$RANDOM@over.test"
		sleep 0.5
		good_table
	done
	eventually 30 flushed || fail "still queued: $(queued)"
	refute_log 'has changed -- restarting|killed by signal|throttling|fatal:|panic:'
}

case_configuration_link_is_turned() {
	local cf=/etc/mxhop/mxhop.cf
	start_sink 192.0.2.18
	good_table
	mv $cf $cf.one
	sed 's|192.0.2.10|192.0.2.18|' "$LDIF" >"$LDIF.two"
	sed "s|ldif:$LDIF|ldif:$LDIF.two|" $cf.one >$cf.two
	echo 'override_table = /var/lib/mxhop/two' >>$cf.two
	mxhop -c $cf.two refresh
	ln -s $cf.one $cf
	reload_postfix
	mark
	assert_sent_to one 192.0.2.10
	ln -sfn $cf.two $cf
	eventually 30 sent_to 192.0.2.18 || fail "still the old one"
	refute_log 'reload --|killed by signal|fatal:|panic:'
	rm $cf $cf.two
	mv $cf.one $cf
	good_table
}

# A daemon in its jail cannot follow such a link, and starts afresh.
case_directory_link_is_turned() {
	local d=/var/lib/mxhop/links i
	start_sink 192.0.2.17
	stop_postfix
	install -d -m 0755 $d $d/one $d/two
	for i in one two; do
		configure "override_table = $d/$i/t"
		another_set
	done
	four_entries >"$LDIF"
	configure "override_table = $d/one/t"
	mxhop refresh --force
	ln -s $d/one $d/link
	configure "override_table = $d/link/t"
	start_postfix
	mark
	eventually 4 sent_to 192.0.2.10 || fail 'not by the link'
	ln -sfn $d/two $d/link
	eventually 30 sent_to 192.0.2.17 || fail 'still by the old link'
	# Moved away, and a link in its place.
	stop_postfix
	rm $d/link
	mv $d/two $d/link
	start_postfix
	mark
	eventually 4 sent_to 192.0.2.17 || fail 'not by the directory'
	mv $d/link $d/two
	ln -s $d/two $d/link
	good_table
	eventually 30 sent_to 192.0.2.10 || fail 'not by the link to where it was moved'
	# A disk that is not there yet.
	stop_postfix
	mv $d/two $d/three
	start_postfix
	mark
	assert_only_outbound_is_deferred nodisk
	mv $d/three $d/two
	eventually 60 flushed || fail "still queued: $(queued)"
	wait_for_log 'to=<nodisk@over.test>, relay=192.0.2.10.*status=sent'
	[[ $(maillog | grep -c 'has changed -- restarting') -lt 10 ]] || fail 'a storm of restarts'
	refute_log 'reload --|killed by signal|fatal:|panic:'
	stop_postfix
	rm -r $d
	configure
	good_table
	start_postfix
}

case_copied_over_during_lookups() {
	local i
	good_table
	cp "$TABLE" "$SCRATCH/a"
	rm "$TABLE"
	good_table
	cp "$TABLE" "$SCRATCH/b"
	spawn over bash -c "while :; do cp $SCRATCH/a $TABLE; cp $SCRATCH/b $TABLE; done"
	for i in {1..2000}; do echo over.test; done >"$SCRATCH/keys"
	for i in {1..30}; do
		<"$SCRATCH/keys" postmap -q - "$M" 2>/dev/null >"$SCRATCH/answers" || fail "run $i: $?"
		assert_eq "$(cut -f 2 "$SCRATCH/answers" | sort -u | grep -vxF -e ':[192.0.2.10]' \
			-e './retry:4.3.5 Routing overrides are not available' || true)" ''
		assert_eq "$(wc -l <"$SCRATCH/answers")" 2000
	done
	stop over
	good_table
	assert_override ':[192.0.2.10]'
}

# --- files of a user who means us no good ---

# Within the time that a lookup has, with the reason, whatever lies there.
assert_bad_table() { # REGEX
	local from
	from=$(now_ms)
	assert_status 75 timeout 10 mxhop lookup over.test
	assert_match "$OUTPUT" "$1"
	assert_eq "$(timeout 10 postmap -q over.test "$M" 2>/dev/null)" './retry:4.3.5 Routing overrides are not available'
	[[ $(($(now_ms) - from)) -lt 5000 ]] || fail 'held up'
}

case_hostile_tables() {
	fresh_table
	rm "$TABLE"
	mkfifo "$TABLE"
	assert_bad_table "$TABLE: is not a regular file"
	rm "$TABLE"
	good_table
	truncate -s 8T "$TABLE"
	assert_bad_table "$TABLE: is too large"
	rm "$TABLE"
	mkdir "$TABLE"
	assert_bad_table "$TABLE: is not a regular file"
	rmdir "$TABLE"
	fresh_table
}

# What only the owner of a file can hold: a lease. Everybody may lock it.
hold() { # lease|lock
	spawn held python3 -u -c '
import fcntl, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
if sys.argv[2] == "lease":
    fd = os.open(sys.argv[1], os.O_WRONLY)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
else:
    fd = os.open(sys.argv[1], os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
print("held", sys.argv[2])
signal.pause()' "$TABLE" "$1"
	eventually 10 log_has "$SCRATCH/held.log" "held $1" || fail "$(<"$SCRATCH/held.log")"
}

case_held_tables() {
	stop_postfix # nobody has it open
	fresh_table
	hold lease
	assert_bad_table "$TABLE: another process holds a lease on it"
	hold lock
	assert_override ':[192.0.2.10]'
	assert_status 0 timeout 10 mxhop refresh
	stop held
}
