# shellcheck shell=bash disable=SC2016
# What may happen to a directory and the way to it, and that mail does not
# notice: lookups do not wait, nobody sees half a set, the last good set holds,
# one line is logged when a state begins.

# shellcheck source=tests/integration/ldap.sh
. "$ROOT/tests/integration/ldap.sh"
# shellcheck source=tests/integration/hosts.sh
. "$ROOT/tests/integration/hosts.sh"

TABLE=/var/lib/mxhop/overrides
ENTRIES=1000

setup() {
	zone test <<-'END'
		plain  MX 10 mx
		mx     A 192.0.2.1
	END
	start_dns
	configure_postfix
	make -s -C "$ROOT" install >&2
	systemd-tmpfiles --create mxhop.conf
	ldap_certificate good
	ldap_certificate old '3 days ago' '1 day ago'
	start_directory
	stop dir
	bulk_overrides 1 $ENTRIES | slapd_load dir
	restart_slapd dir
	start_link
	configure
	postconf -e "transport_maps = $M"
	cool_main_cf
	assert_status 0 mxhop refresh
	start_postfix
}

start_directory() { # [START_SLAPD-OPTION...]
	start_slapd dir syncprov=1000 tls=good tls_port=636 "$@"
}

# As each case finds it: what starts in a case ends with it.
need_directory() {
	start_directory
	configure
}

# The directory behind a link that can break.
start_link() { start_faultlink link 127.0.0.2:389 127.0.0.1:389 pass; }

# mxhop.cf; LINEs take the place of those that set the same.
configure() { # [LINE...]
	local line
	{
		printf '%s\n' "$@"
		for line in 'overrides = ldap' 'ldap_server_host = ldap://127.0.0.1' \
			"ldap_search_base = $BASE" 'ldap_network_timeout = 1s' \
			'ldap_timeout = 2s'; do
			[[ $* == *"${line%% =*} ="* ]] || echo "$line"
		done
	} >/etc/mxhop/mxhop.cf
}

# A Postfix that runs, a set that is whole: asked for by a message to the last
# entry, and by a command for all of them.
whole_set() {
	local n
	n=$(seq -f 'd%g.bulk.test' 1 $ENTRIES | postmap -q - $M |
		grep -c '	:\[192.0.2.' || true)
	assert_eq "$n" $ENTRIES "entries that answer"
}

assert_mail_goes() { # USER [ENTRY]
	local n=${2:-1}
	send_mail alice@mta.mxhop.test "$1@d$n.bulk.test"
	wait_for_log "to=<$1@d$n.bulk.test>, relay=.*192.0.2.$((n % 250))" 5
	whole_set
}

# The hops that setup gave them.
restore_hops() {
	bulk_overrides 1 $ENTRIES | sed '/^objectClass\|^cn:\|^mxhopKey/d
		s/^mxhopHop/changetype: modify\nreplace: mxhopHop\nmxhopHop/' | ldap_modify dir
}

# A refresh that fails leaves all as it was, and is over in reasonable time.
refresh_fails() { # STATUS REGEX
	local from status=0
	from=$(now_ms)
	OUTPUT=$(timeout 60 mxhop refresh 2>&1) || status=$?
	assert_match "$status" "$1" "status"
	assert_match "$OUTPUT" "$2"
	[[ $(($(now_ms) - from)) -lt 15000 ]] || fail "it took $(($(now_ms) - from)) ms"
	whole_set
}

# --- one refresh ---

case_the_directory_is_gone() {
	need_directory
	stop dir
	refresh_fails '7[45]' 'ldap://127.0.0.1: connect'
	restart_slapd dir
	assert_status 0 mxhop refresh
}

case_it_is_frozen() {
	need_directory
	freeze dir
	refresh_fails '7[45]' 'ldap://127.0.0.1: .*(Timed out|time allowed)'
	thaw dir
	assert_status 0 mxhop refresh
}

case_it_is_busy_or_unwilling() {
	local code
	for code in 51 53; do
		start_directory 'database=overlay retcode' "database=retcode-parent $SUFFIX" \
			"database=retcode-item ou=mxhop $code op=search"
		refresh_fails '7[45]' "ldap://127.0.0.1.*\\($code\\)"
	done
	start_directory
	assert_status 0 mxhop refresh
}

# The second server of the list is asked then.
case_another_server_helps_out() {
	need_directory
	configure 'ldap_server_host = ldap://127.0.0.3 ldap://127.0.0.1'
	assert_status 0 mxhop refresh
	configure
}

