# shellcheck shell=bash disable=SC2016
# Mail that Postfix delivers itself stays its own, with transport_maps =
# mxhop:... beside it: every such domain has an MX record that points to a trap.

ME=alice@mta.mxhop.test
TRAP=192.0.2.66

setup() {
	local d
	for d in local1 valias vmbox relayed other; do
		zone "$d.test" <<-END
			@  MX 10 mx
			mx A $TRAP
		END
	done
	start_dns
	use_mxhop_plugin <<-'END'
		cache = memory
		lookup_budget = 2s
		wait_share = 100%
	END
	virtual_files
	start_postfix "transport_maps = $M"
	start_sink "$TRAP"
}

virtual_files() {
	local type
	mkdir -p /var/mail/virtual/vmbox
	chown -R alice: /var/mail/virtual
	printf '%s\n' 'user@valias.test alice@mta.mxhop.test' \
		'info@other.test bob@mta.mxhop.test' >/etc/postfix/valias
	echo 'user@vmbox.test vmbox/user' >/etc/postfix/vmbox
	echo 'local1.test any' >/etc/postfix/domains-local
	echo 'valias.test any' >/etc/postfix/domains-alias
	echo 'vmbox.test any' >/etc/postfix/domains-mailbox
	for type in hash lmdb; do
		postmap "$type":/etc/postfix/{valias,vmbox,domains-{local,alias,mailbox}}
	done
	postconf -e 'virtual_alias_maps = hash:/etc/postfix/valias' \
		'virtual_mailbox_maps = hash:/etc/postfix/vmbox' \
		'virtual_mailbox_base = /var/mail/virtual' 'virtual_minimum_uid = 1' \
		"virtual_uid_maps = static:$(id -u alice)" \
		"virtual_gid_maps = static:$(id -g alice)"
}

domains() { # LOCAL ALIAS MAILBOX
	postfix_set "mydestination = \$myhostname, localhost, $1" \
		"virtual_alias_domains = $2" "virtual_mailbox_domains = $3"
}

# No question to DNS either: a local domain must not depend on it.
assert_delivered_here() {
	local d
	for d in local1 valias vmbox; do
		assert_status 1 postmap -q "$d.test" "$M"
		refute_match "$OUTPUT" fatal "$d.test"
		assert_eq "$(dns_queries "$d.test" MX)" 0 "queries for $d.test"
	done
	send_mail "$ME" alice@local1.test user@valias.test user@vmbox.test
	wait_for_log 'to=<alice@local1.test>.*relay=local.*status=sent \(delivered to mailbox'
	wait_for_log 'to=<alice@mta.mxhop.test>, orig_to=<user@valias.test>, relay=local.*status=sent'
	wait_for_log 'to=<user@vmbox.test>, relay=virtual.*status=sent'
	wait_queue_empty
	assert_eq "$(sink_connections "$TRAP")" 0 "connections to the trap"
}

case_the_trap_works() {
	assert_eq "$(postmap -q other.test "$M")" ':[mx.other.test]'
	send_mail "$ME" user@other.test
	wait_for_log 'to=<user@other.test>, relay=mx.other.test.*status=sent'
	assert_eq "$(sink_messages "$TRAP")" 1
}

case_from_literal_values() {
	domains LOCAL1.test valias.test 'vmbox.test, unused.test'
	assert_delivered_here
}

case_from_hash_tables() {
	domains hash:/etc/postfix/domains-local hash:/etc/postfix/domains-alias \
		hash:/etc/postfix/domains-mailbox
	assert_delivered_here
}

case_from_lmdb_tables() {
	domains lmdb:/etc/postfix/domains-local lmdb:/etc/postfix/domains-alias \
		lmdb:/etc/postfix/domains-mailbox
	assert_delivered_here
}

case_from_tables_through_proxymap() {
	domains proxy:hash:/etc/postfix/domains-local \
		proxy:hash:/etc/postfix/domains-alias proxy:lmdb:/etc/postfix/domains-mailbox
	assert_delivered_here
}

case_through_proxymap_itself() {
	domains local1.test hash:/etc/postfix/domains-alias proxy:hash:/etc/postfix/domains-mailbox
	postfix_set "transport_maps = proxy:$M"
	assert_delivered_here
	send_mail "$ME" user@other.test
	wait_for_log 'to=<user@other.test>, relay=mx.other.test.*status=sent'
	refute_log 'panic|fatal|killed by signal'
	postfix_set "transport_maps = $M"
}

# Their recipients are looked at as before.
case_unknown_users_are_refused() {
	local rcpt
	domains local1.test valias.test vmbox.test
	for rcpt in nobody-at-all@local1.test other@valias.test other@vmbox.test; do
		assert_status 1 smtp_try "$ME" "$rcpt"
		assert_match "$OUTPUT" '^550 5\.1\.1 .*User unknown' "$rcpt"
	done
}

