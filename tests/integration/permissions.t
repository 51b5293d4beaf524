# shellcheck shell=bash disable=SC2016
# Who may read, write and hold up the override table: ordinary users, owners
# of directories, and files that are somebody else's.

TABLE=/var/lib/mxhop/overrides
LDIF=/etc/mxhop/overrides.ldif
OTHER=/var/lib/other
CF=/etc/mxhop/other.cf

setup() {
	zone test <<-'END'
		plain  MX 10 mx1
		over   MX 10 mx1
		mx1    A 192.0.2.1
	END
	start_dns
	use_mxhop_plugin <<<"overrides = ldif:$LDIF"
	install -m 0644 "$MXHOP_BUILD/plugins/postfix-mxhop.so" /usr/lib/postfix/
	entry one over.test | refresh_overrides
	postconf -e "transport_maps = $M"
	cool_main_cf
	printf '%s\n' "overrides = ldif:$LDIF" "override_table = $OTHER/t" >"$CF"
}

entry() { # NAME KEY
	printf '%s\n' "dn: cn=$1,dc=test" 'objectClass: mxhopOverride' "cn: $1" \
		"mxhopKey: $2" 'mxhopHop: [192.0.2.10]' ''
}

as_user() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }

# A directory of that user, empty.
other_directory() {
	rm -rf "$OTHER"
	install -d -m 0755 -o 65534 "$OTHER"
}

case_ordinary_user_asks() {
	assert_eq "$(as_user postmap -q over.test "$M")" ':[192.0.2.10]'
	assert_status 0 as_user mxhop lookup over.test
	assert_match "$OUTPUT" '192.0.2.10'
	refute_match "$OUTPUT" 'warning'
}

# flock(2) needs no more than the right to read.
case_ordinary_user_cannot_hold_a_refresh_up() {
	local holder
	setpriv --reuid 65534 --regid 65534 --clear-groups \
		bash -c "exec 9<$TABLE; flock -s 9; exec sleep 60" &
	holder=$!
	sleep 0.3
	assert_status 0 timeout 20 mxhop refresh
	kill "$holder"
}

# The test machine has a group postfix that this user cannot give files to.
case_ordinary_user_has_a_table_of_his_own() {
	other_directory
	assert_status 0 as_user mxhop -c "$CF" refresh
	assert_status 0 as_user mxhop -c "$CF" lookup over.test
	assert_status 0 setpriv --reuid postfix --regid postfix --clear-groups \
		mxhop -c "$CF" lookup over.test
}

case_root_does_not_write_into_a_directory_of_others() {
	other_directory
	chown 65000 "$OTHER"
	assert_status 74 mxhop -c "$CF" refresh
	assert_match "$OUTPUT" "$OTHER: this directory belongs to uid 65000"
}

# Where the owner is a user that there is, root becomes that user.
case_root_refreshes_as_the_owner_of_the_directory() {
	other_directory
	assert_status 0 mxhop -c "$CF" refresh
	assert_eq "$(stat -c %u "$OTHER/t" "$OTHER/t.lock")" $'65534\n65534'
	chmod 0600 "$LDIF"
	assert_status 74 mxhop -c "$CF" refresh
	assert_match "$OUTPUT" "$LDIF: Permission denied"
	chmod 0644 "$LDIF"
}

# Whose directory it is may put links there.
case_a_link_is_not_followed() {
	other_directory
	install -m 0600 "$TABLE" "$SCRATCH/precious"
	as_user ln -s "$SCRATCH/precious" "$OTHER/t"
	assert_status 75 mxhop -c "$CF" lookup over.test
	assert_match "$OUTPUT" "$OTHER/t: is a symbolic link"
	assert_status 74 mxhop -c "$CF" refresh
	rm -f "$OTHER/t" "$OTHER/t.lock"
	as_user ln -s "$SCRATCH/precious" "$OTHER/t.lock"
	assert_status 74 mxhop -c "$CF" refresh
	assert_match "$OUTPUT" "$OTHER/t.lock: is a symbolic link"
	cmp "$SCRATCH/precious" "$TABLE"
}

case_a_table_of_postfix_is_not_ours_to_fill() {
	rm -rf "$OTHER"
	install -d "$OTHER"
	echo 'x y' >"$OTHER/x"
	postmap "lmdb:$OTHER/x"
	mv "$OTHER/x.lmdb" "$OTHER/t"
	assert_status 74 mxhop -c "$CF" refresh
	assert_match "$OUTPUT" "$OTHER/t: is not an override table"
	cp "$OTHER/t" "$OTHER/x.lmdb"
	assert_eq "$(postmap -s "lmdb:$OTHER/x" 2>&1)" $'x\ty'
}

case_two_entries_with_one_dn() {
	{ entry one over.test && entry one plain.test; } >"$LDIF"
	assert_status 65 mxhop refresh
	assert_match "$OUTPUT" "$LDIF:7: cn=one,dc=test: the entry in line 1 has the same DN"
	assert_match "$OUTPUT" '1 entry.* 1 skipped'
	assert_status 2 mxhop check
}

# --- what a daemon notices, jailed, though Postfix watches one file only ---

assert_sent_to() { # USER HOST
	send_mail alice@mta.mxhop.test "$1@over.test"
	wait_for_log "to=<$1@over.test>, relay=$2.*status=(sent|deferred)"
}

case_table_replaced_under_a_daemon() {
	entry one over.test | refresh_overrides
	start_sink 192.0.2.1
	start_sink 192.0.2.10
	start_postfix "transport_maps = $M"
	assert_sent_to before 192.0.2.10
	rm "$TABLE"
	entry one other.test | refresh_overrides
	eventually 40 comes_to mx1.test || fail "still the old table"
	refute_log 'reload --|panic|fatal|killed by signal'
}

# There is more than one daemon, and each notices when it is asked.
comes_to() { # HOST
	local user=try$RANDOM
	send_mail alice@mta.mxhop.test "$user@over.test"
	eventually 5 log_has "$MAIL_LOG" "to=<$user@over.test>" || return 1
	log_has "$MAIL_LOG" "to=<$user@over.test>, relay=$1.*status=sent"
}

case_configuration_changed_while_the_table_is_missing() {
	start_sink 192.0.2.1
	rm "$TABLE"
	reload_postfix
	mark
	send_mail alice@mta.mxhop.test missing@over.test
	wait_for_log 'to=<missing@over.test>.*dsn=4.3.5, status=deferred'
	echo 'cache = memory' >/etc/mxhop/mxhop.cf
	eventually 40 comes_to mx1.test || fail "still deferred"
	refute_log 'status=bounced|reload --|panic|fatal|killed by signal'
	purge
	stop_postfix
}
