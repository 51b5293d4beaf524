# shellcheck shell=bash disable=SC2016
# What Postfix itself makes of TLS policies when mail goes by a list of hosts and
# not by the domain: the facts that mxhop's classes rest on. Nothing of mxhop
# takes part. Routes and policies are tables of the test's own.
#
# `Native' is a route by the domain, whose MX record leads to the same host.

# shellcheck source=tests/integration/tls.sh
. "$ROOT/tests/integration/tls.sh"

# smtp(8) in master.cf, a service for each level of security.
SERVICES='may none encrypt verify secure dane dane-only fingerprint'

setup() {
	local host
	tls_certificate good good.hosts.test good.signed.test second.hosts.test \
		named.hosts.test
	tls_certificate badca '*.hosts.test' '*.signed.test' by=foreign
	tls_certificate domain ta.dom.test certified.dom.test
	zone hosts.test <<-'END'
		good      A 192.0.2.1
		second    A 192.0.2.6
		third     A 192.0.2.1
		ca        A 192.0.2.2
		domain    A 192.0.2.3
		bare      A 192.0.2.4
		refused   A 192.0.2.5
		named     A 192.0.2.7
	END
	zone signed.test <<-END
		good      A 192.0.2.1
		$(tlsa good good)
		loose     A 192.0.2.1
		$(tlsa loose good)
		self      A 192.0.2.2
		$(tlsa self badca)
		bad       A 192.0.2.2
		$(tlsa bad good)
		looser    A 192.0.2.2
		$(tlsa looser good)
		bogus     A 192.0.2.1
		$(tlsa bogus good)
		ta        A 192.0.2.3
		$(tlsa ta domain 2)
		bare      A 192.0.2.4
		$(tlsa bare good)
		unusable  A 192.0.2.2
		_25._tcp.unusable TLSA 1 1 1 $(printf 'ab%.0s' {1..32})
		none      A 192.0.2.2
		cert      A 192.0.2.1
		$(whole_tlsa cert good 0)
		key       A 192.0.2.1
		$(whole_tlsa key good 1)
		othercert A 192.0.2.2
		$(whole_tlsa othercert good 0)
		$(odd_tlsa 192.0.2.2)
		bareodd   A 192.0.2.4
		_25._tcp.bareodd TLSA 3 0 0 deadbeef
	END
	for host in good loose self bad bogus ta bare unusable none cert key othercert \
		bareodd $ODD; do
		echo "$host MX 10 $host.signed.test."
	done >"$SCRATCH/mx"
	{
		cat "$SCRATCH/mx"
		printf '%s MX 10 %s.hosts.test.\n' unsigned ca plain good cert domain \
			certified domain ca ca nostarttls bare named named
	} | zone dom.test
	# The records of the domains themselves are not signed here.
	printf '%s MX 10 %s.signed.test.\n' loose loose looser looser | zone loose.test
	sign_zone signed.test
	sign_zone dom.test
	forge_zone signed.test 's/^(_25._tcp.bogus.*TLSA.*3 1 1 )..../\1abcd/'
	start_signed_dns
	start_receiver 192.0.2.1 good
	start_receiver 192.0.2.2 badca
	start_receiver 192.0.2.3 domain
	start_receiver 192.0.2.4 -
	start_receiver 192.0.2.6 good
	start_receiver 192.0.2.7 badca named.dom.test=good
}