case_its_certificate_has_expired() {
	need_directory
	configure 'ldap_server_host = ldaps://127.0.0.1' "ldap_tls_ca_cert_file = $CA"
	assert_status 0 mxhop refresh
	start_directory tls=old
	refresh_fails '7[45]' 'ldaps://127.0.0.1.*certificate'
	configure 'ldap_start_tls = yes' "ldap_tls_ca_cert_file = $CA"
	refresh_fails '7[45]' 'ldap://127.0.0.1.*certificate'
	start_directory
	assert_status 0 mxhop refresh
	configure
}

case_the_password_is_wrong() {
	need_directory
	printf wrong-password >/etc/mxhop/secret
	chmod 0600 /etc/mxhop/secret
	configure 'ldap_bind = simple' "ldap_bind_dn = $READER" \
		'ldap_bind_pw_file = /etc/mxhop/secret'
	refresh_fails 78 'ldap://127.0.0.1: bind: Invalid credentials'
	refute_match "$OUTPUT" wrong-password
	assert_status 0 mxhop -c /etc/mxhop/mxhop.cf lookup d1.bulk.test
	configure
}

case_a_limit_cuts_the_result() {
	local id
	need_directory
	for id in 'syncprov=1000' ''; do
		rm -f $TABLE.keep
		start_slapd dir tls=good tls_port=636 limits='* size=500' $id
		ldap_add dir < <(override extra extra.test '[192.0.2.1]')
		assert_status 78 mxhop refresh --force
		assert_match "$OUTPUT" 'limits'
		whole_set
		ldap_delete dir extra
	done
	start_directory
	assert_status 0 mxhop refresh
}

# At whatever octet of what the server sends, of some 100,000.
case_it_is_cut_in_the_middle() {
	local at
	need_directory
	configure 'ldap_server_host = ldap://127.0.0.2'
	bulk_overrides 2001 2400 | ldap_add dir
	for at in 1 20 1000 5000 20000 50000; do
		fault_rule link "cut $at"
		refresh_fails '7[45]' 'ldap://127.0.0.2'
		assert_eq "$(postmap -q d2001.bulk.test $M || true)" ''
		assert_eq "$(postmap -q d2400.bulk.test $M || true)" ''
	done
	fault_rule link 'stall 50000'
	refresh_fails '7[45]' 'ldap://127.0.0.2.*(Timed out|time allowed)'
	fault_rule link pass
	assert_status 0 mxhop refresh
	assert_eq "$(postmap -q d2400.bulk.test $M)" ':[192.0.2.150]'
}

other_hops() {
	seq 1 $ENTRIES | awk -v base="$BASE" '{
		printf "dn: cn=n%d,%s\nchangetype: modify\nreplace: mxhopHop\n" \
			"mxhopHop: [198.51.100.1]\n\n", $1, base }' | ldap_modify dir
}

# One process that asks for each entry in turn, as long as it is let.
start_reader() {
	seq -f 'd%g.bulk.test' 1 $ENTRIES >"$SCRATCH/keys"
	: >"$SCRATCH/reader.log"
	spawn reader bash -c 'exec postmap -q - "$1" < <(while cat "$0"; do sleep 0.01; done)' \
		"$SCRATCH/keys" $M
	eventually 5 test -s "$SCRATCH/reader.log" || fail "no lookups"
}

# It never got the old set once it had got the new one.
assert_reader_saw_two_sets() {
	local reader=$SCRATCH/reader.log
	eventually 30 grep -q '198.51.100.1' "$reader" || fail "the new set is not seen"
	stop reader
	# Without the last line, which may be cut.
	assert_eq "$(head -n -1 "$reader" | grep -o ':\[[0-9]*\.[0-9]*' | uniq)" \
		$':[192.0\n:[198.51'
}

# Every entry gets another hop, in one refresh; lookups go on meanwhile.
case_a_set_changes_as_a_whole() {
	need_directory
	assert_status 0 mxhop refresh
	other_hops
	start_reader
	assert_status 0 mxhop refresh
	assert_reader_saw_two_sets
	restore_hops
	assert_status 0 mxhop refresh
}

# --- a refresh that is killed ---

