# shellcheck shell=bash disable=SC2016
# The directory as a source: what is read, how, and what then holds. What goes
# wrong is in ldap_faults.t.

# shellcheck source=tests/integration/ldap.sh
. "$ROOT/tests/integration/ldap.sh"

# Configures mxhop for the directory, with further lines of mxhop.cf.
configure() { # [LINE...]
	printf '%s\n' 'overrides = ldap' "ldap_search_base = $BASE" \
		'ldap_network_timeout = 2' "$@" >/etc/mxhop/mxhop.cf
	grep -q ldap_server_host /etc/mxhop/mxhop.cf ||
		echo 'ldap_server_host = ldap://127.0.0.1' >>/etc/mxhop/mxhop.cf
}

# Every case begins with nothing in the directory and no table.
fresh() {
	wipe_slapd one
	rm -f /var/lib/mxhop/overrides*
}

refresh() { # [ARGUMENT...]
	assert_status 0 mxhop refresh "$@"
}

route() { # KEY: the hosts that its mail goes to
	mxhop lookup --format postfix "$1" 2>&1 || true
}

setup() {
	use_mxhop
}

case_first_load() {
	fresh
	configure
	start_slapd one syncprov=100
	{ override a a.test '[192.0.2.1]' && override b b.test '[192.0.2.2]:26' Mode=replace; } |
		ldap_add one
	refresh
	assert_match "$OUTPUT" ': 2 entries, id [0-9a-f]{8}, 0 skipped'
	assert_match "$(route a.test)" '\[192.0.2.1\]'
	assert_match "$(route b.test)" '\[192.0.2.2\]:26'
	refresh
	assert_match "$OUTPUT" ': 2 entries \(unchanged\), id [0-9a-f]{8}, 0 skipped'
}

case_nothing_but_what_changed_is_read() {
	fresh
	local before
	configure
	start_slapd one syncprov=100
	bulk_overrides 1 50 | ldap_add one
	refresh
	before=$(wc -l <"$SCRATCH/one.log")
	override new new.test '[192.0.2.9]' | ldap_add one
	ldap_set one n1 mxhopHop '[192.0.2.10]'
	ldap_rename one n2 renamed
	ldap_delete one n3
	refresh
	assert_match "$OUTPUT" ': 50 entries, id [0-9a-f]{8}, 0 skipped'
	# new, n1, renamed; who is gone is in a message of its own
	assert_match "$(tail -n "+$before" "$SCRATCH/one.log")" 'nentries=3 '
	assert_match "$(route new.test)" '192.0.2.9\]'
	assert_match "$(route d1.bulk.test)" '192.0.2.10\]'
	refute_match "$(route d3.bulk.test)" '192.0.2'
	assert_match "$(mxhop trace d2.bulk.test)" "cn=renamed,$BASE"
	refresh
	assert_match "$OUTPUT" 'unchanged'
}

# Gone from the set without being gone: moved away, or no longer found by the
# filter. The same while somebody follows, and without a session log.
case_what_leaves_the_set() {
	local log how
	configure 'ldap_filter = (&(objectClass=mxhopOverride)(mxhopEnabled=TRUE))'
	for log in 100 0; do
		for how in refresh follow; do
			fresh
			start_slapd one "syncprov=$log"
			{
				override a a.test '[192.0.2.1]' Enabled=TRUE
				override b b.test '[192.0.2.2]' Enabled=TRUE
				override c c.test '[192.0.2.3]' Enabled=TRUE
				override d d.test '[192.0.2.4]' Enabled=TRUE
				override e e.test '[192.0.2.5]' Enabled=FALSE
			} | ldap_add one
			refresh
			assert_match "$OUTPUT" ': 4 entries'
			[[ $how == refresh ]] || follow
			ldap_as_admin ldapmodrdn one -r -s "$SUFFIX" "cn=a,$BASE" cn=a
			ldap_set one b mxhopEnabled FALSE
			ldap_set one e mxhopEnabled TRUE
			[[ $how == follow ]] || refresh
			eventually 3 is_routed e.test '192.0.2.5\]' || fail "$how, $log: e does not come"
			eventually 3 is_routed a.test '^$' || fail "$how, $log: a stays"
			eventually 3 is_routed b.test '^$' || fail "$how, $log: b stays"
			assert_match "$(route c.test)" '192.0.2.3\]'
			stop follow
			refresh
			assert_match "$OUTPUT" ': 3 entries \(unchanged\)'
		done
	done
}

# The session log holds two deletions; of three the server does not know, so it
# says who is left.
case_present_phase() {
	fresh
	configure
	start_slapd one syncprov=2
	bulk_overrides 1 30 | ldap_add one
	refresh
	ldap_delete one n1 n2 n3 n4 n5
	override new new.test '[192.0.2.9]' | ldap_add one
	refresh
	assert_match "$OUTPUT" ': 26 entries, id [0-9a-f]{8}, 0 skipped'
	refute_match "$(route d1.bulk.test)" '192.0.2'
	assert_match "$(route d6.bulk.test)" '192.0.2.6\]'
	assert_match "$(route new.test)" '192.0.2.9\]'
}