# Hosts with one TLSA record each that is none.
ODD='odd300 odd310 odd311 odd312 odd411 odd321 odd313 odd200 odd210 odd310tail odd300head'
odd_tlsa() { # ADDRESS
	local host data
	for host in $ODD; do
		data=$(printf 'ab%.0s' {1..32})
		case $host in
		odd3[01]0 | odd2*) data=deadbeef ;;
		odd311) data=${data:2} ;;
		odd310tail) data=$(whole_tlsa x good 1 | sed 's/.* //')00 ;;
		odd300head) data=$(whole_tlsa x good 0 | sed 's/.* //' | head -c 200) ;;
		esac
		printf '%s A %s\n_25._tcp.%s TYPE52 \\# %d %s%s\n' "$host" "$1" "$host" \
			$((3 + ${#data} / 2)) "$(sed -E 's/^odd(.)(.)(.).*/0\10\20\3/' <<<"$host")" "$data"
	done
}

start_release() { # VERSION [NAME=VALUE...]
	local level
	[[ -e /etc/postfix/main.cf ]] || configure_postfix
	for level in $SERVICES; do
		postconf -M "$level/unix=$level unix - - y - - smtp -o smtp_tls_security_level=$level"
	done
	postconf -P "fingerprint/unix/smtp_tls_fingerprint_cert_match=$(
		openssl x509 -in "$SCRATCH/good.pem" -noout -fingerprint -sha256 | sed 's/.*=//')" \
		fingerprint/unix/smtp_tls_fingerprint_digest=sha256
	: >/etc/postfix/policies
	touch /etc/postfix/routes
	start_tls_postfix "$1" 'transport_maps = texthash:/etc/postfix/routes' \
		'smtp_tls_policy_maps = texthash:/etc/postfix/policies' \
		'smtp_dns_support_level = dnssec' "${@:2}"
}

# Routes by lines of `DOMAIN ROUTE'; each case has domains of its own.
add_routes() { # < ROUTES
	cat >>/etc/postfix/routes
}

set_policies() { # < POLICIES
	cat >/etc/postfix/policies
}

# A message to any@DOMAIN for each line of `DOMAIN EXPECTED', where it is `tls' or
# `clear', or the beginning of the reason for which it waits.
assert_outcomes() { # < LINES
	local domain expected lines
	lines=$(grep -v '^$')
	while read -r domain _; do
		send_mail alice@mta.mxhop.test "any@$domain"
	done <<<"$lines"
	while read -r domain expected; do
		case $expected in
		tls)
			wait_for_log "to=<any@$domain>, .*status=sent" 20
			assert_match "$(received "any@$domain")" 'tls=TLS' "$domain"
			;;
		clear)
			wait_for_log "to=<any@$domain>, .*status=sent" 20
			assert_match "$(received "any@$domain")" 'tls=- ' "$domain"
			;;
		*) wait_for_log "to=<any@$domain>, .*status=deferred \\(.*$expected" 20 ;;
		esac
	done <<<"$lines"
	refute_log 'panic|status=bounced'
}

# --- keys of policies ---

# A policy table that tells who asks for what: lines of `KEY now POLICY' in
# $SCRATCH/answers, and a line `lookup KEY' in its log. With `later' in the place
# of `now' the answer waits while there is $SCRATCH/answers.held.
start_policy_server() {
	touch "$SCRATCH/answers"
	spawn policies python3 -uc '
import os, socketserver, sys, time
class Client(socketserver.StreamRequestHandler):
    def handle(self):
        while size := b"".join(iter(lambda: self.rfile.read(1).rstrip(b":"), b"")):
            key = self.rfile.read(int(size) + 1)[:-1].split(b" ", 1)[1].decode()
            print("lookup", key)
            answer = "NOTFOUND "
            for line in open(sys.argv[1]):
                name, when, policy = line.split(None, 2)
                if name == key:
                    while when == "later" and os.path.exists(sys.argv[1] + ".held"):
                        time.sleep(0.05)
                    answer = "OK " + policy.strip()
            self.wfile.write(b"%d:%s," % (len(answer), answer.encode()))
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
Server(("127.0.0.1", 9999), Client).serve_forever()' "$SCRATCH/answers"
	eventually 10 smtp_listening 127.0.0.1 9999 || fail "policies do not answer"
}

lookups() { since_mark "$SCRATCH/policies.log" | sed -n 's/^lookup //p'; }

# Each form of the port is a key of its own and leads to port 25; there are no
# parents, nor is a key without the port tried for one with it.
assert_keys() { # TAG
	local t=$1
	add_routes <<-END
		$t-bare.test    none:[good.hosts.test]
		$t-smtp.test    none:[good.hosts.test]:smtp
		$t-025.test     none:[good.hosts.test]:025
		$t-0025.test    none:[good.hosts.test]:0025
		$t-2bare.test   none:[second.hosts.test]
		$t-2smtp.test   none:[second.hosts.test]:smtp
		$t-2025.test    none:[second.hosts.test]:025
		$t-2parent.test none:[third.hosts.test]
		$t-3025.test    none:[third.hosts.test]:025
	END
	set_policies <<-END
		[good.hosts.test]        encrypt
		[good.hosts.test]:0025   encrypt
		[second.hosts.test]:025  encrypt
		third.hosts.test         encrypt
		.hosts.test              encrypt
		hosts.test               encrypt
	END
	reload_postfix
	assert_outcomes <<-END
		$t-bare.test    tls
		$t-smtp.test    clear
		$t-025.test     clear
		$t-0025.test    tls
		$t-2bare.test   clear
		$t-2smtp.test   clear
		$t-2025.test    tls
		$t-2parent.test clear
		$t-3025.test    clear
	END
}

