# shellcheck shell=bash disable=SC2016
# Domains that Postfix routes by itself: mxhop_tls is asked for them by name, and
# smtp(8), jailed, waits for policies that mxhop-tls has not fetched yet.

# shellcheck source=tests/integration/tls.sh
. "$ROOT/tests/integration/tls.sh"

NEW=(new crowded listed silent wished slow1 slow2 slow3 many other flooded) # with a web server, never seen

setup() {
	local domain
	tls_certificate good good.hosts.test good.signed.test second.hosts.test
	tls_certificate badca '*.hosts.test' '*.signed.test' by=foreign
	zone hosts.test <<-'END'
		good    A 192.0.2.1
		swapped A 192.0.2.1
		ca      A 192.0.2.2
	END
	zone signed.test <<-END
		good    A 192.0.2.1
		$(tlsa good good)
		bad     A 192.0.2.2
		$(tlsa bad good)
		none    A 192.0.2.1
	END
	{
		sts_txt sts wild onlyca swapped outside foreign testing nothing expired exempt \
			unknown "${NEW[@]}"
		for domain in "${NEW[@]}"; do
			echo "mta-sts.$domain A $STS_ADDRESS"
			echo "$domain MX 10 good.hosts.test."
		done
		printf '%s MX 10 ca.hosts.test.\n' onlyca outside plain testing nothing expired \
			exempt unknown failed
		printf '%s MX 10 good.hosts.test.\n' sts wild
		printf '%s\n' 'outside MX 20 good.hosts.test.' 'swapped MX 10 swapped.hosts.test.' \
			'foreign MX 10 good.signed.test.'
	} | zone dom.test
	{
		sts_txt both mixed testing bad
		cat <<-'END'
			good     MX 10 good.signed.test.
			both     MX 10 good.signed.test.
			bad      MX 10 bad.signed.test.
			mixed    MX 10 good.signed.test.
			mixed    MX 20 none.signed.test.
			testing  MX 10 good.signed.test.
			half     MX 10 good.signed.test.
			half     MX 20 none.signed.test.
			unsigned MX 10 good.hosts.test.
		END
	} | zone dane.test
	printf '%s\n' 'good MX 10 good.signed.test.' | zone loose.test
	sign_zone signed.test
	sign_zone dane.test
	start_signed_dns
	start_receiver 192.0.2.1 good
	start_receiver 192.0.2.2 badca
	compile_policies
	install -d "$STORE"
	use_mxhop_plugin <<-END
		mta_sts = enforce
		mta_sts_exempt = exempt.dom.test
		tls_ca_file = $CA
		answer = override
		overrides =
		lookup_budget = 3s
		wait_share = 100%
	END
	cp "$MXHOP_BUILD/bin/mxhop-tls" /usr/sbin/
	for domain in "${NEW[@]}"; do
		printf '%s\n' 'version: STSv1' 'mode: enforce' 'mx: good.hosts.test' \
			'max_age: 86400' | sts_policy "$domain.dom.test"
	done
	start_sts_web
	standard_policies
	start_tls_mxhop 3.7
}

standard_policies() {
	stop mxhop-tls
	"$SCRATCH/policies" "$STORE" <<-'END'
		sts.dom.test      enforce 1 10 3600 good.hosts.test mx.other.test
		wild.dom.test     enforce 1 10 3600 *.hosts.test
		onlyca.dom.test   enforce 1 10 3600 *.hosts.test
		swapped.dom.test  enforce 1 10 3600 *.hosts.test
		outside.dom.test  enforce 1 10 3600 good.hosts.test
		foreign.dom.test  enforce 1 10 3600 good.hosts.test
		testing.dom.test  testing 1 10 3600 mx.other.test
		nothing.dom.test  none 1 10 3600 mx.other.test
		expired.dom.test  enforce 1 3600 -10 mx.other.test
		exempt.dom.test   enforce 1 10 3600 mx.other.test
		failed.dom.test   failed the web server is silent
		both.dane.test    enforce 1 10 3600 good.signed.test
		bad.dane.test     enforce 1 10 3600 *.signed.test
		mixed.dane.test   enforce 1 10 3600 *.signed.test
		testing.dane.test testing 1 10 3600 *.signed.test
	END
	chown -R mxhop-tls:mxhop-tls "$STORE"
}