# 389-ds leaves refreshDeletes out of the result even where it named what was deleted
# and not who is left. To believe it would be to drop all that did not change. Here
# that flag is the last octet of what slapd sends.
case_a_delete_phase_that_is_not_called_one() {
	local octets
	fresh
	configure 'ldap_server_host = ldap://127.0.0.1:3890'
	start_slapd one syncprov=100
	start_faultlink link 127.0.0.1:3890 127.0.0.1:389 pass
	bulk_overrides 1 2 | ldap_add one
	refresh
	ldap_set one n1 mxhopHop '[192.0.2.101]'
	mark
	refresh
	eventually 5 log_has "$SCRATCH/link.log" '^end ' || fail "no line of the link"
	octets=$(since_mark "$SCRATCH/link.log" | sed -n 's/^end //p')
	ldap_set one n1 mxhopHop '[192.0.2.102]'
	fault_rule link "flip $((octets - 1))"
	refresh
	assert_match "$OUTPUT" ': 2 entries, id [0-9a-f]{8}'
	assert_match "$(route d1.bulk.test)" '192.0.2.102\]'
	assert_match "$(route d2.bulk.test)" '192.0.2.2\]'
}

case_a_server_without_syncprov_is_read_in_pages() {
	local before
	fresh
	configure
	start_slapd one
	stop one
	bulk_overrides 1 2500 | slapd_load one
	restart_slapd one
	before=$(wc -l <"$SCRATCH/one.log")
	refresh
	assert_match "$OUTPUT" ': 2500 entries, id [0-9a-f]{8}, 0 skipped'
	assert_eq "$(tail -n "+$before" "$SCRATCH/one.log" | grep -c ' SRCH base="ou=mxhop')" 3 "pages"
	refresh
	assert_match "$OUTPUT" ': 2500 entries \(unchanged\), id [0-9a-f]{8}'
	ldap_rename one n2 renamed
	ldap_delete one n1
	refresh
	assert_match "$OUTPUT" ': 2499 entries, id [0-9a-f]{8}'
	assert_match "$(mxhop trace d2.bulk.test)" "cn=renamed,$BASE"
}

case_limits_of_the_server_are_reported() {
	fresh
	configure
	start_slapd one syncprov=10
	bulk_overrides 1 600 | ldap_add one
	refresh
	start_slapd one syncprov=10 limits='* size=500'
	assert_status 78 mxhop refresh --force
	assert_match "$OUTPUT" 'synchronize: Size limit exceeded \(4\).*olcLimits'
	start_slapd one limits='* size=500'
	assert_status 78 mxhop refresh --force
	assert_match "$OUTPUT" 'search: Size limit exceeded \(4\).*olcLimits'
	assert_match "$(route d600.bulk.test)" '192.0.2.100\]'
}

# What is there without the other server is a part of the set, and stays out.
case_referrals_are_not_followed() {
	local sync
	configure
	for sync in '' syncprov=10; do
		fresh
		start_slapd one ${sync:+"$sync"}
		override a a.test '[192.0.2.1]' | ldap_add one
		refresh
		override b b.test '[192.0.2.2]' | ldap_add one
		printf '%s\n' "dn: ou=far,$BASE" 'objectClass: referral' \
			'objectClass: extensibleObject' 'ou: far' \
			"ref: ldap://127.0.0.2/$BASE??sub" |
			ldap_as_admin ldapadd one -M >/dev/null
		assert_status 65 mxhop refresh --force
		assert_match "$OUTPUT" 'some entries are on another server'
		assert_match "$(route a.test)" '192.0.2.1\]'
		refute_match "$(route b.test)" '192.0.2'
	done
	sed -i "s/^ldap_search_base = /&ou=far,/" /etc/mxhop/mxhop.cf
	assert_status 78 mxhop refresh --force
	assert_match "$OUTPUT" 'Referral \(10\).*name that server in ldap_server_host'
}

case_simple_bind() {
	fresh
	start_slapd one syncprov=10 \
		access="to dn.subtree=$BASE by dn.exact=$READER read by * none"
	override a a.test '[192.0.2.1]' | ldap_add one
	configure
	assert_status 78 mxhop refresh
	assert_match "$OUTPUT" 'No such object \(32\).*ldap_search_base'
	install -m 0400 /dev/stdin /etc/mxhop/secret <<<"$READER_PW"
	configure 'ldap_bind = simple' "ldap_bind_dn = $READER" \
		'ldap_bind_pw_file = /etc/mxhop/secret'
	refresh
	assert_match "$OUTPUT" ': 1 entry'
	install -m 0400 /dev/stdin /etc/mxhop/secret <<<'not-the-secret'
	assert_status 78 mxhop refresh
	assert_match "$OUTPUT" 'bind: Invalid credentials \(49\)'
	refute_match "$OUTPUT" 'not-the-secret'
	chmod 0444 /etc/mxhop/secret
	assert_status 78 mxhop refresh
	assert_match "$OUTPUT" 'ldap_bind_pw_file: /etc/mxhop/secret: others have access'
}

