# shellcheck shell=bash disable=SC2016
# The table type mxhop_tls: hosts of a list with the class of a TLS policy, on
# the Postfix of Debian 12, 13 and sid. A table of the test's own routes, and
# smtp(8) is jailed.

# shellcheck source=tests/integration/tls.sh
. "$ROOT/tests/integration/tls.sh"

STS='secure match=hostname servername='

setup() {
	tls_certificate good good.hosts.test good.signed.test
	tls_certificate second second.hosts.test second.signed.test
	tls_certificate badca '*.hosts.test' by=foreign
	tls_certificate name name.other.test
	tls_certificate wild '*.wild.test'
	tls_certificate old old.hosts.test 'until=1 hour ago'
	zone hosts.test <<-'END'
		good   A 192.0.2.1
		ca     A 192.0.2.2
		ca2    A 192.0.2.2
		ca3    A 192.0.2.2
		name   A 192.0.2.3
		name2  A 192.0.2.3
		bare   A 192.0.2.4
		bare2  A 192.0.2.4
		second A 192.0.2.5
		old    A 192.0.2.5
	END
	zone wild.test <<<$'a A 192.0.2.5\na.b A 192.0.2.5'
	zone signed.test <<-END
		good   A 192.0.2.1
		$(tlsa good good)
		second A 192.0.2.5
		$(tlsa second second 2)
		ca     A 192.0.2.2
		$(tlsa ca good)
		ca2    A 192.0.2.2
		$(tlsa ca2 good)
		ca3    A 192.0.2.2
		$(tlsa ca3 good)
		bare   A 192.0.2.4
		$(tlsa bare good)
		none   A 192.0.2.3
	END
	sign_zone signed.test
	start_signed_dns
	start_receiver 192.0.2.1 name good.hosts.test=good good.signed.test=good
	start_receiver 192.0.2.2 badca
	start_receiver 192.0.2.3 name
	start_receiver 192.0.2.4 -
	start_receiver 192.0.2.5 name {second.hosts,second.signed}.test=second \
		old.hosts.test=old {a,a.b}.wild.test=wild
	use_mxhop_plugin <<<'cache = none'
	sed -E 's/^([^ ]+) +(.*[^ ]) +\|.*/rcpt-\1.test :\2/' <<<"$DELIVERIES" >"$SCRATCH/routes"
}

# NAME, hosts, and what a message to rcpt-NAME.test comes to: where it arrives
# and how, or why it waits. The same hosts without a class take it as they are.
# Each list begins with another host, for Postfix keeps a connection under the
# first, whichever of the list it leads to.
DELIVERIES=$(
	cat <<-'END'
		good       [good.hosts.test]:025                            | 192.0.2.1 good.hosts.test
		ca         [ca.hosts.test]:025                              | Server certificate not
		name       [name.hosts.test]:025                            | Server certificate not
		bare       [bare.hosts.test]:025                            | TLS is required, but was not offered
		half-ca    [ca2.hosts.test]:025, [good.hosts.test]:025      | 192.0.2.1 good.hosts.test
		half-name  [name2.hosts.test]:025, [second.hosts.test]:025  | 192.0.2.5 second.hosts.test
		half-bare  [bare2.hosts.test]:025, [good.hosts.test]:025    | 192.0.2.1 good.hosts.test
		old        [old.hosts.test]:025                             | Server certificate not
		wild       [a.wild.test]:025                                | 192.0.2.5 a.wild.test
		wilder     [a.b.wild.test]:025                              | Server certificate not
		all-bad    [ca3.hosts.test]:025, [name.hosts.test]:025      | Server certificate not
		dane       [good.signed.test]:0025                          | 192.0.2.1 good.signed.test
		dane-ta    [second.signed.test]:0025                        | 192.0.2.5 second.signed.test
		dane-bad   [ca.signed.test]:0025                            | Server certificate not
		dane-bare  [bare.signed.test]:0025                          | TLS is required, but was not offered
		dane-none  [none.signed.test]:0025                          | TLSA
		dane-half  [ca2.signed.test]:0025, [good.signed.test]:0025  | 192.0.2.1 good.signed.test
		both       [ca3.signed.test]:0025, [good.hosts.test]:025    | 192.0.2.1 good.hosts.test
		open-good  [good.hosts.test]                                | 192.0.2.1 -
		open-ca    [ca.hosts.test]                                  | 192.0.2.2 -
		open-name  [name.hosts.test]                                | 192.0.2.3 -
		open-bare  [bare.hosts.test]                                | 192.0.2.4 -
	END
)

# --- mail ---

start_release() { # VERSION [NAME=VALUE...]
	cp "$SCRATCH/routes" /etc/postfix/routes
	start_tls_postfix "$1" 'transport_maps = texthash:/etc/postfix/routes' \
		"smtp_tls_policy_maps = $T" 'smtp_dns_support_level = dnssec' "${@:2}"
}