# For a domain, trace says the same.
assert_policy() { # KEY POLICY
	assert_eq "$(postmap -q "$1" "$T" || true)" "$2" "$1"
	[[ $1 =~ ^[A-Za-z][A-Za-z.]+$ ]] || return 0
	assert_eq "$(traced_policy "$1" | jq -r '.answer // ""')" "$2" "trace $1"
}

traced_policy() { # DOMAIN
	{ mxhop trace --format json "$1" || true; } | jq .main_cf.tls_policy
}

# How long the message to any@... took, in whole seconds.
delay() { # RECIPIENT
	maillog | sed -nE "s/.*to=<$1>.* delay=([0-9]+).*/\1/p" | tail -n 1
}

# --- keys ---

case_policies_of_domains() {
	local sts='servername=hostname'
	assert_policy both.dane.test dane-only
	assert_policy mixed.dane.test "secure match=.signed.test $sts"
	assert_policy sts.dom.test "secure match=good.hosts.test:mx.other.test $sts"
	assert_policy wild.dom.test "secure match=.hosts.test $sts"
	assert_policy Wild.DOM.test "secure match=.hosts.test $sts"
	assert_policy outside.dom.test "secure match=good.hosts.test $sts"
	assert_policy good.dane.test dane
	assert_policy testing.dane.test dane
	for domain in half.dane.test unsigned.dane.test good.loose.test {plain,testing,nothing,expired,exempt,failed}.dom.test \
		unknown.dom.test .dom.test .sts.dom.test sts.dom.test:25 any@sts.dom.test \
		'[good.hosts.test]' '[sts.dom.test]' '*' test; do
		assert_policy "$domain" ''
	done
	assert_policy '[good.hosts.test]:025' \
		'secure match=hostname servername=good.hosts.test'
}

# Without a certificate for any policy, and without DNSSEC.
case_what_smtp_cannot_honour_is_not_said() {
	postconf -e 'smtp_dns_support_level = enabled'
	assert_policy both.dane.test 'secure match=good.signed.test servername=hostname'
	assert_policy good.dane.test ''
	postconf -e 'smtp_dns_support_level = dnssec' 'smtp_tls_CAfile ='
	assert_policy sts.dom.test ''
	postconf -e "smtp_tls_CAfile = $CA" 'smtp_tls_security_level = encrypt'
	assert_policy good.dane.test ''
	assert_policy both.dane.test dane-only
	postconf -e 'smtp_tls_security_level = may'
}

case_no_policy_of_another_mode() {
	local mode
	for mode in off watch; do
		set_parameter mta_sts $mode
		assert_policy sts.dom.test ''
		assert_policy good.dane.test ''
		assert_policy '[good.hosts.test]:0025' dane-only
	done
	set_parameter mta_sts enforce
}

case_a_policy_that_no_host_is_in() {
	set_parameter on_sts_mismatch pass
	"$SCRATCH/policies" "$STORE" <<<'plain.dom.test enforce 1 10 3600 mx.other.test'
	assert_policy plain.dom.test ''
	set_parameter on_sts_mismatch
	assert_policy plain.dom.test 'secure match=mx.other.test servername=hostname'
	standard_policies
}

case_unknown_policies_are_errors_if_so_wished() {
	set_parameter on_sts_unknown defer
	assert_status 1 postmap -q unknown.dom.test "$T"
	assert_match "$OUTPUT" 'unknown.dom.test: may have an MTA-STS policy, which was not fetched'
	assert_match "$(traced_policy unknown.dom.test)" '"answer": null'
	assert_match "$(traced_policy unknown.dom.test)" '"why": "unknown.dom.test: may have an .*defer'
	assert_policy plain.dom.test ''
	assert_policy failed.dom.test ''
	assert_policy sts.dom.test 'secure match=good.hosts.test:mx.other.test servername=hostname'
	set_parameter on_sts_unknown
}