# Nothing changes in the directory when somebody may see it at last.
case_an_access_rule_that_hid_everything_and_is_mended() {
	local rule="to dn.children=$BASE by * none"
	fresh
	configure
	start_slapd one syncprov=10 access="$rule"
	{ override a a.test '[192.0.2.1]' && override b b.test '[192.0.2.2]'; } | ldap_add one
	refresh
	assert_match "$OUTPUT" ': 0 entries'
	start_slapd one syncprov=10
	refresh
	assert_match "$OUTPUT" ': 2 entries'
	rm /var/lib/mxhop/overrides*
	start_slapd one syncprov=10 access="$rule"
	refresh
	start_slapd one syncprov=10
	follow
	eventually 5 is_routed b.test '192.0.2.2\]' || fail "still hidden"
	stop follow
}

# slapd does not count it as a change of what is below: mxhop_ldap(5) says so, and
# what to do.
case_a_subtree_that_moves() {
	local unit
	fresh
	configure
	start_slapd one syncprov=10
	for unit in "inside,$BASE" "outside,$SUFFIX"; do
		printf '%s\n' "dn: ou=$unit" 'objectClass: organizationalUnit' '' \
			"dn: cn=x,ou=$unit" 'objectClass: mxhopOverride' 'cn: x' \
			"mxhopKey: ${unit%%,*}.test" 'mxhopHop: [192.0.2.1]' | ldap_add one
	done
	override stays stays.test '[192.0.2.3]' | ldap_add one
	refresh
	assert_match "$OUTPUT" ': 2 entries'
	ldap_as_admin ldapmodrdn one -r -s "$SUFFIX" "ou=inside,$BASE" ou=inside
	ldap_as_admin ldapmodrdn one -r -s "$BASE" "ou=outside,$SUFFIX" ou=outside
	refresh
	assert_match "$OUTPUT" 'unchanged'
	assert_match "$(route inside.test)" '192.0.2.1\]'
	assert_status 2 mxhop check
	assert_match "$OUTPUT" 'older than ldap, which has 1 new, 0 changed and 1 fewer entry'
	assert_match "$OUTPUT" 'ldap: 2 valid entries'
	refresh --force
	assert_eq "$(mxhop overrides list | sed 1d | cut -f 2 | sort)" $'outside.test\nstays.test'
}

case_external_over_ldapi() {
	fresh
	start_slapd one syncprov=10 access="to dn.subtree=$BASE
  by dn.exact=gidNumber=0+uidNumber=0,cn=peercred,cn=external,cn=auth read by * none"
	override a a.test '[192.0.2.1]' | ldap_add one
	configure "ldap_server_host = $(ldapi_uri one)" 'ldap_bind = sasl'
	refresh
	assert_match "$OUTPUT" ': 1 entry'
}

case_tls() {
	fresh
	ldap_certificate good
	ldap_certificate me
	start_slapd one syncprov=10 tls=good tls_port=636 \
		access="to dn.subtree=$BASE by dn.exact=cn=me read by * none"
	override a a.test '[192.0.2.1]' | ldap_add one
	chmod 0644 "$SCRATCH/me.key"
	local client=("ldap_tls_cert = $SCRATCH/me.pem" "ldap_tls_key = $SCRATCH/me.key"
		'ldap_bind = sasl')
	configure 'ldap_start_tls = yes' "ldap_tls_ca_cert_file = $CA" "${client[@]}"
	refresh
	assert_match "$OUTPUT" ': 1 entry'
	configure 'ldap_server_host = ldaps://127.0.0.1' "ldap_tls_ca_cert_file = $CA" "${client[@]}"
	refresh
	# An authority that is not known; a name that is not in the certificate.
	configure 'ldap_start_tls = yes' "${client[@]}"
	assert_status 74 mxhop refresh
	assert_match "$OUTPUT" 'TLS: .*ldap_tls_ca_cert_file'
	configure 'ldap_server_host = ldaps://127.0.0.2' "ldap_tls_ca_cert_file = $CA"
	assert_status 74 mxhop refresh
	configure 'ldap_start_tls = yes' 'ldap_tls_require_cert = no' "${client[@]}"
	refresh
}