case_keys_3_7() {
	start_release 3.7
	assert_keys keys7
}

# In the order of the list, one lookup an element, only when it is tried, once a
# delivery. A name without brackets is asked for with its parents.
case_lookups_are_one_an_element() {
	add_routes <<-'END'
		one.test    may:[refused.hosts.test]:025, [good.hosts.test]:0025, [second.hosts.test]
		bare.test   may:good.hosts.test
	END
	start_policy_server
	: >"$SCRATCH/answers"
	postfix_set 'smtp_tls_policy_maps = socketmap:inet:127.0.0.1:9999:policies'
	mark
	send_mail alice@mta.mxhop.test {a,b,c}@one.test
	wait_for_log 'to=<c@one.test>, .*status=sent'
	assert_eq "$(lookups)" $'[refused.hosts.test]:025\n[good.hosts.test]:0025'
	mark
	send_mail alice@mta.mxhop.test any@bare.test
	wait_for_log 'to=<any@bare.test>, .*status=sent'
	assert_eq "$(lookups)" $'good.hosts.test\n.hosts.test\n.test'
}

case_slow_lookup_delays_one_delivery() {
	local i
	add_routes <<-'END'
		slow.test   may:[good.hosts.test]:025
		quick.test  may:[good.hosts.test]
	END
	start_policy_server
	echo '[good.hosts.test]:025 later encrypt' >"$SCRATCH/answers"
	touch "$SCRATCH/answers.held"
	reload_postfix
	mark
	send_mail alice@mta.mxhop.test any@slow.test
	eventually 10 log_has "$SCRATCH/policies.log" '^lookup .*:025' || fail "no lookup"
	send_mail alice@mta.mxhop.test {1..4}@quick.test
	for i in 1 2 3 4; do
		wait_for_log "to=<$i@quick.test>, .*status=sent" 20
	done
	refute_log 'to=<any@slow.test>'
	rm "$SCRATCH/answers.held"
	wait_for_log 'to=<any@slow.test>, .*status=sent' 20
	postfix_set 'smtp_tls_policy_maps = texthash:/etc/postfix/policies'
}

case_smtp_tcp_port_is_not_for_classes() {
	postconf -M 'moved/unix=moved unix - - y - - smtp -o smtp_tcp_port=26'
	add_routes <<-'END'
		moved.test      moved:[good.hosts.test]
		class.test      moved:[good.hosts.test]:025
		class2.test     moved:[good.hosts.test]:0025
	END
	set_policies </dev/null
	reload_postfix
	assert_outcomes <<-'END'
		moved.test      connect to good.hosts.test\[192.0.2.1\]:26
		class.test      tls
		class2.test     tls
	END
}

# These end the process. Services of their own, for master(8) then waits.
case_fatal_forms() {
	postconf -M 'dotted/unix=dotted unix - - y - - smtp' \
		'named/unix=named unix - - y - - smtp -o known_tcp_ports='
	rm -f /var/spool/postfix/etc/services
	add_routes <<-'END'
		dotted.test     dotted:[good.hosts.test.]
		named.test      named:[good.hosts.test]:smtp
		named025.test   named:[second.hosts.test]:025
	END
	reload_postfix
	rm -f /var/spool/postfix/etc/services
	send_mail alice@mta.mxhop.test any@named025.test
	wait_for_log 'to=<any@named025.test>, .*status=sent'
	send_mail alice@mta.mxhop.test any@dotted.test
	wait_for_log 'postfix/(dotted/)?smtp.*fatal:.*good.hosts.test\.'
	send_mail alice@mta.mxhop.test any@named.test
	wait_for_log 'postfix/(named/)?smtp.*fatal:.*smtp'
	purge
}

# --- kept connections ---