# Why, in words; and behind proxy: no domain is answered for.
case_trace_tells_why() {
	local why
	assert_why() { # DOMAIN POLICY-AND-REASON
		why=$({ mxhop trace "$1" || true; } | sed -n '/mxhop_tls, asked/,$p' | tr -s ' \n' ' ')
		assert_eq "$why" " mxhop_tls, asked for the domain: $2 " "$1"
	}
	assert_why sts.dom.test 'secure match=good.hosts.test:mx.other.test servername=hostname (its MTA-STS policy)'
	assert_why both.dane.test 'dane-only (TLSA records bind every host)'
	assert_why plain.dom.test 'not found (no policy in force, and not every host has TLSA records)'
	assert_why unknown.dom.test 'not found (its policy is not known yet)'
	postconf -e 'smtp_tls_security_level = encrypt'
	assert_why good.dane.test 'not found (smtp_tls_security_level is stricter than dane)'
	postconf -e 'smtp_tls_security_level = may' "smtp_tls_policy_maps = proxy:$T"
	assert_why sts.dom.test 'not found (behind proxy: it answers for hosts of lists only)'
	postconf -e "smtp_tls_policy_maps = hash:/etc/aliases"
	assert_eq "$(traced_policy sts.dom.test)" null
	postconf -e "smtp_tls_policy_maps = $T"
	# A domain that has a list is never asked for.
	set_parameter answer list
	assert_eq "$(traced_policy sts.dom.test)" null
	set_parameter answer override
}

# Where domains make mail ours, or an address ours, they are not found.
case_no_open_relay() {
	mark
	start_tls_postfix 3.7 "relay_domains = $T, proxy:$T" "virtual_alias_domains = $T" \
		'mynetworks ='
	for rcpt in any@good.dane.test any@sts.dom.test; do
		assert_status 1 smtp_try someone@other.test "$rcpt"
		assert_match "$OUTPUT" '^[45]54 .*Relay access denied' "$rcpt"
	done
	postconf -X relay_domains virtual_alias_domains mynetworks
	start_tls_postfix 3.7
}

# --- mail ---

case_mail_goes_by_the_policy() {
	assert_outcomes <<-'END'
		sts.dom.test       192.0.2.1 tls=TLS[^ ]* sni=good.hosts.test
		onlyca.dom.test    Server certificate not verified
		outside.dom.test   192.0.2.1 tls=TLS[^ ]* sni=good.hosts.test
		swapped.dom.test   192.0.2.1 tls=TLS[^ ]* sni=swapped.hosts.test
		foreign.dom.test   192.0.2.1 tls=TLS[^ ]* sni=good.signed.test
		plain.dom.test     192.0.2.2 tls=TLS
		testing.dom.test   192.0.2.2 tls=TLS
		exempt.dom.test    192.0.2.2 tls=TLS
		both.dane.test     192.0.2.1 tls=TLS
		good.dane.test     192.0.2.1 tls=TLS
		mixed.dane.test    192.0.2.1 tls=TLS[^ ]* sni=good.signed.test
		bad.dane.test      Server certificate not verified
		half.dane.test     192.0.2.1 tls=TLS
		unsigned.dane.test 192.0.2.1 tls=TLS
	END
	assert_match "$(maillog)" 'Verified TLS connection established to good.hosts.test'
}

case_a_domain_of_another_level_dane() {
	postfix_set 'smtp_tls_security_level = dane'
	assert_outcomes <<-'END'
		sts.dom.test    192.0.2.1 tls=TLS[^ ]* sni=good.hosts.test
		good.dane.test  192.0.2.1 tls=TLS
		plain.dom.test  192.0.2.2 tls=TLS
	END
	postfix_set 'smtp_tls_security_level = may'
}

# --- first contact ---

# Time from the web server's answer to the delivery is the issue, not the rest.
first_message_is_verified() { # DOMAIN
	local from
	start_mxhop_tls
	mark
	send_mail alice@mta.mxhop.test "any@$1"
	eventually 20 web_was_asked "$1" || fail "$(tail "$SCRATCH/mxhop-tls.log")"
	from=$(now_ms)
	wait_for_log "to=<any@$1>, .*status=sent" 20
	from=$(($(now_ms) - from))
	echo "delivered $from ms after the web server's answer"
	assert_eq "$(received "any@$1" | sed 's/tls=[^ ]*//')" '192.0.2.1  sni=good.hosts.test'
	assert_match "$(maillog)" 'Verified TLS connection established to good.hosts.test'
	[[ $from -lt 2000 ]] || fail "delivered $from ms after the web server's answer"
	standard_policies
}

case_the_first_message_is_verified() { first_message_is_verified new.dom.test; }

case_the_first_message_beside_ten_thousand_policies() {
	seq -f 'n%g.other.test enforce 1 10 3600 *.hosts.test' 10000 |
		"$SCRATCH/policies" "$STORE"
	chown -R mxhop-tls:mxhop-tls "$STORE"
	first_message_is_verified crowded.dom.test
}

