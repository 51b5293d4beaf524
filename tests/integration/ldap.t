# shellcheck shell=bash disable=SC2016
# Overrides from a directory, the main path: everything the first time, what
# changed afterwards, whole sets where the server cannot tell, each way to bind,
# schemas of others.

# shellcheck source=tests/integration/ldap.sh
. "$ROOT/tests/integration/ldap.sh"

TABLE=/var/lib/mxhop/overrides

setup() {
	zone test <<-'END'
		plain  MX 10 mx
		mx     A 192.0.2.1
	END
	start_dns
	configure_postfix
	use_mxhop_plugin </dev/null
	cool_main_cf
	ldap_certificate good
}

configure() { # [LINE...]
	printf '%s\n' 'overrides = ldap' 'ldap_timeout = 5s' "$@" >/etc/mxhop/mxhop.cf
}

# No table, and a directory with three overrides; read, if anybody may.
fresh() { # [START_SLAPD-OPTION...]
	rm -f $TABLE
	[[ ! -d $SCRATCH/dir.db ]] || wipe_slapd dir
	start_slapd dir tls=good tls_port=636 "$@"
	configure 'ldap_server_host = ldap://127.0.0.1' "ldap_search_base = $BASE"
	{
		override one one.test '[192.0.2.1]'
		override two two.test '[192.0.2.2]'
		override three three.test '[192.0.2.3]'
	} | ldap_add dir
	[[ $* == *access=* ]] || refreshed '3 entries, id [0-9a-f]{8}, 0 skipped'
}

refreshed() { # TEXT
	assert_status 0 mxhop refresh
	assert_match "$OUTPUT" "$1"
}

route() { postmap -q "$1" $M || true; }
assert_route() { assert_eq "$(route "$1")" "$2" "$1"; } # DOMAIN LIST

# All kinds of change at once; what did not change was not sent.
change_all() {
	override four four.test '[192.0.2.4]' | ldap_add dir
	ldap_set dir one mxhopHop '[192.0.2.9]'
	ldap_rename dir two deux
	ldap_set dir deux mxhopKey deux.test
	ldap_delete dir three
}

assert_all_changed() {
	assert_route one.test ':[192.0.2.9]'
	assert_route two.test ''
	assert_route deux.test ':[192.0.2.2]'
	assert_route three.test ''
	assert_route four.test ':[192.0.2.4]'
	assert_match "$(mxhop trace deux.test)" "cn=deux,$BASE"
}

entries_sent() { grep -o 'nentries=[0-9]*' <<<"$(since_mark "$SCRATCH/dir.log")" | tail -n 1; }

case_first_load() {
	fresh syncprov=100
	assert_route one.test ':[192.0.2.1]'
	assert_route three.test ':[192.0.2.3]'
	refreshed '3 entries \(unchanged\)'
}

case_what_changed() {
	fresh syncprov=100
	change_all
	mark
	refreshed '3 entries, id [0-9a-f]{8}'
	assert_eq "$(entries_sent)" nentries=3 "entries that the directory sent"
	assert_all_changed
}

# The session log has gone with the server: it names what is left.
case_what_is_left() {
	fresh syncprov=0
	change_all
	restart_slapd dir
	refreshed '3 entries, id [0-9a-f]{8}'
	assert_all_changed
	ldap_delete dir one deux four
	restart_slapd dir
	assert_status 75 mxhop refresh
	assert_match "$OUTPUT" 'held back'
	assert_status 0 mxhop refresh --force
	assert_match "$OUTPUT" ' 0 entries'
}

case_without_syncprov() {
	fresh
	change_all
	refreshed '3 entries, id [0-9a-f]{8}'
	assert_all_changed
	refreshed '3 entries \(unchanged\)'
}

# A cookie that the server does not know: from scratch.
case_another_directory() {
	fresh syncprov=100
	wipe_slapd dir
	start_slapd dir syncprov=100
	{
		override one one.test '[192.0.2.7]'
		override five five.test '[192.0.2.5]'
	} | ldap_add dir
	refreshed '2 entries'
	assert_route one.test ':[192.0.2.7]'
	assert_route two.test ''
	assert_route five.test ':[192.0.2.5]'
}

case_another_filter_reads_all_anew() {
	fresh syncprov=100
	configure 'ldap_server_host = ldap://127.0.0.1' "ldap_search_base = $BASE" \
		'ldap_filter = (|(cn=one)(cn=two))'
	refreshed '2 entries'
	assert_route three.test ''
}

case_an_invalid_entry_is_named() {
	fresh syncprov=100
	override bad bad.test '[192.0.2.1]:99999' | ldap_add dir
	assert_status 65 mxhop refresh
	assert_match "$OUTPUT" "cn=bad,$BASE: mxhopHop"
	refute_match "$OUTPUT" 'cn=one'
	assert_route one.test ':[192.0.2.1]'
	ldap_set dir one mxhopHop 'two words here'
	assert_status 65 mxhop refresh
	assert_match "$OUTPUT" "cn=one,$BASE: mxhopHop: .*the last good version"
	assert_route one.test ':[192.0.2.1]'
}

# --- connections ---