# One address of a domain that is not ours is an alias: the rest is routed.
case_virtual_alias_in_a_domain_that_is_not_ours() {
	send_mail "$ME" info@other.test user@other.test
	wait_for_log 'to=<bob@mta.mxhop.test>, orig_to=<info@other.test>, relay=local.*status=sent'
	wait_for_log 'to=<user@other.test>, relay=mx.other.test.*status=sent'
	assert_eq "$(sink_recipients "$TRAP")" user@other.test
}

# A list of hosts would replace the socket.
case_virtual_transport_keeps_its_socket() {
	spawn lmtp smtp-sink -v -L -u postfix unix:/var/spool/postfix/private/mailstore 10
	domains local1.test valias.test vmbox.test
	postfix_set 'virtual_transport = lmtp:unix:private/mailstore'
	send_mail "$ME" user@vmbox.test
	wait_for_log 'to=<user@vmbox.test>, relay=.*\[private/mailstore\].*status=sent'
	assert_eq "$(sink_connections "$TRAP")" 0 "connections to the trap"
	postfix_unset virtual_transport
}

case_local_transport_keeps_its_host() {
	start_sink 192.0.2.67
	postfix_set 'local_transport = smtp:[192.0.2.67]' 'local_recipient_maps ='
	send_mail bob@other.test alice@local1.test
	wait_for_log 'to=<alice@local1.test>, relay=192.0.2.67\[192.0.2.67\]:25.*status=sent'
	postfix_unset local_transport local_recipient_maps
	assert_eq "$(sink_connections "$TRAP")" 0 "connections to the trap"
}

# A relay domain gets the hosts of its MX records, by the transport relay, and
# is accepted from strangers as before.
case_relay_domain_by_its_mx_records() {
	postfix_set 'relay_domains = hash:/etc/postfix/domains-relay relayed.test'
	echo 'none.test any' >/etc/postfix/domains-relay
	postmap hash:/etc/postfix/domains-relay
	reload_postfix
	assert_eq "$(postmap -q relayed.test "$M")" ':[mx.relayed.test]'
	send_mail "$ME" user@relayed.test
	wait_for_log 'postfix/relay/smtp.*to=<user@relayed.test>, relay=mx.relayed.test.*status=sent'
	assert_eq "$(sink_messages "$TRAP")" 1
	postfix_set 'mynetworks ='
	assert_status 0 smtp_try bob@other.test user@relayed.test
	assert_status 1 smtp_try bob@relayed.test user@other.test
	postfix_set 'mynetworks = 127.0.0.0/8 [::1]/128'
}

case_relay_transport_keeps_its_host() {
	local list
	start_sink 192.0.2.77
	echo 'relayed.test any' >/etc/postfix/domains-relay
	postmap {hash,lmdb}:/etc/postfix/domains-relay
	for list in relayed.test {hash,lmdb}:/etc/postfix/domains-relay; do
		postfix_set "relay_domains = $list" 'relay_transport = relay:[192.0.2.77]'
		mark
		send_mail "$ME" user@relayed.test
		wait_for_log 'to=<user@relayed.test>, relay=192.0.2.77\[192.0.2.77\]:25.*status=sent'
		assert_eq "$(sink_connections "$TRAP")" 0 "connections to the trap"
	done
	postfix_unset relay_transport relay_domains
}

# --- overrides for what is ours ---

NEW=192.0.2.80