case_kept_connections() {
	add_routes <<-'END'
		class.one.test   may:[ca.hosts.test]
		class.two.test   may:[ca.hosts.test]:025
	END
	start_policy_server
	echo '[ca.hosts.test]:025 now secure match=hostname' >"$SCRATCH/answers"
	postfix_set 'smtp_connection_cache_destinations = static:all' \
		'smtp_connection_cache_time_limit = 60s' 'smtp_tls_connection_reuse = yes' \
		'smtp_tls_policy_maps = socketmap:inet:127.0.0.1:9999:policies'
	mark
	assert_outcomes <<<'class.one.test tls'
	assert_outcomes <<<'class.two.test Server certificate not'

	# Natively the domain's connection is used again, without a look at its
	# policy, which has changed.
	assert_outcomes <<<'ca.dom.test tls'
	mark
	echo 'ca.dom.test now secure match=hostname' >"$SCRATCH/answers"
	send_mail alice@mta.mxhop.test again@ca.dom.test
	wait_for_log 'to=<again@ca.dom.test>, .*conn_use=2, .*status=sent'
	assert_eq "$(lookups)" ''
	postfix_set 'smtp_connection_cache_destinations ='
	send_mail alice@mta.mxhop.test anew@ca.dom.test
	wait_for_log 'to=<anew@ca.dom.test>, .*status=deferred \(Server certificate not'
	postfix_set 'smtp_tls_policy_maps = texthash:/etc/postfix/policies'
	postfix_unset smtp_connection_cache_destinations smtp_tls_connection_reuse
}

# Two domains of a class share a queue and its connections, with the other two
# they share nothing.
case_forty_messages_of_two_classes() {
	local i domain
	add_routes <<-'END'
		c1.test  none:[good.hosts.test]:025
		c2.test  none:[good.hosts.test]:025
		p1.test  none:[good.hosts.test]
		p2.test  none:[good.hosts.test]
	END
	set_policies <<<'[good.hosts.test]:025 secure match=hostname servername=hostname'
	postfix_set 'smtp_tls_connection_reuse = yes' 'defer_transports = none'
	for i in {1..10}; do
		for domain in c1 p1 c2 p2; do
			send_mail alice@mta.mxhop.test "n$i@$domain.test"
		done
	done
	wait_for_log 'to=<n10@p2.test>, .*deferred transport'
	postfix_set 'defer_transports ='
	mark
	drain 60
	for i in {1..10}; do
		for domain in c1 c2; do
			assert_match "$(received "n$i@$domain.test")" 'tls=TLS.* sni=good.hosts.test$'
		done
		for domain in p1 p2; do
			assert_match "$(received "n$i@$domain.test")" 'tls=- sni=-$'
		done
	done
	[[ $(receiver_sessions 192.0.2.1) -lt 40 ]] || fail "no connection was used again"
	postfix_unset smtp_tls_connection_reuse
}

# A connection is kept under the first host of a list as it is written, whichever
# host it leads to: at these LEVELS the mail of another list that begins in the
# same way goes to a host that is none of its own.
assert_kept_under_the_first_host() { # TAG LEVELS
	local level how t host
	add_routes <<-END
		$(for level in none may secure; do
			t=$1-$level
			echo "$t-first.test  $level:[refused.hosts.test]:025, [good.hosts.test]:025"
			echo "$t-alike.test  $level:[refused.hosts.test]:025, [second.hosts.test]:025"
			echo "$t-port.test   $level:[refused.hosts.test]:25, [second.hosts.test]:025"
			echo "$t-case.test   $level:[Refused.hosts.test]:025, [second.hosts.test]:025"
		done)
	END
	set_policies </dev/null
	postfix_set 'smtp_connection_cache_destinations = static:all' \
		'smtp_connection_cache_time_limit = 60s' 'smtp_tls_connection_reuse = yes'
	for level in none may secure; do
		how=tls t=$1-$level host=192.0.2.6
		[[ $level != none ]] || how=clear
		[[ " $2 " != *" $level "* ]] || host=192.0.2.1
		mark
		assert_outcomes <<<"$t-first.test $how"
		assert_outcomes <<<"$t-alike.test $how"
		assert_outcomes <<<"$t-port.test $how"
		assert_outcomes <<<"$t-case.test $how"
		assert_match "$(received "any@$t-alike.test")" "^$host " "$t"
		assert_match "$(received "any@$t-port.test")" '^192.0.2.6 ' "$t"
		assert_match "$(received "any@$t-case.test")" '^192.0.2.6 ' "$t"
	done
	postfix_unset smtp_connection_cache_destinations smtp_tls_connection_reuse
}

case_kept_connection_belongs_to_the_first_host() {
	assert_kept_under_the_first_host kept7 'none may secure'
}

# --- levels: native against a list ---