# With lists: what is not known yet passes, and has its class from then on.
case_the_first_message_to_a_domain_with_a_list() {
	set_parameter answer auto
	reload_postfix
	start_mxhop_tls
	mark
	send_mail alice@mta.mxhop.test any@listed.dom.test
	wait_for_log 'to=<any@listed.dom.test>, .*status=sent' 20
	assert_eq "$(received any@listed.dom.test | sed 's/tls=[^ ]*//')" '192.0.2.1  sni=good.hosts.test'
	assert_match "$(maillog)" 'Verified TLS connection established to good.hosts.test'
	eventually 5 is_listed || fail "$(mxhop trace listed.dom.test)"
	set_parameter answer override
	reload_postfix
	standard_policies
}

is_listed() { [[ $(mxhop lookup --format postfix listed.dom.test) == *'[good.hosts.test]:025' ]]; }

web_was_asked() { [[ $(sts_requests "$1") -gt 0 ]]; } # DOMAIN

case_a_silent_web_server_delays_its_own_mail() {
	sts_fault silent.dom.test silent
	start_mxhop_tls
	mark
	send_mail alice@mta.mxhop.test any@silent.dom.test
	eventually 20 web_was_asked silent.dom.test
	assert_outcomes_before <<-'END'
		plain.dom.test 192.0.2.2 tls=TLS
		other.dom.test 192.0.2.1 tls=TLS[^ ]* sni=good.hosts.test
	END
	refute_log 'to=<any@silent.dom.test>'
	wait_for_log 'to=<any@silent.dom.test>, .*status=sent' 20
	[[ $(delay any@silent.dom.test) -ge 4 ]] || fail "delay $(delay any@silent.dom.test)"
	send_mail alice@mta.mxhop.test second@silent.dom.test
	wait_for_log 'to=<second@silent.dom.test>, .*status=sent' 20
	[[ $(delay second@silent.dom.test) -le 1 ]] || fail "delay $(delay second@silent.dom.test)"
	standard_policies
}

# As assert_outcomes, and the queue keeps the rest.
assert_outcomes_before() {
	local domain expected
	while read -r domain expected; do
		send_mail alice@mta.mxhop.test "any@$domain"
		wait_for_log "to=<any@$domain>, .*status=sent" 20
		assert_match "$(received "any@$domain")" "$expected" "$domain"
	done
}

# Any user of the machine can fill the socket's queue. Who waits for a policy gets
# in when it is his turn, though the service comes to nothing for a while.
case_a_flood_takes_no_policy_away() {
	local i
	start_mxhop_tls
	kill -STOP "$(cat "$SCRATCH/pids/mxhop-tls")"
	for i in {1..16}; do
		spawn "flood$i" setpriv --reuid alice --clear-groups python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect("\0mxhop-tls:" + sys.argv[1])
print("connected", flush=True)
while True:
    s.send(b"uflood.test")' "$STORE"
		eventually 10 log_has "$SCRATCH/flood$i.log" connected
	done
	mark
	send_mail alice@mta.mxhop.test any@flooded.dom.test
	sleep 2
	kill -CONT "$(cat "$SCRATCH/pids/mxhop-tls")"
	wait_for_log 'to=<any@flooded.dom.test>, .*status=sent' 20
	assert_eq "$(received any@flooded.dom.test | sed 's/tls=[^ ]*//')" '192.0.2.1  sni=good.hosts.test'
	for i in {1..16}; do stop "flood$i"; done
	standard_policies
}

case_mail_waits_for_the_policy_if_so_wished() {
	set_parameter on_sts_unknown defer
	set_parameter mta_sts_wait 1s
	reload_postfix
	sts_fault wished.dom.test silent
	start_mxhop_tls
	mark
	send_mail alice@mta.mxhop.test any@wished.dom.test
	wait_for_log 'to=<any@wished.dom.test>, .*status=deferred \(.*TLS' 20
	assert_match "$(maillog)" "$T: wished.dom.test: may have an MTA-STS policy"
	assert_eq "$(received any@wished.dom.test)" ''
	set_parameter on_sts_unknown
	set_parameter mta_sts_wait
	reload_postfix
	purge
	standard_policies
}