# The table holds these from here on.
overrides() { # NAME LINE... [-- NAME LINE...]...
	printf '%s\n' 'cache = memory' 'lookup_budget = 2s' 'wait_share = 100%' \
		'overrides = ldif:/etc/mxhop/overrides.ldif' >/etc/mxhop/mxhop.cf
	{
		while [[ $# -gt 0 ]]; do
			printf '%s\n' "dn: cn=$1,dc=test" 'objectClass: mxhopOverride' "cn: $1"
			shift
			while [[ $# -gt 0 && $1 != -- ]]; do
				printf '%s\n' "$1"
				shift
			done
			echo
			shift $(($# > 0))
		done
	} | refresh_overrides
	start_sink "$NEW"
	reload_postfix
}

# By the transport relay, as without one local(8) would deliver it here.
moved() { # ADDRESS
	wait_for_log "postfix/relay/smtp.*to=<${1//+/\\+}>, relay=$NEW\\[$NEW\\]:25.*status=sent"
}

case_mailbox_that_has_moved() {
	domains local1.test valias.test vmbox.test
	overrides moved 'mxhopKey: alice@local1.test' 'mxhopKey: user@vmbox.test' \
		'mxhopKey: alice@valias.test' "mxhopHop: [$NEW]"
	echo 'other@vmbox.test vmbox/other' >>/etc/postfix/vmbox
	postmap hash:/etc/postfix/vmbox
	send_mail "$ME" {alice,alice+ext,bob}@local1.test {user,other}@vmbox.test \
		alice@mta.mxhop.test user@valias.test
	moved alice@local1.test
	moved alice+ext@local1.test
	moved user@vmbox.test
	wait_for_log 'to=<bob@local1.test>, relay=local.*status=sent'
	wait_for_log 'to=<other@vmbox.test>, relay=virtual.*status=sent'
	wait_for_log 'to=<alice@mta.mxhop.test>, relay=local.*status=sent'
	wait_for_log 'orig_to=<user@valias.test>, relay=local.*status=sent'
	wait_queue_empty
	assert_eq "$(sink_connections "$TRAP")" 0 "connections to the trap"
	# From outside too, and nobody else's.
	assert_status 0 smtp_try someone@other.test alice@local1.test 192.0.2.250
	assert_status 1 smtp_try someone@other.test nobody-at-all@local1.test 192.0.2.250
	assert_match "$OUTPUT" '^550 5\.1\.1'
}

# All of a domain but one mailbox.
case_domain_that_has_moved() {
	domains local1.test valias.test vmbox.test
	overrides moved 'mxhopKey: local1.test' 'mxhopKey: vmbox.test' \
		"mxhopHop: [$NEW]" -- stays 'mxhopKey: bob@local1.test' 'mxhopMode: pass'
	spawn lmtp smtp-sink -v -L -u postfix unix:/var/spool/postfix/private/mailstore 10
	postfix_set 'virtual_transport = lmtp:unix:private/mailstore'
	send_mail "$ME" {alice,bob}@local1.test user@vmbox.test
	moved alice@local1.test
	moved user@vmbox.test
	wait_for_log 'to=<bob@local1.test>, relay=local.*status=sent'
	postfix_unset virtual_transport
	wait_queue_empty
}

case_transport_of_the_entry() {
	domains local1.test valias.test vmbox.test
	overrides moved 'mxhopKey: alice@local1.test' "mxhopHop: [$NEW]" \
		'mxhopTransport: smtp'
	send_mail "$ME" alice@local1.test
	wait_for_log "postfix/smtp\\[.*to=<alice@local1.test>, relay=$NEW.*status=sent"
}

case_mailbox_of_a_relay_domain_that_has_moved() {
	start_sink 192.0.2.77
	overrides moved 'mxhopKey: alice@relayed.test' "mxhopHop: [$NEW]"
	postfix_set 'relay_domains = relayed.test' 'relay_transport = relay:[192.0.2.77]'
	send_mail "$ME" {alice,bob}@relayed.test
	moved alice@relayed.test
	wait_for_log 'to=<bob@relayed.test>, relay=192.0.2.77\[192.0.2.77\]:25.*status=sent'
	postfix_set 'relay_transport = lmtp:unix:private/mailstore'
	mark
	send_mail "$ME" alice@relayed.test
	moved alice@relayed.test
	postfix_unset relay_transport relay_domains
}

# Where the host of a mailbox is not usable, the mail is not delivered here.
case_moved_to_nowhere_waits() {
	domains local1.test valias.test vmbox.test
	overrides moved 'mxhopKey: alice@local1.test' 'mxhopHop: [none.other.test]'
	assert_status 0 smtp_try someone@other.test alice@local1.test 192.0.2.250
	send_mail "$ME" alice@local1.test
	wait_for_log 'to=<alice@local1.test>, .*status=deferred'
	refute_log 'status=(sent|bounced)'
}

# Written for others, even if it is for all of them.
case_wide_overrides_leave_local_mail_alone() {
	domains local1.test valias.test vmbox.test
	overrides all 'mxhopKey: *' "mxhopHop: [$NEW]" -- \
		below 'mxhopKey: .test' 'mxhopMode: reject' -- \
		mx 'mxhopExchange: .test' "mxhopHop: [$NEW]"
	assert_delivered_here
}

case_local_domains_of_our_own() {
	printf '%s\n' 'cache = memory' 'local_domains = other.test .relayed.test' >/etc/mxhop/mxhop.cf
	assert_status 1 postmap -q other.test "$M"
	assert_status 1 postmap -q sub.relayed.test "$M"
	assert_eq "$(postmap -q relayed.test "$M")" ':[mx.relayed.test]'
	assert_status 1 mxhop lookup other.test
	assert_match "$OUTPUT" 'other.test: pass: the MTA delivers this domain itself'
}

case_postfix_is_well() {
	refute_match "$(<"$MAIL_LOG")" 'panic|fatal|killed by signal|exit status'
}