# Each row in its way, with recipients NUMBER@.
assert_deliveries() { # NUMBER
	local name expected address sni
	while read -r name _; do
		send_mail alice@mta.mxhop.test "$1@rcpt-$name.test"
	done <<<"$DELIVERIES"
	while IFS='|' read -r name expected; do
		name=${name%% *} expected=${expected# }
		if [[ $expected =~ ^([0-9.]+)\ (.*) ]]; then
			address=${BASH_REMATCH[1]} sni=${BASH_REMATCH[2]}
			wait_for_log "to=<$1@rcpt-$name.test>, .*status=sent" 20
			assert_match "$(received "$1@rcpt-$name.test")" "^$address tls=.* sni=$sni$" "$name"
		else
			wait_for_log "to=<$1@rcpt-$name.test>, .*status=deferred \\(.*$expected" 20
			assert_eq "$(received "$1@rcpt-$name.test")" '' "$name"
		fi
	done <<<"$DELIVERIES"
	refute_log 'panic|fatal|killed by signal|status=bounced'
}

jailed() {
	local pid
	for pid in $(pgrep -x smtp); do
		[[ $(readlink "/proc/$pid/root") == /var/spool/postfix ]] || return 1
	done
	[[ ${pid:-} ]]
}

# A connection that was made for a plain domain is kept, but not for a class.
assert_kept_connections() {
	local i
	for i in 1 2 3 4; do
		send_mail alice@mta.mxhop.test "kept$i@rcpt-open-ca.test"
		wait_for_log "to=<kept$i@rcpt-open-ca.test>, .*status=sent" 20
		send_mail alice@mta.mxhop.test "kept$i@rcpt-open-good.test"
		wait_for_log "to=<kept$i@rcpt-open-good.test>, .*status=sent" 20
		send_mail alice@mta.mxhop.test "kept$i@rcpt-good.test"
		wait_for_log "to=<kept$i@rcpt-good.test>, .*status=sent" 20
		send_mail alice@mta.mxhop.test "kept$i@rcpt-ca.test"
	done
	wait_for_log 'to=<kept4@rcpt-ca.test>, .*status=deferred'
	[[ $(receiver_sessions 192.0.2.2) -lt 4 && $(receiver_sessions 192.0.2.1) -lt 7 ]] ||
		fail "no connection was used again"
	for i in 1 2 3 4; do
		assert_match "$(received "kept$i@rcpt-good.test")" 'sni=good.hosts.test$'
		assert_match "$(received "kept$i@rcpt-open-good.test")" 'sni=-$'
		assert_eq "$(received "kept$i@rcpt-ca.test")" ''
	done
}

assert_release() { # VERSION
	start_release "$1" 'smtp_tls_connection_reuse = no'
	assert_deliveries one
	jailed || fail "smtp is not jailed"
	purge
	mark
	start_release "$1" 'smtp_tls_connection_reuse = yes' \
		'smtp_connection_cache_destinations = static:all' \
		'smtp_connection_cache_time_limit = 60s'
	assert_deliveries two
	mark
	assert_kept_connections
}

# --- cases ---

case_keys() {
	local key expected
	while IFS='=' read -r key expected; do
		assert_eq "$(postmap -q "$key" "$T" || true)" "$expected" "$key"
		assert_eq "$(postmap -q "$key" "$T" 2>&1 || true)" "$expected" "$key"
	done <<-END
		[mx.example.com]:025=${STS}mx.example.com
		[MX.Example.com]:025=${STS}mx.example.com
		[a-b_c.x1]:025=${STS}a-b_c.x1
		[3com.1st]:025=${STS}3com.1st
		[localhost]:025=${STS}localhost
		[mx.example.com]:0025=dane-only
		[mx.example.com]=
		[mx.example.com]:25=
		[mx.example.com]:smtp=
		[mx.example.com]:00025=
		[mx.example.com]:0250=
		[mx.example.com]:025 =
		[mx.example.com]:=
		[mx.example.com]025=
		[mx.example.com:025=
		mx.example.com]:025=
		mx.example.com:025=
		mx.example.com=
		.example.com=
		user@[mx.example.com]:025=
		[mx.example.com]:025, [b.example.com]:025=
		[192.0.2.1]:025=
		[192.0.2.1]:0025=
		[IPv6:2001:db8::1]:025=
		[2001:db8::1]:025=
		[mx.example.com.]:025=
		[.example.com]:025=
		[a..b]:025=
		[]:025=
		[a b]:025=
		[ä.test]:025=
		[[a]]:025=
		[$(printf 'a%.0s' {1..254})]:025=
		*=
	END
}

# A class must hold whatever happens to the configuration.
case_broken_configuration() {
	local file=/etc/mxhop/mxhop.cf
	echo 'broken_parameter = 1' >$file
	assert_eq "$(postmap -q '[a.test]:025' "$T")" "${STS}a.test" broken
	rm $file
	assert_eq "$(postmap -q '[a.test]:025' "$T")" "${STS}a.test" absent
	assert_eq "$(postmap -q '[a.test]:0025' mxhop_tls:/no/where/at/all)" dane-only
	echo 'cache = none' >$file
}

case_cannot_be_written() {
	assert_status 1 postmap -i "$T" <<<''
	assert_status 1 postmap -d '[a.test]:025' "$T"
	assert_match "$OUTPUT" "fatal: $T: .*only be read"
	assert_status 1 postmap -s "$T"
	assert_match "$OUTPUT" 'not supported'
	assert_eq "$(</etc/mxhop/mxhop.cf)" 'cache = none'
}

case_debian_12() { assert_release 3.7; }

# However many, and whatever has become of store and configuration.
case_a_class_costs_no_system_call() {
	local counts=$SCRATCH/calls n
	printf '[good.hosts.test]:025\n[good.signed.test]:0025\n%.0s' {1..10000} >"$SCRATCH/keys"
	strace -f -c -o "$counts" postmap -q - "$T" <"$SCRATCH/keys" >"$SCRATCH/answered"
	assert_eq "$(wc -l <"$SCRATCH/answered")" 20000
	n=$(awk '$1 ~ /^[0-9.]+$/ && $NF != "total" { n += $4 } END { print n }' "$counts")
	[[ $n -gt 100 && $n -lt 2000 ]] || fail "$n system calls: $(cat "$counts")"
}

# smtp(8) goes on, and starts afresh when the file has changed.
case_configuration_changes_while_running() {
	local i
	mark
	for i in 1 2 3; do
		sleep 1.1 # Postfix sees whole seconds
		echo "broken$i = 1" >/etc/mxhop/mxhop.cf
		send_mail alice@mta.mxhop.test "cf$i@rcpt-good.test" "cf$i@rcpt-ca.test"
		wait_for_log "to=<cf$i@rcpt-good.test>, .*status=sent" 20
		assert_match "$(received "cf$i@rcpt-good.test")" 'sni=good.hosts.test$'
	done
	wait_for_log 'to=<cf1@rcpt-ca.test>, .*status=deferred \(Server certificate not'
	wait_for_log "smtp.*table $T.* has changed -- restarting" 20
	refute_log 'panic|fatal|killed by signal'
	echo 'cache = none' >/etc/mxhop/mxhop.cf
}

case_through_proxymap() {
	mark
	start_release 3.7 "smtp_tls_policy_maps = proxy:$T" \
		'smtp_connection_cache_destinations ='
	assert_deliveries three
	assert_eq "$(postmap -q '[a.test]:025' "proxy:$T")" "${STS}a.test"
}

# Elsewhere the table has nothing to say: in particular it makes no domain ours.
case_other_parameters() {
	local rcpt
	mark
	start_release 3.7 "transport_maps = $T, texthash:/etc/postfix/routes" \
		"relay_domains = $T" "virtual_alias_maps = $T" "relocated_maps = $T" \
		"smtpd_sender_login_maps = $T" 'mynetworks ='
	for rcpt in user@rcpt-good.test 'user@[good.hosts.test]' \
		'user@[good.hosts.test]:025' 'user@"[good.hosts.test]:025"' \
		'"user@[good.hosts.test]:025"@mta.mxhop.test'; do
		assert_status 1 smtp_try someone@other.test "$rcpt"
		refute_match "$OUTPUT" '^2|^451' "$rcpt"
	done
	send_mail alice@mta.mxhop.test other@rcpt-good.test
	wait_for_log "to=<other@rcpt-good.test>, .*status=sent"
	refute_log 'panic|fatal|killed by signal'
	postconf -X transport_maps relay_domains virtual_alias_maps relocated_maps \
		smtpd_sender_login_maps mynetworks
}

# From 3.10 on such a message goes without regard for policies.
assert_tls_is_not_required() {
	mark
	sendmail -i -f alice@mta.mxhop.test -- any@rcpt-ca.test <<-'END'
		To: any@rcpt-ca.test
		TLS-Required: no

		test
	END
	wait_for_log 'to=<any@rcpt-ca.test>, .*status=sent' 20
	assert_match "$(received any@rcpt-ca.test)" '^192.0.2.2 '
}

case_debian_13() {
	use_release trixie
	assert_release 3.10
	assert_tls_is_not_required
}

case_debian_sid() {
	use_release sid
	assert_release 3.11
	assert_tls_is_not_required
}