# Each says which it is.
case_tls_files_that_cannot_be_used() {
	fresh
	ldap_certificate good
	ldap_certificate old '3 days ago' '1 day ago'
	start_slapd one syncprov=10
	configure 'ldap_start_tls = yes' "ldap_tls_ca_cert_file = $CA"
	assert_status 74 mxhop refresh
	assert_match "$OUTPUT" 'StartTLS: Protocol error \(2\).*olcTLSCertificateFile'
	start_slapd one syncprov=10 tls=old
	assert_status 74 mxhop refresh
	assert_match "$OUTPUT" 'TLS: Connect error \(-11\), the server.s certificate is refused; .*in date'
	configure 'ldap_start_tls = yes' 'ldap_tls_ca_cert_file = /nowhere.pem'
	assert_status 78 mxhop refresh
	assert_match "$OUTPUT" 'ldap_tls_ca_cert_file: /nowhere.pem: No such file.* user root '
	configure 'ldap_start_tls = yes' 'ldap_tls_ca_cert_dir = /nowhere'
	assert_status 78 mxhop refresh
	assert_match "$OUTPUT" 'ldap_tls_ca_cert_dir: /nowhere: No such file'
	configure 'ldap_start_tls = yes' "ldap_tls_ca_cert_file = $CA" \
		"ldap_tls_cert = $SCRATCH/good.pem" 'ldap_tls_key = /nowhere.key'
	assert_status 78 mxhop refresh
	assert_match "$OUTPUT" 'ldap_tls_key: /nowhere.key: No such file'
}

# The user that the table belongs to, whom root becomes.
case_a_password_file_that_the_user_cannot_read() {
	fresh
	start_slapd one syncprov=10
	install -m 0400 -o root /dev/stdin /etc/mxhop/secret <<<"$READER_PW"
	configure 'ldap_bind = simple' "ldap_bind_dn = $READER" \
		'ldap_bind_pw_file = /etc/mxhop/secret'
	chown mxhop /var/lib/mxhop
	assert_status 78 mxhop refresh
	assert_match "$OUTPUT" '/etc/mxhop/secret: Permission denied; .*user mxhop '
	assert_status 78 mxhop check
	assert_match "$OUTPUT" '/etc/mxhop/secret: Permission denied; .*user mxhop '
	chown root /var/lib/mxhop
}

# Nor may that user use the DNS cache, or make it: neither is news.
case_a_refresh_says_nothing_about_the_cache() {
	fresh
	start_slapd one syncprov=10
	override a a.test '[192.0.2.1]' | ldap_add one
	configure
	chown mxhop /var/lib/mxhop
	rm -rf /run/mxhop
	assert_status 0 mxhop refresh
	refute_match "$OUTPUT" '/run/mxhop'
	install -d /run/mxhop
	assert_status 0 mxhop refresh --force
	refute_match "$OUTPUT" '/run/mxhop'
	install -d -m 0700 -o postfix /run/mxhop/mxhop
	assert_status 0 mxhop refresh --force
	refute_match "$OUTPUT" '/run/mxhop'
	chown root /var/lib/mxhop
}

case_a_bind_dn_that_is_none() {
	fresh
	start_slapd one syncprov=10
	install -m 0400 /dev/stdin /etc/mxhop/secret <<<"$READER_PW"
	configure 'ldap_bind = simple' 'ldap_bind_dn = reader' \
		'ldap_bind_pw_file = /etc/mxhop/secret'
	assert_status 78 mxhop refresh
	assert_match "$OUTPUT" 'bind: Invalid DN syntax \(34\).*ldap_bind_dn'
}

# What the files and the environment of whoever calls say does not matter.
case_ldaprc_is_not_read() {
	fresh
	configure
	start_slapd one syncprov=10
	bulk_overrides 1 10 | ldap_add one
	echo 'SIZELIMIT 3' >"$SCRATCH/ldaprc"
	cd "$SCRATCH" || exit
	LDAPSIZELIMIT=3 refresh
	assert_match "$OUTPUT" ': 10 entries'
}

case_invalid_entries_are_reported_with_their_names() {
	fresh
	configure
	start_slapd one syncprov=10
	{ override good good.test '[192.0.2.1]' && override bad bad.test '[192.0.2.1]:smtp'; } |
		ldap_add one
	for _ in 1 2; do # the second time it is not read again
		assert_status 65 mxhop refresh
		assert_match "$OUTPUT" "cn=bad,$BASE: mxhopHop: \"\[192.0.2.1\]:smtp\": .*skipped"
		assert_match "$OUTPUT" ': 1 entry.* 1 skipped$'
	done
	assert_status 2 mxhop check
	assert_match "$OUTPUT" "warning: cn=bad,$BASE: mxhopHop"
	assert_match "$OUTPUT" 'error: .*: 1 entry is left out'
	ldap_set one good mxhopHop 'not a host'
	for _ in 1 2; do
		assert_status 65 mxhop refresh
		assert_match "$OUTPUT" "cn=good,$BASE: mxhopHop: .*the last good version .* stays in force"
		assert_match "$OUTPUT" ': 1 entry.* 1 skipped, 1 kept in an older version$'
	done
	assert_match "$(route good.test)" '192.0.2.1\]'
	assert_status 65 mxhop refresh --force
	assert_match "$(route good.test)" '192.0.2.1\]'
	# Its name is not what it is known by.
	ldap_rename one good renamed
	assert_status 65 mxhop refresh
	assert_match "$(route good.test)" '192.0.2.1\]'
	ldap_delete one renamed
	assert_status 75 mxhop refresh # the only one
	assert_status 65 mxhop refresh --force
	assert_match "$OUTPUT" ': 0 entries.* 1 skipped$'
}