# Lines of `LEVEL DOMAIN HOST NATIVE LIST'.
assert_levels() { # < ROWS
	local level domain host native list n=0 expected=''
	while read -r level domain host native list; do
		n=$((n + 1))
		printf '%s %s:\n' "$domain" "$level" >>/etc/postfix/routes
		printf '%s %s:%s\n' "list$n.$domain" "$level" "$host" >>/etc/postfix/routes
		expected+="$domain ${native//_/ }"$'\n'"list$n.$domain ${list//_/ }"$'\n'
	done
	reload_postfix
	assert_outcomes <<<"$expected"
}

CERT='Server_certificate_not'
BARE='TLS_is_required'

case_dane() {
	set_policies </dev/null
	assert_levels <<-END
		dane good.dom.test      [good.signed.test]      tls    tls
		dane bad.dom.test       [bad.signed.test]       $CERT  $CERT
		dane bogus.dom.test     [bogus.signed.test]     TLSA   TLSA
		dane bare.dom.test      [bare.signed.test]      $BARE  $BARE
		dane unusable.dom.test  [unusable.signed.test]  tls    tls
		dane none.dom.test      [none.signed.test]      tls    tls
		dane unsigned.dom.test  [ca.hosts.test]         tls    tls
		dane loose.loose.test   [loose.signed.test]     tls    tls
		dane looser.loose.test  [looser.signed.test]    $CERT  $CERT
		dane ta.dom.test        [ta.signed.test]        tls    $CERT
	END
}

# What Postfix can make no use of is as if nobody had said anything about the
# certificate, but TLS must be; dane-only wants one record of use.
case_tlsa_records_of_no_use() {
	local host rows=''
	sed -i '/dom.test/d' /etc/postfix/routes
	set_policies </dev/null
	for host in $ODD; do
		rows+="dane $host.dom.test [$host.signed.test] tls tls"$'\n'
	done
	assert_levels <<-END
		dane cert.dom.test      [cert.signed.test]       tls   tls
		dane key.dom.test       [key.signed.test]        tls   tls
		dane othercert.dom.test [othercert.signed.test]  $CERT $CERT
		dane bareodd.dom.test   [bareodd.signed.test]    $BARE $BARE
		${rows%?}
	END
}

# The class is written as in a list; its policy is one of the table.
case_dane_only() {
	local host
	for host in good bad bogus bare unusable none loose ta odd300 odd411; do
		echo "[$host.signed.test]:0025 dane-only"
	done >/etc/postfix/policies
	echo '[ca.hosts.test]:0025 dane-only' >>/etc/postfix/policies
	sed -i '/dom.test\|loose.test/d' /etc/postfix/routes
	postconf -P dane-only/unix/smtp_tls_security_level=dane-only
	assert_levels <<-END
		dane-only good.dom.test      [good.signed.test]:0025      tls    tls
		dane-only bad.dom.test       [bad.signed.test]:0025       $CERT  $CERT
		dane-only bogus.dom.test     [bogus.signed.test]:0025     TLSA   TLSA
		dane-only bare.dom.test      [bare.signed.test]:0025      $BARE  $BARE
		dane-only unusable.dom.test  [unusable.signed.test]:0025  TLSA   TLSA
		dane-only none.dom.test      [none.signed.test]:0025      TLSA   TLSA
		dane-only unsigned.dom.test  [ca.hosts.test]:0025         no_TLSA no_TLSA
		dane-only loose.loose.test   [loose.signed.test]:0025     non_DNSSEC tls
		dane-only ta.dom.test        [ta.signed.test]:0025        tls    $CERT
		dane-only odd300.dom.test    [odd300.signed.test]:0025    $CERT  $CERT
		dane-only odd411.dom.test    [odd411.signed.test]:0025    TLSA    TLSA
	END
}

# Natively the MX record's host has no say under `secure', and a certificate for
# the domain is enough.
case_other_levels() {
	set_policies </dev/null
	sed -i '/dom.test\|loose.test/d' /etc/postfix/routes
	assert_levels <<-END
		secure certified.dom.test     [domain.hosts.test]  tls    $CERT
		verify plain.dom.test         [good.hosts.test]    tls    tls
		verify cert.dom.test          [domain.hosts.test]  $CERT  $CERT
		encrypt ca.dom.test           [ca.hosts.test]      tls    tls
		encrypt nostarttls.dom.test   [bare.hosts.test]    $BARE  $BARE
		fingerprint good.dom.test     [good.hosts.test]    tls    tls
		fingerprint self.dom.test     [ca.hosts.test]      $CERT  $CERT
	END
}