# Four of a domain.
case_few_wait_for_a_domain() {
	local i late=0
	sts_fault many.dom.test silent
	postfix_set 'smtp_destination_concurrency_limit = 20' 'initial_destination_concurrency = 12'
	start_mxhop_tls
	mark
	for i in {1..9}; do
		send_mail alice@mta.mxhop.test "m$i@many.dom.test"
	done
	for i in {1..9}; do
		wait_for_log "to=<m$i@many.dom.test>, .*status=sent" 30
		[[ $(delay "m$i@many.dom.test") -lt 4 ]] || late=$((late + 1))
	done
	assert_eq "$late" 4 "$(maillog | grep 'status=sent')"
	postfix_unset smtp_destination_concurrency_limit
	postfix_unset initial_destination_concurrency
	standard_policies
}

# A fifth of all.
case_few_wait_in_all() {
	local i late=0
	for i in 1 2 3; do sts_fault slow$i.dom.test silent; done
	postconf -F smtp/unix/process_limit=10
	reload_postfix
	start_mxhop_tls
	mark
	for i in 1 2 3; do
		send_mail alice@mta.mxhop.test "any@slow$i.dom.test"
	done
	for i in 1 2 3; do
		wait_for_log "to=<any@slow$i.dom.test>, .*status=sent" 30
		[[ $(delay "any@slow$i.dom.test") -lt 4 ]] || late=$((late + 1))
	done
	assert_eq "$late" 2 "$(maillog | grep 'status=sent')"
	postconf -F smtp/unix/process_limit=-
	reload_postfix
	standard_policies
}

# A service that is not there is not waited for, but for a moment.
case_without_the_service() {
	standard_policies
	mark
	send_mail alice@mta.mxhop.test any@unknown.dom.test
	wait_for_log 'to=<any@unknown.dom.test>, .*status=sent' 20
	[[ $(delay any@unknown.dom.test) -lt 4 ]] || fail "delay $(delay any@unknown.dom.test)"
}

# A damaged store takes classes from no list, and lets no domain wait for ever.
case_without_a_store() {
	mark
	printf 'x%.0s' {1..4000} | dd of="$STORE/policies" bs=1 conv=notrunc status=none
	assert_policy '[good.hosts.test]:025' 'secure match=hostname servername=good.hosts.test'
	assert_policy plain.dom.test ''
	assert_outcomes <<<'plain.dom.test 192.0.2.2 tls=TLS'
	rm "$STORE/policies"
	standard_policies
}

# Mail that may have a policy waits, that of lists and of others goes on.
case_a_configuration_that_cannot_be_used() {
	mark
	echo 'broken_parameter = 1' >>/etc/mxhop/mxhop.cf
	assert_policy '[good.hosts.test]:025' 'secure match=hostname servername=good.hosts.test'
	assert_policy '[good.hosts.test]' ''
	assert_status 1 postmap -q sts.dom.test "$T"
	reload_postfix
	send_mail alice@mta.mxhop.test any@sts.dom.test
	wait_for_log 'to=<any@sts.dom.test>, .*status=deferred \(.*TLS' 20
	assert_match "$(maillog)" "$T: /etc/mxhop/mxhop.cf:[0-9]+: .*broken_parameter"
	purge
	set_parameter mta_sts watch
	assert_policy sts.dom.test ''
	set_parameter broken_parameter
	set_parameter mta_sts enforce
	reload_postfix
	mark
	assert_outcomes <<<'sts.dom.test 192.0.2.1 tls=TLS[^ ]* sni=good.hosts.test'
}

assert_policies_hold() {
	mark
	assert_outcomes <<-'END'
		sts.dom.test    192.0.2.1 tls=TLS[^ ]* sni=good.hosts.test
		onlyca.dom.test Server certificate not verified
		plain.dom.test  192.0.2.2 tls=TLS
	END
}