# What is misspelt matches nothing, and nobody else complains.
case_check_where_nothing_is_found() {
	fresh
	start_slapd one syncprov=10
	override a a.test '[192.0.2.1]' | ldap_add one
	configure 'ldap_key_attribute = mxhopKy' 'ldap_result_attribute = mxhopHop'
	assert_status 2 mxhop check # there is no table, either
	assert_match "$OUTPUT" "warning: $BASE: below it is no entry with a route: .*\(&\(mxhopKy=\*\)\(mxhopHop=\*\)\)"
	configure 'ldap_key_attribute = mxhopKey' 'ldap_result_attribute = mxhopHop'
	refresh
	assert_status 0 mxhop check
}

case_a_set_that_shrinks_is_held_back() {
	fresh
	configure
	start_slapd one syncprov=100
	bulk_overrides 1 10 | ldap_add one
	refresh
	ldap_delete one n{1..6} n10
	override new new.test '[192.0.2.9]' | ldap_add one
	ldap_set one n7 mxhopHop '[192.0.2.77]'
	for _ in 1 2; do
		assert_status 75 mxhop refresh
		assert_match "$OUTPUT" 'held back'
		assert_match "$(route d1.bulk.test)" '192.0.2.1\]'
		assert_match "$(route d7.bulk.test)" '192.0.2.77\]'
		assert_match "$(route new.test)" '192.0.2.9\]'
	done
	ldap_delete one new
	refresh --force
	assert_match "$OUTPUT" ': 3 entries, id [0-9a-f]{8}'
}

case_the_next_server_is_asked() {
	fresh
	start_slapd two syncprov=10 port=390
	override a a.test '[192.0.2.1]' | ldap_add two
	configure 'ldap_server_host = ldap://127.0.0.1:391, ldap://127.0.0.1:390'
	refresh
	assert_match "$OUTPUT" ': 1 entry'
	stop two
	assert_status 74 mxhop refresh
	assert_match "$OUTPUT" "127.0.0.1:391: connect: Can't contact.*127.0.0.1:390: connect"
}

case_a_frozen_server_holds_nobody_for_long() {
	fresh
	local start
	configure 'ldap_timeout = 2'
	start_slapd one syncprov=10
	freeze one
	start=$(now_ms)
	assert_status 74 mxhop refresh
	[[ $(($(now_ms) - start)) -lt 6000 ]] || fail "took too long"
	ldap_certificate good
	start_slapd one syncprov=10 tls=good tls_port=636
	freeze one
	for line in 'ldap_server_host = ldaps://127.0.0.1' 'ldap_start_tls = yes'; do
		configure 'ldap_timeout = 2' "ldap_tls_ca_cert_file = $CA" "$line"
		start=$(now_ms)
		assert_status 74 timeout 20 mxhop refresh
		[[ $(($(now_ms) - start)) -lt 6000 ]] || fail "$line: took too long"
	done
}

# It stops in the middle of a message: that libldap waits for ever for the rest
# is what ldap_conn.c is for.
case_a_server_that_stops_in_the_middle_of_a_message() {
	fresh
	local start at
	start_slapd one syncprov=10
	bulk_overrides 1 200 | ldap_add one
	for at in 20 300 5000; do
		start_faultlink link 127.0.0.1:3890 127.0.0.1:389 "stall $at"
		configure 'ldap_server_host = ldap://127.0.0.1:3890' 'ldap_timeout = 2'
		start=$(now_ms)
		assert_status 74 timeout 20 mxhop refresh
		[[ $(($(now_ms) - start)) -lt 6000 ]] || fail "$at: took too long"
		fault_rule link "cut $at"
		assert_status 74 mxhop refresh
	done
}

is_routed() { # KEY REGEX
	[[ $(route "$1") =~ $2 ]]
}

is_by() { # KEY DN
	[[ $(mxhop trace "$1") == *"$2"* ]]
}

# Begins to follow the directory; its log is $SCRATCH/follow.log.
follow() {
	stop follow
	rm -f "$SCRATCH/follow.log" "$SCRATCH/marks/follow.log"
	spawn follow mxhop refresh --follow
	eventually 5 log_has "$SCRATCH/follow.log" . || fail "nothing said"
}