# Of some entries something is different, one is new, one is gone, one has another
# name: what the directory says next time is a difference of all kinds.
change_some() { # ROUND
	local last=$(($1 - 1))
	seq 7 83 $ENTRIES | awk -v base="$BASE" -v n="$1" '{
		printf "dn: cn=n%d,%s\nchangetype: modify\nreplace: mxhopHop\n" \
			"mxhopHop: [198.51.100.%d]\n\n", $1, base, n % 250 }'
	override "new$1" "new$1.test" '[192.0.2.1]' | sed 's/^objectClass/changetype: add\n&/'
	printf '%s\n' "dn: cn=new$last,$BASE" 'changetype: delete' '' \
		"dn: cn=name$last,$BASE" 'changetype: modrdn' "newrdn: cn=name$1" 'deleteoldrdn: 1'
}

# Where it is killed: `NAME N` for the Nth call of a system call, at each by which a
# commit is written and at every sixth of those that wait for the directory or
# look at the table; from the first connection on until it has said what it did.
points_of_a_refresh() {
	change_some 1 | ldap_modify dir
	strace -qq -o "$SCRATCH/strace" mxhop refresh >/dev/null
	awk -F '(' '/^socket/ { on = 1 }
		{ n[$1]++ }
		on && /^(p?writev|pwrite64|f(data)?sync|ftruncate|fchmod|renameat|unlinkat)\(/ { print $1, n[$1] }
		on && /^(poll|read|write|pread64|fcntl|munmap)\(/ && ++others % 6 == 0 {
			print $1, n[$1] }' "$SCRATCH/strace"
}

entries_sent() {
	since_mark "$SCRATCH/dir.log" | sed -nE 's/.*SEARCH RESULT.* nentries=([0-9]+).*/\1/p' |
		awk '{ n += $1 } END { print n + 0 }'
}

table_is_as_the_directory() {
	ldapsearch -x -LLL -H "$(ldapi_uri dir)" -b "$BASE" \
		'(objectClass=mxhopOverride)' >"$SCRATCH/directory.ldif"
	assert_status 0 mxhop overrides diff "$SCRATCH/directory.ldif"
}

# In place is the set from before or the one from after. And the cookie with it:
# the next refresh is sent what is missing, and only if something is.
assert_whole_after_kill() { # POINT OLD-SET
	local sent set=$SCRATCH/set
	mxhop overrides export >"$set" || fail "$1: the table does not open"
	mark
	assert_status 0 timeout 20 mxhop refresh
	sent=$(entries_sent)
	table_is_as_the_directory
	if cmp -s "$set" "$2"; then
		[[ $sent -gt 12 && $sent -lt 20 ]] || fail "$1: $sent entries sent to who has the old set"
		OLD=$((OLD + 1))
	else
		mxhop overrides export | cmp - "$set" || fail "$1: neither the old set nor the new"
		assert_eq "$sent" 1 "$1: entries sent to who has the new set, with the rootDSE"
		NEW=$((NEW + 1))
	fi
}

kill_refreshes() {
	local status name n old=$SCRATCH/old points
	mapfile -t points < <(points_of_a_refresh)
	ROUND=1 OLD=0 NEW=0
	while read -r name n; do
		mxhop overrides export >"$old"
		ROUND=$((ROUND + 1)) status=0
		change_some $ROUND | ldap_modify dir
		timeout 20 strace -qq -o /dev/null -e "inject=$name:signal=KILL:when=$n" \
			mxhop refresh >/dev/null 2>&1 || status=$?
		[[ $status -eq 137 ]] || continue
		assert_whole_after_kill "$name $n" "$old"
	done < <(printf '%s\n' "${points[@]}")
	[[ $((OLD + NEW)) -gt $((${#points[@]} * 3 / 4)) && $OLD -gt 0 && $NEW -gt 0 ]] ||
		fail "killed at $((OLD + NEW)) of ${#points[@]} points, $NEW after the commit"
}

case_killed_at_any_point_of_an_incremental_refresh() {
	need_directory
	{ override new0 new0.test '[192.0.2.1]' && override name0 name.test '[192.0.2.1]'; } | ldap_add dir
	assert_status 0 mxhop refresh
	kill_refreshes
	ldap_delete dir new$ROUND name$ROUND
	restore_hops
	assert_status 0 mxhop refresh
}

# --- mxhop-follow.service ---

FOLLOW=mxhop-follow.service
FOLLOW_LOG=$SCRATCH/$FOLLOW.log

log_lines() { since_mark "$FOLLOW_LOG" | wc -l; }
assert_lines() { # N WHAT
	assert_eq "$(log_lines)" "$1" "lines logged about $2: $(since_mark "$FOLLOW_LOG")"
}

is_routed() { postmap -q "$1" $M >/dev/null; }     # DOMAIN
is_not_routed() { ! postmap -q "$1" $M >/dev/null; } # DOMAIN

# Follows, and has seen a change.
start_following() {
	start_unit $FOLLOW
	follows
}

follows() {
	local cn=probe$RANDOM
	override "$cn" "$cn.test" '[192.0.2.1]' | ldap_add dir
	eventually 20 is_routed "$cn.test" || fail "$cn: not seen: $(tail -n 3 "$FOLLOW_LOG")"
	ldap_delete dir "$cn"
	eventually 10 is_not_routed "$cn.test" || fail "$cn: its end is not seen"
}

# Lookups of the whole set, again and again beside the service: a line a round, how
# many entries had their answer and how many milliseconds that took.
start_lookups() {
	seq -f 'd%g.bulk.test' 1 $ENTRIES >"$SCRATCH/keys"
	: >"$SCRATCH/lookups.log"
	spawn lookups bash -c 'while sleep 0.05; do
		from=${EPOCHREALTIME/./}
		n=$(postmap -q - "$1" <"$0" | grep -c "	:\[192.0.2.")
		echo "$n $(((${EPOCHREALTIME/./} - from) / 1000))"
	done' "$SCRATCH/keys" $M
}

# None was answered from a part of the set, and none waited for the directory: that
# would have been for the three seconds of ldap_network_timeout.
assert_lookups_went_on() {
	local rounds=$SCRATCH/lookups.log
	stop lookups
	[[ $(wc -l <"$rounds") -gt 20 ]] || fail "$(wc -l <"$rounds") rounds of lookups"
	awk -v all=$ENTRIES '$1 != all || $2 > 2000 { print; bad = 1 } END { exit bad }' \
		"$rounds" || fail "lookups that were not answered, or waited"
}

# What befalls the directory: one line when it begins, however long it lasts,
# lookups and mail meanwhile, one line when it is over.
state_is_told_once() { # BEGIN END
	local begin=$1 end=$2
	start_lookups
	mark
	$begin
	eventually 20 log_has "$FOLLOW_LOG" . || fail "nothing logged"
	assert_mail_goes "during$RANDOM"
	sleep 4
	assert_lines 1 "its beginning"
	mark
	$end
	follows
	assert_lines 1 "its end"
	assert_lookups_went_on
}

dir_stops() { stop dir; }
dir_starts() { restart_slapd dir; }
dir_freezes() { freeze dir; }
dir_thaws() { thaw dir; }

case_follow_a_directory_that_dies() {
	need_directory
	configure 'override_refresh = 2s' 'ldap_network_timeout = 3s'
	start_following
	state_is_told_once dir_stops dir_starts
}

case_follow_a_directory_that_freezes() {
	need_directory
	configure 'override_refresh = 2s' 'ldap_network_timeout = 3s'
	start_following
	state_is_told_once dir_freezes dir_thaws
}

# All of it changes while nothing is heard of it. When it is back, and with a
# session log that knows nothing, the new set comes at once or not at all.
case_follow_catches_up_as_a_whole() {
	need_directory
	configure 'override_refresh = 2s'
	start_following
	start_slapd dir syncprov=1000 port=390
	other_hops
	stop dir
	start_reader
	start_directory
	assert_reader_saw_two_sets
	restore_hops
	follows
	whole_set
}

case_follow_ends_when_told() {
	local from
	need_directory
	start_following
	freeze dir
	from=$(now_ms)
	stop $FOLLOW
	[[ $(($(now_ms) - from)) -lt 3000 ]] || fail "$(($(now_ms) - from)) ms"
	thaw dir
}

# A real link: a queue that holds three packets, so that most bursts lose some,
# and then one without an other end.
case_a_link_that_drops_packets() {
	need_directory
	make_switch lan
	ip addr add 10.9.0.254/24 dev lan
	make_host far lan 10.9.0.1
	on far start_slapd far address=10.9.0.1 syncprov=1000
	on far stop far
	bulk_overrides 1 $ENTRIES | on far slapd_load far
	on far restart_slapd far
	tc qdisc add dev v-far root tbf rate 4mbit burst 3kb limit 6kb
	on far tc qdisc add dev eth0 root tbf rate 4mbit burst 3kb limit 6kb
	configure 'ldap_server_host = ldap://10.9.0.1' 'ldap_timeout = 30s' 'override_refresh = 2s'
	assert_status 0 mxhop refresh
	assert_match "$(on far tc -s qdisc show dev eth0)" 'dropped [1-9]'
	whole_set
	configure 'ldap_server_host = ldap://10.9.0.1' 'override_refresh = 2s'
	start_unit $FOLLOW
	sleep 1
	mark
	unplug v-far
	refresh_fails '7[45]' 'ldap://10.9.0.1'
	eventually 20 log_has "$FOLLOW_LOG" . || fail "nothing logged"
	assert_mail_goes unplugged
	assert_lines 1 "the link"
	configure
}

# --- the mail host is started anew ---

# What a reboot leaves of it: nothing that runs, nothing on a tmpfs.
reboot_mail_host() {
	stop $FOLLOW
	stop_postfix
	rm -rf /run/mxhop
	systemd-tmpfiles --create mxhop.conf
	start_unit $FOLLOW
	start_postfix
}

case_reboot_while_the_directory_is_down() {
	need_directory
	assert_status 0 mxhop refresh
	stop dir
	reboot_mail_host
	assert_mail_goes rebooted 77
	restart_slapd dir
	follows
}

case_first_start_without_directory_and_table() {
	need_directory
	start_sink 192.0.2.1
	stop dir
	rm $TABLE
	reboot_mail_host
	eventually 20 log_has "$FOLLOW_LOG" 'there is no set yet: on_override_failure decides' ||
		fail "$(since_mark "$FOLLOW_LOG")"
	mark
	send_mail alice@mta.mxhop.test first@d1.bulk.test
	send_mail alice@mta.mxhop.test first@plain.test
	wait_for_log 'to=<first@d1.bulk.test>.*dsn=4.3.5, status=deferred'
	wait_for_log 'to=<first@plain.test>.*dsn=4.3.5, status=deferred'
	# Mail from outside, its sender in a domain that overrides may be about.
	assert_status 0 smtp_try stranger@d1.bulk.test alice@localhost
	send_mail stranger@d1.bulk.test alice@localhost
	wait_for_log 'to=<alice@localhost>.*status=sent \(delivered to mailbox\)'
	restart_slapd dir
	eventually 30 test -s $TABLE || fail "no table: $(tail -n 3 "$FOLLOW_LOG")"
	# Which its daemons see by themselves.
	eventually 40 delivered first@d1.bulk.test || fail "still deferred"
	eventually 10 delivered first@plain.test || fail "still deferred"
	refute_log 'status=bounced'
}

delivered() { # RECIPIENT
	postqueue -f
	sleep 0.5
	log_has "$MAIL_LOG" "to=<$1>.*status=sent"
}

case_first_start_with_pass() {
	need_directory
	start_sink 192.0.2.1
	stop $FOLLOW
	stop dir
	rm $TABLE
	configure 'on_override_failure = pass'
	reload_postfix
	mark
	send_mail alice@mta.mxhop.test pass@plain.test
	wait_for_log 'to=<pass@plain.test>, relay=mx.test.*status=sent'
	configure
	restart_slapd dir
	assert_status 0 mxhop refresh
}

# --- what must not be believed ---

case_most_entries_have_gone() {
	need_directory
	ldap_set dir n1 mxhopHop '[192.0.2.99]'
	start_slapd dir tls=good tls_port=636 \
		"access=to dn.children=$BASE filter=(!(cn=n1*)) by * none"
	refresh_fails 75 'override_shrink_limit'
	# What changed is in force, what cannot be seen stays.
	assert_eq "$(postmap -q d1.bulk.test $M)" ':[192.0.2.99]'
	assert_eq "$(postmap -q d2.bulk.test $M)" ':[192.0.2.2]'
	# It is seen again, though nothing of it has changed.
	start_slapd dir tls=good tls_port=636
	assert_status 0 mxhop refresh
	assert_eq "$(postmap -q d2.bulk.test $M)" ':[192.0.2.2]'
	start_slapd dir tls=good tls_port=636 \
		"access=to dn.children=$BASE filter=(!(cn=n1*)) by * none"
	refresh_fails 75 'override_shrink_limit'
	assert_status 0 mxhop refresh --force
	assert_eq "$(postmap -q d1.bulk.test $M)" ':[192.0.2.99]'
	assert_eq "$(postmap -q d2.bulk.test $M || true)" ''
}