case_simple_bind_over_tls() {
	local how
	fresh syncprov=100 'access=to dn.subtree="'"$BASE"'" by dn="'"$READER"'" read by * none'
	(umask 077; echo "$READER_PW" >/etc/mxhop/ldap.secret)
	for how in 'ldap://127.0.0.1 yes' 'ldaps://127.0.0.1 no'; do
		configure "ldap_server_host = ${how% *}" "ldap_start_tls = ${how#* }" \
			"ldap_search_base = $BASE" "ldap_tls_ca_cert_file = $CA" \
			'ldap_bind = simple' "ldap_bind_dn = $READER" \
			'ldap_bind_pw_file = /etc/mxhop/ldap.secret'
		refreshed '3 entries'
	done
	chmod 0644 /etc/mxhop/ldap.secret
	assert_status 78 mxhop refresh
	assert_match "$OUTPUT" 'ldap.secret: others have access'
	refute_match "$OUTPUT" "$READER_PW"
}

case_external_over_ldapi() {
	fresh syncprov=100 'access=to dn.subtree="'"$BASE"'" by dn="gidNumber=0+uidNumber=0,cn=peercred,cn=external,cn=auth" read by * none'
	configure "ldap_server_host = $(ldapi_uri dir)" "ldap_search_base = $BASE" \
		'ldap_bind = sasl'
	refreshed '3 entries'
	assert_match "$(<"$SCRATCH/dir.log")" 'mech=EXTERNAL'
}

# --- schemas of others ---

# As Postfix would be given it; and what it answers there.
case_a_table_of_postfix() {
	fresh syncprov=100
	printf '%s\n' "dn: cn=mail,$BASE" 'objectClass: inetLocalMailRecipient' \
		'objectClass: applicationProcess' 'cn: mail' \
		'mailLocalAddress: post.test' 'mailLocalAddress: .post.test' \
		'mailHost: smtp:[192.0.2.6]:2525' | ldap_add dir
	printf '%s\n' 'server_host = ldap://127.0.0.1' "search_base = $BASE" \
		'query_filter = (&(objectClass=inetLocalMailRecipient)(mailLocalAddress=%s))' \
		'result_attribute = mailHost' 'bind = no' 'version = 3' \
		>/etc/mxhop/transport.cf
	configure 'ldap_config = /etc/mxhop/transport.cf'
	assert_status 0 mxhop refresh --force
	assert_match "$OUTPUT" ' 1 entry'
	assert_route post.test 'smtp:[192.0.2.6]:2525'
	assert_route a.post.test 'smtp:[192.0.2.6]:2525'
	assert_route one.test ''
	sed -i 's/=%s/=%u/' /etc/mxhop/transport.cf
	assert_status 78 mxhop refresh
	assert_match "$OUTPUT" '/etc/mxhop/transport.cf:3: query_filter'
}

# Most do not say `bind = yes': it is Postfix's default. As nobody one might see
# a part of the set and take it for the whole.
case_a_table_of_postfix_that_binds() {
	fresh syncprov=100 'access=to dn.subtree="'"$BASE"'" by dn="'"$READER"'" read by * none'
	printf '%s\n' 'server_host = 127.0.0.1' "search_base = $BASE" \
		'query_filter = mxhopKey=%s' 'result_attribute = mxhopHop' \
		"bind_dn = $READER" "bind_pw = $READER_PW" >/etc/mxhop/transport.cf
	chmod 0640 /etc/mxhop/transport.cf
	configure 'ldap_config = /etc/mxhop/transport.cf'
	assert_status 0 mxhop refresh --force
	assert_match "$OUTPUT" ' 3 entries'
}

# --- following ---

case_follow() {
	fresh syncprov=100
	spawn follow mxhop refresh --follow
	eventually 10 log_has "$SCRATCH/follow.log" 'following ldap://127.0.0.1' ||
		fail "not following"
	change_all
	eventually 10 is_routed four.test || fail "no change seen"
	eventually 10 is_not_routed three.test || fail "no removal seen"
	assert_all_changed
}

case_follow_without_syncprov() {
	fresh
	configure 'ldap_server_host = ldap://127.0.0.1' "ldap_search_base = $BASE" \
		'override_refresh = 1s'
	spawn follow mxhop refresh --follow
	change_all
	eventually 20 is_routed four.test || fail "no change seen"
	eventually 20 is_not_routed three.test || fail "no removal seen"
	assert_all_changed
}

# What comes next is a change of the set, not all there is.
case_follow_when_the_table_is_taken_away() {
	fresh syncprov=100
	spawn follow mxhop refresh --follow
	eventually 10 log_has "$SCRATCH/follow.log" 'following' || fail "not following"
	rm $TABLE
	ldap_set dir one mxhopHop '[192.0.2.9]'
	eventually 10 route_is one.test ':[192.0.2.9]' || fail "$(route one.test)"
	assert_route two.test ':[192.0.2.2]'
	assert_route three.test ':[192.0.2.3]'
}

case_follow_what_cannot_be_followed() {
	printf '%s\n' 'overrides = ldif:/etc/mxhop/o.ldif' >/etc/mxhop/mxhop.cf
	assert_status 78 mxhop refresh --follow
	assert_match "$OUTPUT" 'only a directory'
}

route_is() { [[ $(route "$1") == "$2" ]]; }
is_routed() { [[ $(route "$1") ]]; }
is_not_routed() { [[ ! $(route "$1") ]]; }