case_follow_a_server_that_tells() {
	fresh
	configure
	start_slapd one syncprov=100
	{ override a a.test '[192.0.2.1]' && override b b.test '[192.0.2.2]'; } | ldap_add one
	follow
	assert_match "$(<"$SCRATCH/follow.log")" 'following ldap://127.0.0.1'
	override c c.test '[192.0.2.3]' | ldap_add one
	eventually 1 is_routed c.test '192.0.2.3\]' || fail "not added"
	ldap_set one a mxhopHop '[192.0.2.4]'
	eventually 1 is_routed a.test '192.0.2.4\]' || fail "not changed"
	ldap_rename one b renamed
	eventually 1 is_by b.test "cn=renamed,$BASE" || fail "not renamed"
	ldap_delete one c
	eventually 1 is_routed c.test '^$' || fail "not deleted"
	override d d.test 'nothing valid' | ldap_add one
	eventually 1 log_has "$SCRATCH/follow.log" "cn=d,$BASE: mxhopHop" || fail "no report"
	assert_eq "$(wc -l <"$SCRATCH/follow.log")" 2 "lines"
}

# A change has a cookie that tells how far its own server has come; what was
# read of the other one is not read again because of that.
case_follow_one_of_two_providers() {
	local before peers=(peer=ldap://127.0.0.1:1391 peer=ldap://127.0.0.1:1392)
	fresh
	wipe_slapd two
	configure 'ldap_server_host = ldap://127.0.0.1:1391'
	start_slapd one port=1391 id=1 syncprov=100 "${peers[@]}"
	start_slapd two port=1392 id=2 syncprov=100 empty=yes "${peers[@]}"
	eventually 10 ldap_as_admin ldapsearch two -b "$BASE" -s base 1.1 >/dev/null || fail "no copy"
	bulk_overrides 1 20 | ldap_add one
	bulk_overrides 21 40 | ldap_add two
	follow
	eventually 10 is_routed d40.bulk.test '192.0.2.40\]' || fail "not read"
	ldap_set one n1 mxhopHop '[192.0.2.91]'
	eventually 5 is_routed d1.bulk.test '192.0.2.91\]' || fail "no change of one"
	ldap_set two n21 mxhopHop '[192.0.2.92]'
	eventually 5 is_routed d21.bulk.test '192.0.2.92\]' || fail "no change of two"
	stop follow
	before=$(wc -l <"$SCRATCH/one.log")
	ldap_set one n2 mxhopHop '[192.0.2.93]'
	refresh
	assert_match "$OUTPUT" ': 40 entries, '
	assert_match "$(tail -n "+$before" "$SCRATCH/one.log")" 'SEARCH RESULT .*nentries=1 .*SEARCH RESULT .*nentries=1 '
	refute_match "$(tail -n "+$before" "$SCRATCH/one.log")" 'nentries=[0-9]{2}'
	assert_match "$(route d2.bulk.test)" '192.0.2.93\]'
	stop two
}

# Many changes, few commits.
case_follow_commits_together_what_comes_together() {
	fresh
	configure
	start_slapd one syncprov=1000
	override a a.test '[192.0.2.1]' | ldap_add one
	follow
	strace -qq -o "$SCRATCH/commits" -e trace=renameat -p "$(cat "$SCRATCH/pids/follow")" &
	bulk_overrides 1 500 | ldap_add one
	eventually 3 is_routed d500.bulk.test '192.0.2.0\]' || fail "not added"
	kill %1
	[[ $(grep -c overrides.new "$SCRATCH/commits") -lt 20 ]] || fail "$(<"$SCRATCH/commits")"
}

case_follow_a_server_that_does_not_tell() {
	fresh
	configure 'override_refresh = 1s'
	start_slapd one
	{ override a a.test '[192.0.2.1]' && override b b.test 'nothing valid'; } | ldap_add one
	follow
	override c c.test '[192.0.2.3]' | ldap_add one
	eventually 4 is_routed c.test '192.0.2.3\]' || fail "not added"
	sleep 2
	assert_eq "$(grep -c 'cn=b' "$SCRATCH/follow.log")" 1 "reports of what is not valid"
	assert_eq "$(grep -c 'following' "$SCRATCH/follow.log")" 1 "lines about the state"
}

# Neither memory nor a log is for all that may be wrong with a directory.
case_follow_a_directory_that_is_all_wrong() {
	fresh
	configure 'override_refresh = 1s'
	start_slapd one
	stop one
	bulk_overrides 1 4000 | sed 's/^mxhopHop:.*/mxhopHop: nothing valid/' | slapd_load one
	restart_slapd one
	follow
	eventually 5 log_has "$SCRATCH/follow.log" "$BASE: [0-9]+ more findings" || fail "no end"
	[[ $(wc -l <"$SCRATCH/follow.log") -lt 2000 ]] || fail "$(wc -l <"$SCRATCH/follow.log") lines"
	sleep 2
	assert_eq "$(grep -c 'more findings' "$SCRATCH/follow.log")" 1 "reports"
	ldap_set one n1 mxhopHop '[192.0.2.1]'
	eventually 4 is_routed d1.bulk.test '192.0.2.1\]' || fail "not changed"
	assert_eq "$(grep -c 'more findings' "$SCRATCH/follow.log")" 2 "reports"
}

case_follow_a_table_that_others_change() {
	fresh
	configure 'override_refresh = 1s'
	start_slapd one syncprov=100
	override a a.test '[192.0.2.1]' | ldap_add one
	follow
	rm /var/lib/mxhop/overrides*
	eventually 5 is_routed a.test '192.0.2.1\]' || fail "not written anew"
	# The search that it no longer listens to is over for the server, too.
	grep -q ' ABANDON ' "$SCRATCH/one.log" || fail "two searches now"
	assert_eq "$(wc -l <"$SCRATCH/follow.log")" 1 "lines"
}

case_follow_holds_back_what_shrinks() {
	fresh
	configure 'override_refresh = 1s'
	start_slapd one syncprov=100
	bulk_overrides 1 10 | ldap_add one
	follow
	ldap_delete one n{1..8}
	eventually 3 log_has "$SCRATCH/follow.log" 'held back' || fail "not held back"
	sleep 3
	assert_eq "$(wc -l <"$SCRATCH/follow.log")" 2 "lines"
	assert_match "$(route d1.bulk.test)" '192.0.2.1\]'
	# An urgent addition is in force at once, and the log repeats the rest.
	mark
	override new new.test '[192.0.2.9]' | ldap_add one
	eventually 3 is_routed new.test '192.0.2.9\]' || fail "not added"
	eventually 3 log_has "$SCRATCH/follow.log" 'held back' || fail "not repeated"
	assert_match "$(route d1.bulk.test)" '192.0.2.1\]'
	assert_eq "$(jq -c '[.held_back > 0, .held_back == (.held | length), .error, .follower.pid > 0]' \
		/var/lib/mxhop/overrides.state)" '[true,true,null,true]'
	refresh --force
	eventually 5 is_routed d1.bulk.test '^$' || fail "still there"
	ldap_delete one new
	eventually 5 is_routed new.test '^$' || fail "not followed any more"
	assert_eq "$(jq .held_back /var/lib/mxhop/overrides.state)" 0
}

# A library for LD_PRELOAD: CLOCK_BOOTTIME is ahead by the seconds in the file
# $LATER, which may change at any time.
build_later() {
	cc -shared -fPIC -D_GNU_SOURCE -Wall -Werror -o "$SCRATCH/later.so" -x c - <<-'END'
		#include <stdio.h>
		#include <stdlib.h>
		#include <sys/syscall.h>
		#include <time.h>
		#include <unistd.h>
		int clock_gettime(clockid_t id, struct timespec *t)
		{
		    long status = syscall(SYS_clock_gettime, id, t), ahead_s = 0;
		    FILE *f = id == CLOCK_BOOTTIME ? fopen(getenv("LATER"), "re") : NULL;

		    if (f != NULL) {
		        if (fscanf(f, "%ld", &ahead_s) == 1)
		            t->tv_sec += ahead_s;
		        fclose(f);
		    }
		    return (int)status;
		}
	END
}

later() { # SECONDS
	echo "$1" >"$LATER.new"
	mv "$LATER.new" "$LATER"
}

times_said() { # REGEX
	grep -c "$1" "$SCRATCH/follow.log" || true
}

said_times() { # N REGEX
	[[ $(times_said "$2") -eq $1 ]]
}

# What is not in force as the directory has it is said once, and again each hour.
case_follow_repeats_each_hour() {
	local how
	build_later
	export LATER=$SCRATCH/later
	for how in 'the last good version' 'held back'; do
		fresh
		configure 'override_refresh = 1s'
		start_slapd one syncprov=100
		bulk_overrides 1 4 | ldap_add one
		later 0
		LD_PRELOAD=$SCRATCH/later.so follow
		if [[ $how == 'held back' ]]; then
			ldap_delete one n{1..3}
		else
			ldap_set one n1 mxhopHop 'wrong wrong'
		fi
		eventually 3 said_times 1 "$how" || fail "$how: not said"
		later 3500
		sleep 3
		assert_eq "$(times_said "$how")" 1 "$how, within an hour"
		later 3700
		eventually 10 said_times 2 "$how" || fail "$how: not said again"
		sleep 3
		later 7200
		sleep 3
		assert_eq "$(times_said "$how")" 2 "$how, within another hour"
		later 7500
		eventually 10 said_times 3 "$how" || fail "$how: not said a third time"
		assert_match "$(route d1.bulk.test)" '192.0.2.1\]'
	done
	# Nothing to say any more.
	refresh --force
	eventually 5 is_routed d1.bulk.test '^$' || fail "still there"
	later 12000
	sleep 3
	assert_eq "$(times_said 'held back')" 3 'held back, after all was mended'
	later 20000
	override new new.test '[192.0.2.9]' | ldap_add one
	eventually 5 is_routed new.test '192.0.2.9\]' || fail "not followed any more"
	assert_eq "$(times_said 'held back')" 3 'held back, after all was mended'
}

# A password that was changed in both places is used at the next connection.
case_follow_with_a_new_password() {
	fresh
	start_slapd one syncprov=100 \
		access="to dn.subtree=$BASE by dn.exact=$READER read by * none"
	override a a.test '[192.0.2.1]' | ldap_add one
	install -m 0400 /dev/stdin /etc/mxhop/secret <<<"$READER_PW"
	configure 'ldap_bind = simple' "ldap_bind_dn = $READER" \
		'ldap_bind_pw_file = /etc/mxhop/secret'
	follow
	printf '%s\n' "dn: $READER" 'changetype: modify' 'replace: userPassword' \
		'userPassword: another' | ldap_modify one
	restart_slapd one
	eventually 20 log_has "$SCRATCH/follow.log" 'Invalid credentials' || fail "still welcome"
	mark # it takes its time, and the next attempt may come at once
	install -m 0400 /dev/stdin /etc/mxhop/secret <<<'another'
	# The pause doubles with each attempt in vain, and slapd takes its time to start.
	eventually 30 log_has "$SCRATCH/follow.log" 'following' || fail "not tried again"
	override b b.test '[192.0.2.2]' | ldap_add one
	eventually 3 is_routed b.test '192.0.2.2\]' || fail "not followed"
}

# What is wrong is said once, and the last good versions stay.
case_follow_says_once_what_is_invalid() {
	local i
	fresh
	configure
	start_slapd one syncprov=100
	bulk_overrides 1 4 | ldap_add one
	follow
	for i in {1..3}; do
		printf '%s\n' "dn: cn=n$i,$BASE" 'changetype: modify' 'replace: mxhopHop' 'mxhopHop: wrong wrong' ''
	done | ldap_modify one
	eventually 3 log_has "$SCRATCH/follow.log" 'the last good version' || fail "not kept"
	sleep 4
	assert_eq "$(grep -c "cn=n.,$BASE: mxhopHop" "$SCRATCH/follow.log")" 3 "findings"
	assert_eq "$(wc -l <"$SCRATCH/follow.log")" 4 "lines"
	assert_match "$(route d1.bulk.test)" '192.0.2.1\]'
	ldap_set one n4 mxhopHop '[192.0.2.44]'
	eventually 3 is_routed d4.bulk.test '192.0.2.44\]' || fail "not followed"
	assert_eq "$(wc -l <"$SCRATCH/follow.log")" 4 "lines"
	ldap_set one n1 mxhopHop '[192.0.2.11]'
	eventually 3 is_routed d1.bulk.test '192.0.2.11\]' || fail "not followed"
	assert_eq "$(jq -c '[.kept_count, .left_out]' /var/lib/mxhop/overrides.state)" '[2,0]'
}

case_follow_holds_back_what_shrinks_in_steps() {
	local i
	fresh
	configure
	start_slapd one syncprov=100
	bulk_overrides 1 10 | ldap_add one
	follow
	for i in {1..5}; do
		ldap_delete one "n$i"
		eventually 3 is_routed "d$i.bulk.test" '^$' || fail "n$i not deleted"
	done
	ldap_delete one n6
	eventually 3 log_has "$SCRATCH/follow.log" \
		'held back: 6 of 10 entries of the last day' || fail "not held back"
	assert_match "$(route d6.bulk.test)" '192.0.2.6\]'
}

case_follow_is_a_service() {
	fresh
	configure
	start_slapd one syncprov=100
	spawn notified python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print(s.recv(100).decode(), flush=True)' "$SCRATCH/notify"
	eventually 3 test -S "$SCRATCH/notify" || fail "no socket"
	NOTIFY_SOCKET=$SCRATCH/notify follow
	eventually 3 log_has "$SCRATCH/notified.log" 'READY=1' || fail "not told"
	freeze one
	mxhop_ends
	wipe_slapd one
	follow
	mxhop_ends
	echo "overrides = ldif:/etc/mxhop/overrides.ldif" >/etc/mxhop/mxhop.cf
	assert_status 78 mxhop refresh --follow
	assert_match "$OUTPUT" 'only a directory can be followed'
}

# SIGTERM ends it at once, with status 0.
mxhop_ends() {
	local pid status=0
	pid=$(<"$SCRATCH/pids/follow")
	kill "$pid"
	wait "$pid" || status=$?
	assert_eq "$status" 0 "status of --follow"
}
