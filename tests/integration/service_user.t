# shellcheck shell=bash disable=SC2016
# The units of contrib/systemd, and whom what belongs to when they run: mxhop
# writes the override table, Postfix reads it, root trusts neither.

# shellcheck source=tests/integration/ldap.sh
. "$ROOT/tests/integration/ldap.sh"

DIR=/var/lib/mxhop
STORE=/var/lib/mxhop-tls
UNITS=$ROOT/contrib/systemd

setup() {
	zone test <<-'END'
		plain  MX 10 mx1
		over   MX 10 mx1
		mx1    A 192.0.2.1
	END
	start_dns
	configure_postfix
	make -s -C "$ROOT" install >&2
	systemd-tmpfiles --create mxhop.conf
	echo 'overrides = ldif:/etc/mxhop/overrides.ldif' >/etc/mxhop/mxhop.cf
	override over over.test '[192.0.2.10]' >/etc/mxhop/overrides.ldif
	start_postfix "transport_maps = $M"
}

case_units_are_well_formed() {
	local unit dir=/usr/local/lib/systemd/system
	assert_eq "$(ls "$dir")" "$(ls "$UNITS")"
	for unit in "$dir"/*; do
		assert_status 0 systemd-analyze verify --man=no "$unit"
		assert_eq "$OUTPUT" '' "$unit"
	done
	assert_status 0 systemd-analyze security --offline=true --threshold=20 \
		"$dir/mxhop-follow.service"
}

# The part of a unit that says as what it runs.
sandbox() { sed -n '/^# Below is the same/,/^\[Install\]/p' "$1" | grep '='; }

case_both_services_have_the_same_sandbox() {
	assert_match "$(sandbox "$UNITS/mxhop-follow.service")" 'ProtectSystem=strict'
	assert_eq "$(sandbox "$UNITS/mxhop-refresh.service")" \
		"$(sandbox "$UNITS/mxhop-follow.service")"
}

# --- a table of that user ---

assert_sent_to() { # USER HOST
	sleep 1 # what a daemon looked at just before, it takes for a second
	send_mail alice@mta.mxhop.test "$1@over.test"
	wait_for_log "to=<$1@over.test>, relay=$2.*status=sent"
}

case_jailed_postfix_reads_what_the_service_wrote() {
	start_sink 192.0.2.10
	run_unit mxhop-refresh.service
	assert_eq "$(stat -c '%U %G %a' $DIR $DIR/overrides $DIR/overrides.lock)" \
		$'mxhop mxhop 755\nmxhop mxhop 644\nmxhop mxhop 600'
	assert_match "$(postconf -M rewrite/unix)" ' y +- +- +trivial-rewrite'
	assert_sent_to one 192.0.2.10
	refute_log 'warning:.*mxhop'
}

case_the_service_changes_what_a_daemon_sees() {
	start_sink 192.0.2.11
	override over over.test '[192.0.2.11]' >/etc/mxhop/overrides.ldif
	run_unit mxhop-refresh.service
	assert_sent_to three 192.0.2.11
}

# The administrator at a shell: the same file, the same owner.
case_root_refreshes_as_the_owner() {
	start_sink 192.0.2.12
	override over over.test '[192.0.2.12]' >/etc/mxhop/overrides.ldif
	assert_status 0 mxhop refresh
	refute_match "$OUTPUT" 'warning|cache'
	assert_eq "$(stat -c '%U %G %a' $DIR/overrides $DIR/overrides.lock)" \
		$'mxhop mxhop 644\nmxhop mxhop 600'
	assert_sent_to four 192.0.2.12
	run_unit mxhop-refresh.service
}

case_what_root_had_made_becomes_the_services() {
	stop_postfix
	rm -f $DIR/*
	chown root: $DIR
	mxhop refresh
	assert_eq "$(stat -c %U $DIR/overrides)" root
	run_unit mxhop-refresh.service
	assert_eq "$(stat -c '%U %G' $DIR/overrides.lock)" 'mxhop mxhop'
	assert_eq "$(postmap -q over.test $M)" ':[192.0.2.12]'
	start_postfix
}

as_mxhop() { setpriv --reuid mxhop --regid mxhop --clear-groups "$@"; }

# Whoever took that user over must not get root by it: root opens the table, and
# nothing else of that user's, so that neither a link nor a FIFO leads it astray
# or holds it up, and maps or locks nothing.
case_root_is_not_led_astray() {
	run_unit mxhop-refresh.service
	head -c 100000 /dev/zero >"$SCRATCH/precious"
	strace -f -qq -y -o "$SCRATCH/calls" postmap -q over.test $M
	assert_match "$(grep -c "$DIR/overrides" "$SCRATCH/calls")" '^[1-9]'
	assert_eq "$(grep "openat.*mxhop/overrides" "$SCRATCH/calls" |
		grep -v 'O_RDONLY|O_NOCTTY|O_NONBLOCK|O_NOFOLLOW|O_CLOEXEC' || true)" ''
	assert_eq "$(grep -E "(mmap|flock|fcntl|write|truncate)[^(]*\(.*$DIR/" "$SCRATCH/calls" || true)" ''
	as_mxhop ln -sf "$SCRATCH/precious" $DIR/overrides
	assert_match "$(postmap -q over.test $M 2>&1)" "$DIR/overrides: is a symbolic link"
	cmp "$SCRATCH/precious" <(head -c 100000 /dev/zero)
	rm $DIR/overrides
	run_unit mxhop-refresh.service
}

# --- the service that fetches policies ---

case_the_fetching_service_has_a_user_and_a_sandbox() {
	assert_status 0 systemd-analyze security --offline=true --threshold=20 \
		/usr/local/lib/systemd/system/mxhop-tls.service
	systemd-sysusers --dry-run mxhop.conf
	start_unit mxhop-tls.service
	eventually 10 test -e $STORE/policies ||
		fail "$(cat "$SCRATCH/mxhop-tls.service.log")"
	assert_eq "$(stat -c '%U %G %a' $STORE $STORE/policies)" \
		$'mxhop-tls mxhop-tls 755\nmxhop-tls mxhop-tls 644'
	assert_status 0 setpriv --reuid postfix --clear-groups mxhop tls list
	assert_status 0 mxhop tls list
}

# Neither the user of the other service nor the mail system's can put another
# store in its place, or take it away.
case_the_store_is_out_of_reach_for_others() {
	local user before command
	start_unit mxhop-tls.service
	eventually 10 test -e $STORE/policies
	run_unit mxhop-refresh.service
	assert_eq "$(stat -c %U $DIR $STORE)" $'mxhop\nmxhop-tls'
	before=$(stat -c '%i %U %a' $STORE $STORE/policies)
	for user in mxhop postfix; do
		for command in "mv -T $STORE $STORE.old" "rm $STORE/policies" \
			"touch $STORE/new" "dd if=/dev/null of=$STORE/policies"; do
			# shellcheck disable=SC2086
			assert_status 1 setpriv --reuid $user --regid $user --clear-groups $command
		done
	done
	assert_eq "$(stat -c '%i %U %a' $STORE $STORE/policies)" "$before"
}