# A server that has a certificate for the domain, which it shows to whoever asks for
# the domain. Another spelling is a name like any other.
case_servername_nexthop() {
	local level list
	for level in may verify fingerprint; do
		postconf -M "sni-$level/unix=sni-$(postconf -M "$level/unix") -o smtp_tls_servername=nexthop"
	done
	postconf -M 'spelt/unix=spelt unix - - y - - smtp -o smtp_tls_servername=NextHop'
	set_policies </dev/null
	for level in may verify fingerprint; do
		list=$CERT
		[[ $level != may ]] || list=tls
		sed -i '/dom.test/d' /etc/postfix/routes
		mark
		assert_levels <<<"sni-$level named.dom.test [named.hosts.test] tls $list"
		assert_match "$(received any@named.dom.test)" ' sni=named.dom.test$'
		[[ $level != may ]] ||
			assert_match "$(received any@list1.named.dom.test)" ' sni=named.hosts.test$'
		purge
	done
	add_routes <<<'spelt.test spelt:[named.hosts.test]:025'
	reload_postfix
	assert_outcomes <<<'spelt.test tls'
	assert_match "$(received any@spelt.test)" ' sni=NextHop$'
}

# A host with TLSA records whose certificate no public authority has signed.
case_secure_is_not_for_hosts_with_tlsa() {
	set_policies <<-'END'
		[self.signed.test]:025   secure match=hostname
		[self.signed.test]:0025  dane-only
	END
	add_routes <<-'END'
		self025.test    may:[self.signed.test]:025
		self0025.test   may:[self.signed.test]:0025
	END
	reload_postfix
	assert_outcomes <<-'END'
		self025.test    Server certificate not
		self0025.test   tls
	END
}

# `dane' of the table is worth nothing with an unsigned MX record if main.cf
# says `may'.
case_dane_of_the_table_under_may() {
	set_policies <<<'looser.loose.test dane'
	sed -i '/dom.test\|loose.test/d' /etc/postfix/routes
	add_routes <<<'looser.loose.test may:'
	reload_postfix
	assert_outcomes <<<'looser.loose.test tls'
}

# Without dnssec everything waits; without an authority every `secure' does.
case_what_classes_need() {
	set_policies <<-'END'
		[good.signed.test]:0025  dane-only
		[good.hosts.test]:025    secure match=hostname
	END
	postconf -M \
		'nodnssec/unix=nodnssec unix - - y - - smtp -o smtp_dns_support_level=enabled' \
		'noca/unix=noca unix - - y - - smtp -o smtp_tls_CAfile='
	add_routes <<-'END'
		nodnssec.test   nodnssec:[good.signed.test]:0025
		noca.test       noca:[good.hosts.test]:025
		noca-dane.test  noca:[good.signed.test]:0025
		all.test        may:[good.hosts.test]:025
	END
	reload_postfix
	assert_outcomes <<-'END'
		all.test        tls
		nodnssec.test   client TLS configuration problem
		noca.test       Server certificate not
		noca-dane.test  tls
	END
}

# --- newer releases ---

# With a list the report would be the host's, not the domain's.
assert_tlsrpt() { # TAG
	add_routes <<<"$1.test may:[second.hosts.test]"
	postfix_set 'smtp_tlsrpt_enable = yes' 'smtp_tlsrpt_socket_name = run/none'
	mark
	dns_flush
	assert_outcomes <<<$'plain.dom.test tls\n'"$1.test tls"
	assert_match "$(dns_queries _smtp._tls.plain.dom.test TXT)" '[1-9]'
	assert_match "$(dns_queries _smtp._tls.second.hosts.test TXT)" '[1-9]'
	assert_eq "$(dns_queries "_smtp._tls.$1.test" TXT)" 0
}

# The same as on Debian 12.
assert_all_levels() {
	local levels
	for levels in dane dane_only other_levels; do
		purge
		mark
		sed -i '/dom.test\|loose.test/d' /etc/postfix/routes
		case_$levels
	done
}

case_debian_13() {
	use_release trixie
	start_release 3.10
	assert_all_levels
	assert_keys keys10
	assert_tlsrpt report10
	assert_kept_under_the_first_host kept10 none
}

case_debian_sid() {
	use_release sid
	start_release 3.11
	assert_all_levels
	assert_keys keys11
	assert_tlsrpt report11
	assert_kept_under_the_first_host kept11 none
}