# What is on a tmpfs is gone, and the service is not there yet.
case_reboot() {
	assert_policies_hold
	stop_postfix
	rm -r /run/mxhop/*
	start_postfix
	assert_policies_hold
	set_parameter answer
	reload_postfix
	assert_policies_hold
	set_parameter answer override
	reload_postfix
}

# A year back nobody knows how old a policy is, and it does not hold.
case_the_clock_is_set_back() {
	local sts='secure match=good.hosts.test:mx.other.test servername=hostname'
	assert_policy sts.dom.test "$sts"
	assert_eq "$(FAKETIME_DONT_FAKE_MONOTONIC=1 faketime -f -365d \
		postmap -q sts.dom.test "$T" || true)" ''
	assert_policy sts.dom.test "$sts"
}

# --- other services, other users ---

# A service that is for other mail cannot verify anything, so there are no lists
# with classes. smtp(8) itself can, and does.
case_another_service_takes_no_policy_away() {
	standard_policies
	postconf -M 'inside/unix=inside unix - - n - - smtp -o smtp_tls_policy_maps= -o smtp_tls_CAfile='
	printf '/hosts\\.test/ may\n' >/etc/postfix/patterns
	postfix_set "smtp_tls_policy_maps = regexp:/etc/postfix/patterns $T"
	assert_policy onlyca.dom.test 'secure match=.hosts.test servername=hostname'
	assert_policy good.dane.test dane
	assert_outcomes <<-'END'
		onlyca.dom.test Server certificate not verified
		sts.dom.test    192.0.2.1 tls=TLS[^ ]* sni=good.hosts.test
		plain.dom.test  192.0.2.2 tls=TLS
	END
	postconf -MX inside/unix
	postfix_set "smtp_tls_policy_maps = $T"
}

# Lists name elements where nobody is to take mail. Where every user may listen on
# port 1, whatever the address, mail waits all the same.
case_nobody_takes_mail_on_port_1() {
	local override='dn: cn=s
objectClass: mxhopOverride
cn: s
mxhopKey: s.te
mxhopHop: [mx.slow.te]:26'
	spawn thief python3 -c '
import socket
l = socket.create_server(("::", 1), family=socket.AF_INET6, dualstack_ipv6=True)
while True:
    f = l.accept()[0].makefile("rw", newline="\r\n")
    f.write("220 thief ESMTP\n")
    f.flush()
    for line in f:
        f.write("354 go\n" if line.startswith("DATA") else "250 stolen\n")
        f.flush()'
	printf '%s\n' '1 A 192.0.2.1' '2 A 192.0.2.1' 'd MX 10 1' 'd MX 20 2' | zone te
	forward_domain slow.te 127.0.0.58
	start_faultdns failing 127.0.0.58:53 <<<'* * rcode=servfail'
	start_signed_dns
	set_parameter answer
	set_parameter overrides ldif:/etc/mxhop/overrides.ldif
	refresh_overrides <<<"$override"
	postfix_set 'smtp_tls_policy_maps ='
	eventually 5 lists_begin_with d.te '[239.'
	mark
	assert_outcomes <<-'END'
		d.te 192.0.2.1 tls=TLS
		s.te connect to 224.0.0.0
	END
	set_parameter address_families ipv6
	reload_postfix
	mark
	assert_outcomes <<<'s.te connect to ff00::'
	set_parameter address_families
	set_parameter overrides ''
	set_parameter answer override
	stop thief
	postfix_set "smtp_tls_policy_maps = $T"
}
lists_begin_with() { # DOMAIN TEXT
	[[ $(mxhop lookup --format postfix "$1") == ":$2"* ]]
}

# --- newer releases ---

assert_release() { # VERSION
	start_tls_mxhop "$1"
	assert_policy sts.dom.test 'secure match=good.hosts.test:mx.other.test servername=hostname policy_type=sts policy_domain=sts.dom.test { mx_host_pattern=good.hosts.test } { mx_host_pattern=mx.other.test }'
	assert_policy both.dane.test dane-only
	assert_policy good.dane.test dane
	assert_policy plain.dom.test ''
	# The certificate is for another host of the policy; the host is not in it.
	assert_outcomes <<-'END'
		sts.dom.test       192.0.2.1 tls=TLS[^ ]* sni=good.hosts.test
		wild.dom.test      192.0.2.1 tls=TLS[^ ]* sni=good.hosts.test
		swapped.dom.test   Server certificate not verified
		foreign.dom.test   server unavailable
		onlyca.dom.test    Server certificate not verified
		outside.dom.test   192.0.2.1 tls=TLS[^ ]* sni=good.hosts.test
		plain.dom.test     192.0.2.2 tls=TLS
		both.dane.test     192.0.2.1 tls=TLS
		good.dane.test     192.0.2.1 tls=TLS
		mixed.dane.test    192.0.2.1 tls=TLS[^ ]* sni=good.signed.test
		bad.dane.test      Server certificate not verified
		half.dane.test     192.0.2.1 tls=TLS
	END
}

case_debian_13() {
	use_release trixie
	assert_release 3.10
}

case_debian_sid() {
	use_release sid
	assert_release 3.11
}
