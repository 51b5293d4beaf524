# shellcheck shell=bash disable=SC2016
# From a domain's DNS to the host that gets the mail: the main job, through the
# plugin in a real Postfix, with NSD as authority and Unbound as resolver.

ME=alice@mta.mxhop.test

setup() {
	zone three.test <<-'END'
		@ MX 30 c
		@ MX 10 a
		@ MX 20 b
		a A 192.0.2.1
		b A 192.0.2.2
		c A 192.0.2.3
	END
	zone tie.test <<-'END'
		@    MX 10 t1
		@    MX 10 t2
		@    MX 10 t3
		@    MX 10 t4
		t1   A 192.0.2.11
		t2   A 192.0.2.12
		t3   A 192.0.2.13
		t4   A 192.0.2.14
		same MX 10 t4
		same MX 10 t3
		same MX 10 t2
		same MX 10 t1
		more MX 10 m1
		more MX 10 m2
		more MX 10 m3
		more MX 10 m4
		most MX 10 o1
		most MX 10 o2
		most MX 10 o3
		most MX 10 o4
		m1   A 192.0.2.15
		m2   A 192.0.2.16
		m3   A 192.0.2.17
		m4   A 192.0.2.18
		o1   A 192.0.2.19
		o2   A 192.0.2.20
		o3   A 192.0.2.21
		o4   A 192.0.2.22
	END
	zone a-only.test <<<'@ A 192.0.2.4'
	zone aaaa-only.test <<<'@ AAAA 2001:db8::4'
	zone null.test <<-'END'
		@ MX 0 .
		@ A 192.0.2.5
	END
	zone nullplus.test <<-'END'
		@  MX 0 .
		@  MX 10 mx
		mx A 192.0.2.6
	END
	zone lastless.test <<-'END'
		@     MX 10 down
		@     MX 20 ghost
		down  A 192.0.2.7
		ghost TXT "no address"
	END
	zone ghost.test <<-'END'
		@     MX 10 ghost
		ghost TXT "no address"
	END
	zone mxhop.test <<-'END'
		mta   A 192.0.2.250
		alias A 192.0.2.250
	END
	zone selfbest.test <<-'END'
		@ MX 10 mta.mxhop.test.
		@ MX 20 c.three.test.
	END
	zone selfbackup.test <<-'END'
		@ MX 10 a.three.test.
		@ MX 20 MTA.mxhop.test.
		@ MX 20 b.three.test.
		@ MX 30 c.three.test.
	END
	zone selfalias.test <<-'END'
		@ MX 10 a.three.test.
		@ MX 20 alias.mxhop.test.
		@ MX 30 c.three.test.
	END
	zone xn--bcher-kva.test <<<'@ MX 10 c.three.test.'
	many_exchanges | zone many.test
	for d in one two three; do zone "$d-shared.test" <<<'@ MX 10 a.three.test.'; done
	start_dns
	conf_file | use_mxhop_plugin
	start_postfix "transport_maps = $M"
}

# Names of 50 octets, so that the reply does not fit into a datagram.
many_exchanges() {
	local i name
	for i in {01..30}; do
		name=m$i-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
		printf '@ MX %s %s\n%s A 192.0.2.1%s\n' "$((10#$i))" "$name" "$name" "$i"
	done
}

# Ties do not turn while a case looks, unless it says so.
conf_file() { # LINE...
	printf '%s\n' 'cache = memory' 'lookup_budget = 2s' 'wait_share = 100%' "$@"
	[[ $* == *rotate_interval* ]] || echo 'rotate_interval = 1d'
	[[ $* == *seed* ]] || echo 'seed = one'
}

# For postmap and mxhop, which read it each time.
conf() { # LINE...
	conf_file "$@" >/etc/mxhop/mxhop.cf
}

# For the running Postfix too.
conf_postfix() { # LINE...
	conf "$@"
	reload_postfix
}

# The answers of one process, the second a moment after the first.
twice() { # KEY
	{ echo "$1"; sleep 0.5; echo "$1"; } | postmap -q - "$M" | cut -f 2
}

# A message that was deferred goes out by the list of a later lookup.
flushed_to() { # HOST
	postqueue -f
	sleep 0.5
	log_has "$MAIL_LOG" "relay=${1//./\\.}\\["
}

route() { # KEY
	{ postmap -q "$1" "$M" || true; } | folded
}

# --- order ---

case_order_is_by_preference() {
	assert_eq "$(route three.test)" ':[a.three.test], [b.three.test], [c.three.test]'
	assert_eq "$(route THREE.Test)" ':[a.three.test], [b.three.test], [c.three.test]'
}

case_max_hops_takes_the_best() {
	conf 'max_hops = 2'
	assert_eq "$(route three.test)" ':[a.three.test], [b.three.test]'
	conf
}

case_the_best_host_gets_the_mail() {
	start_sink 192.0.2.1
	start_sink 192.0.2.2
	send_mail "$ME" user@three.test
	wait_for_log 'to=<user@three.test>, relay=a.three.test\[192.0.2.1\]:25.*status=sent'
	assert_eq "$(sink_connections 192.0.2.2)" 0
}

# One refuses the connection, the next hangs up at it: the third gets the mail.
case_fallback_over_three_hosts() {
	start_sink 192.0.2.2 -q connect
	start_sink 192.0.2.3
	send_mail "$ME" user@three.test
	wait_for_log 'connect to a.three.test\[192.0.2.1\]:25: Connection refused'
	wait_for_log 'lost connection with b.three.test'
	wait_for_log 'to=<user@three.test>, relay=c.three.test\[192.0.2.3\]:25.*status=sent'
	assert_eq "$(sink_messages 192.0.2.3)" 1
	wait_queue_empty
}

# --- ties ---

# Prints the first host for seed NAME.
first_of_seed() { # NAME
	conf "seed = $1"
	route tie.test | sed -E 's/^:\[([^]]*)\].*/\1/'
}

case_ties_spread_over_seeds() {
	local seeds
	seeds=$(for s in {1..16}; do first_of_seed "machine$s"; done | sort -u | wc -l)
	[[ $seeds -ge 3 ]] || fail "16 seeds begin with $seeds of 4 hosts"
	conf
}

case_ties_are_stable_within_a_slot() {
	local first i
	conf
	first=$(route tie.test)
	assert_match "$first" '^:\[t[1-4].tie.test\], \[t[1-4].tie.test\], \[t[1-4].tie.test\]$'
	dns_flush
	for i in {1..8}; do
		assert_eq "$(route tie.test)" "$first" "lookup $i"
	done
	assert_eq "$(route same.tie.test)" "$first" "another domain with these hosts"
	assert_eq "$(mxhop lookup --format postfix tie.test | folded)" "$first" "the command"
}

# The shortest interval is 10 s: in 11 s each of three sets turns once or twice.
# That all of them turn to what they were is one chance in 13,000: they have no
# host in common.
case_ties_turn_with_time() {
	local end=$(($(now_ms) + 11000)) d seen turned=0
	conf 'rotate_interval = 10s'
	while [[ $(now_ms) -lt $end ]]; do
		for d in tie more.tie most.tie; do
			route "$d.test" >>"$SCRATCH/turns-$d"
		done
		sleep 0.3
	done
	for d in tie more.tie most.tie; do
		seen=$(sort -u "$SCRATCH/turns-$d" | wc -l)
		[[ $seen -le 3 ]] || fail "$d: $seen orders in 11 s"
		[[ $seen -eq 1 ]] || turned=$((turned + 1))
		# Never back and forth within a slot. Of three slots, the last may
		# have the order of the first again.
		seen=$(uniq "$SCRATCH/turns-$d" | wc -l)
		[[ $seen -le 3 ]] || fail "$d: $((seen - 1)) changes in 11 s"
	done
	[[ $turned -gt 0 ]] || fail "no order turned in 11 s"
	conf
}

# --- implicit MX, null MX, nothing ---

case_implicit_mx_by_a_only() {
	start_sink 192.0.2.4
	assert_eq "$(route a-only.test)" ':[a-only.test]'
	send_mail "$ME" user@a-only.test
	wait_for_log 'to=<user@a-only.test>, relay=a-only.test\[192.0.2.4\]:25.*status=sent'
}

case_implicit_mx_by_aaaa_only() {
	start_sink 2001:db8::4
	assert_eq "$(route aaaa-only.test)" ':[aaaa-only.test]'
	send_mail "$ME" user@aaaa-only.test
	wait_for_log 'to=<user@aaaa-only.test>, relay=aaaa-only.test\[2001:db8::4\]:25.*status=sent'
}

case_host_without_address_in_our_families() {
	conf 'address_families = ipv4'
	assert_eq "$(route aaaa-only.test)" ''
	conf
}

case_null_mx_is_bounced_once() {
	start_sink 192.0.2.5
	assert_match "$(route null.test)" '^error:5\.1\.10 [ -~]+$'
	send_mail "$ME" user@null.test
	wait_for_log 'to=<user@null.test>.*dsn=5\.1\.10, status=bounced'
	wait_for_log 'to=<alice@mta.mxhop.test>.*status=sent'
	wait_queue_empty
	assert_eq "$(maillog | grep -c 'sender non-delivery notification')" 1
	assert_match "$(</var/mail/alice)" 'Status: 5\.1\.10'
	assert_eq "$(sink_connections 192.0.2.5)" 0
}

case_null_mx_is_refused_at_rcpt() {
	assert_status 1 smtp_try "$ME" user@null.test
	assert_match "$OUTPUT" '^550 5\.1\.'
	assert_status 0 smtp_try "$ME" user@three.test
}

case_null_mx_may_pass() {
	conf 'on_null_mx = pass'
	assert_eq "$(route null.test)" ''
	conf
}

case_null_mx_beside_others_is_ignored() {
	start_sink 192.0.2.6
	assert_eq "$(route nullplus.test)" ':[mx.nullplus.test]'
	send_mail "$ME" user@nullplus.test
	wait_for_log 'to=<user@nullplus.test>, relay=mx.nullplus.test\[192.0.2.6\]:25.*status=sent'
}

# Postfix finds it out by itself; or we say it.
case_nxdomain() {
	assert_eq "$(route nowhere.invalid)" ''
	send_mail "$ME" user@nowhere.invalid
	wait_for_log 'to=<user@nowhere.invalid>.*dsn=5\.4\.4, status=bounced \(Host or domain name not found'
	conf 'on_nxdomain = reject'
	assert_match "$(route nowhere.invalid)" '^error:5\.1\.2 '
	conf
	wait_queue_empty
}

case_last_exchange_without_address() {
	assert_eq "$(route lastless.test)" ':[down.lastless.test]'
	send_mail "$ME" user@lastless.test
	wait_for_log 'to=<user@lastless.test>.*status=deferred \(connect to down.lastless.test'
	refute_log 'status=bounced'
	start_sink 192.0.2.7
	drain
	assert_eq "$(sink_messages 192.0.2.7)" 1
}

case_no_exchange_has_an_address() {
	assert_eq "$(route ghost.test)" ''
	conf 'on_no_host = reject'
	assert_match "$(route ghost.test)" '^error:5\.4\.4 '
	conf 'on_no_host = defer'
	assert_match "$(route ghost.test)" '^\./retry:4\.[0-9]+\.[0-9]+ '
	conf
}

# --- ourselves ---

# As without us: Postfix says that it would loop. Nothing goes to a worse host.
case_ourselves_as_best() {
	start_sink 192.0.2.3
	assert_eq "$(route selfbest.test)" ''
	send_mail "$ME" user@selfbest.test
	wait_for_log 'to=<user@selfbest.test>.*dsn=5\.4\.6, status=bounced'
	wait_queue_empty
	assert_eq "$(sink_connections 192.0.2.3)" 0
	conf 'on_no_host = reject'
	assert_match "$(route selfbest.test)" '^error:5\.4\.4 '
	conf
}

# The list ends before us, also before hosts that are as good as we are.
case_ourselves_as_backup() {
	start_sink 192.0.2.2
	start_sink 192.0.2.3
	assert_eq "$(route selfbackup.test)" ':[a.three.test]'
	send_mail "$ME" user@selfbackup.test
	wait_for_log 'to=<user@selfbackup.test>.*status=deferred \(connect to a.three.test'
	refute_log 'status=bounced|loops back'
	assert_eq "$(sink_connections 192.0.2.2)" 0
	assert_eq "$(sink_connections 192.0.2.3)" 0
	start_sink 192.0.2.1
	drain
	assert_eq "$(sink_messages 192.0.2.1)" 1
}

case_ourselves_by_another_name() {
	assert_eq "$(route selfalias.test)" ':[a.three.test]'
}

case_ourselves_by_proxy_interfaces() {
	postconf -e 'proxy_interfaces = 192.0.2.2'
	cool_main_cf
	assert_eq "$(route three.test)" ':[a.three.test]'
	postconf -X proxy_interfaces
	cool_main_cf
}

# Outside Postfix: the machine's name and interfaces, or what is configured.
case_ourselves_in_the_command() {
	assert_eq "$(mxhop lookup --format postfix selfbackup.test)" ':[a.three.test]'
	assert_eq "$(mxhop lookup --format postfix selfalias.test)" ':[a.three.test]'
	conf 'own_names = b.three.test'
	assert_eq "$(mxhop lookup --format postfix three.test)" ':[a.three.test]'
	conf 'own_addresses = 192.0.2.2/31'
	assert_eq "$(mxhop lookup --format postfix three.test)" ':[a.three.test]'
	conf
}

# --- keys ---

case_address_literal() {
	start_sink 192.0.2.1
	send_mail "$ME" 'user@[192.0.2.1]'
	wait_for_log 'to=<user@\[192.0.2.1\]>, relay=192.0.2.1\[192.0.2.1\]:25.*status=sent'
	assert_eq "$(route '[192.0.2.1]')" ''
	assert_eq "$(route '[IPv6:2001:db8::1]')" ''
}

case_idn() {
	start_sink 192.0.2.3
	assert_eq "$(route bücher.test)" ':[c.three.test]'
	assert_eq "$(route xn--bcher-kva.test)" ':[c.three.test]'
	send_mail "$ME" user@xn--bcher-kva.test
	wait_for_log 'to=<user@xn--.*>, relay=c.three.test\[192.0.2.3\]:25.*status=sent'
	# smtp-sink does not offer SMTPUTF8, so it must do without.
	postfix_set 'smtputf8_autodetect_classes = verify'
	send_mail "$ME" user@bücher.test
	wait_for_log 'to=<user@b.*>, relay=c.three.test\[192.0.2.3\]:25.*status=sent'
	postfix_unset smtputf8_autodetect_classes
}

case_address_extension() {
	start_sink 192.0.2.1
	send_mail "$ME" user+ext@three.test
	wait_for_log 'to=<user\+ext@three.test>, relay=a.three.test.*status=sent'
	assert_eq "$(sink_recipients 192.0.2.1)" user+ext@three.test
	# Postfix asks for each of these before the domain: no answer, no query.
	mark
	assert_eq "$(route user+ext@tie.test)" ''
	assert_eq "$(route user@tie.test)" ''
	assert_eq "$(dns_queries tie.test MX)" 0
	assert_match "$(mxhop lookup --format postfix user+ext@three.test | folded)" '^:\[a\.three\.test\]'
}

case_what_is_no_domain_passes() {
	local key
	for key in '*' .three.test test..test -x 192.0.2.1 a@b@ "$(printf 'x%.0s' {1..300})" \
		$'a\tb.test' 'a b.test' 'ü' ; do
		assert_status 1 postmap -q "$key" "$M"
		refute_match "$OUTPUT" 'fatal|panic|warning' "$key"
	done
}

case_thirty_exchanges_over_tcp() {
	assert_match "$(dig +notcp +ignore many.test MX)" 'flags: qr tc'
	assert_match "$(route many.test)" '^:\[m01-x+\.many\.test\], \[m02-x+\.many\.test\], \[m03-x+\.many\.test\]$'
	start_sink 192.0.2.103
	send_mail "$ME" user@many.test
	wait_for_log 'to=<user@many.test>, relay=m03-.*status=sent'
	conf 'max_hops = 30'
	assert_eq "$(route many.test | grep -o '\[m' | wc -l)" 30 "hops"
	conf
}

# --- queues ---

# One message, three domains on one host.
case_group_site_shares_a_queue() {
	start_sink 192.0.2.1
	assert_eq "$(route one-shared.test)" ':[a.three.test]'
	send_mail "$ME" user@{one,two,three}-shared.test
	wait_for_log 'to=<user@one-shared.test>.*status=sent'
	wait_queue_empty
	assert_eq "$(sink_connections 192.0.2.1)" 1
	assert_eq "$(sink_messages 192.0.2.1)" 1
	assert_eq "$(sink_recipients 192.0.2.1 | wc -l)" 3
}

# The same hosts, but each domain by itself, in a name that smtp(8) can read.
assert_group_domain() {
	local d
	for d in one two three; do
		assert_match "$(route "$d-shared.test")" '^:\[a\.three\.test\][, ]+$'
		route "$d-shared.test"
	done >"$SCRATCH/names"
	assert_eq "$(sort -u "$SCRATCH/names" | wc -l)" 3 "queue names"
	send_mail "$ME" user@{one,two,three}-shared.test
	wait_for_log 'to=<user@one-shared.test>, relay=a.three.test\[192.0.2.1\]:25.*status=sent'
	wait_queue_empty
	assert_eq "$(sink_messages 192.0.2.1)" 3
	assert_eq "$(sink_recipients 192.0.2.1 | wc -l)" 3
}

case_group_domain_has_a_queue_each() {
	start_sink 192.0.2.1
	conf_postfix 'group = domain'
	assert_group_domain
	conf_postfix
}

case_single_domain_sites_have_a_queue_each() {
	start_sink 192.0.2.1
	conf_postfix 'single_domain_sites = .three.test'
	assert_group_domain
	assert_eq "$(route a-only.test)" ':[a-only.test]'
	conf_postfix
}

case_transport_is_named() {
	conf 'transport = relay'
	assert_eq "$(route a-only.test)" 'relay:[a-only.test]'
	conf
}

# smtp(8) keeps a connection under the first host of a list as it is written there,
# whichever host it leads to, and uses it again for any list that begins so.
assert_kept_apart() { # FIRST-HOST
	refresh_overrides <<-END
		dn: cn=both,dc=test
		objectClass: mxhopOverride
		cn: both
		mxhopKey: both.test
		mxhopHop: 10 $1
		mxhopHop: 20 [192.0.2.1]

		dn: cn=other,dc=test
		objectClass: mxhopOverride
		cn: other
		mxhopKey: other.test
		mxhopHop: 10 $1
		mxhopHop: 20 [192.0.2.2]

		dn: cn=alone,dc=test
		objectClass: mxhopOverride
		cn: alone
		mxhopKey: alone.test
		mxhopHop: $1
	END
	mark
	send_mail "$ME" one@both.test
	wait_for_log 'to=<one@both.test>, relay=192.0.2.1.*status=sent'
	send_mail "$ME" two@both.test
	wait_for_log 'to=<two@both.test>, relay=192.0.2.1.*conn_use=.*status=sent'
	send_mail "$ME" user@other.test
	wait_for_log 'to=<user@other.test>, relay=192.0.2.2.*status=sent'
	send_mail "$ME" user@alone.test
	wait_for_log 'to=<user@alone.test>, relay=none.*status=deferred'
	purge
}

case_a_kept_connection_is_the_lists_own() {
	start_sink 192.0.2.1
	start_sink 192.0.2.2
	postfix_set 'smtp_connection_cache_destinations = static:all'
	conf_postfix 'overrides = ldif:/etc/mxhop/overrides.ldif'
	assert_kept_apart '[c.three.test]'
	assert_kept_apart '[192.0.2.9]'
	assert_kept_apart '[IPv6:2001:db8::9]'
	: >/etc/mxhop/overrides.ldif
	assert_status 0 mxhop refresh --force
	conf_postfix
	postconf -X smtp_connection_cache_destinations
	reload_postfix
}

case_ports() {
	conf_postfix 'overrides = ldif:/etc/mxhop/overrides.ldif'
	refresh_overrides <<-'END'
		dn: cn=ports,dc=test
		objectClass: mxhopOverride
		cn: ports
		mxhopKey: ports.test
		mxhopHop: 10 [192.0.2.8]:2525
		mxhopHop: 20 [IPv6:2001:db8::8]:2525
		mxhopHop: 30 [a.three.test]:587
	END
	assert_eq "$(route ports.test)" \
		':[192.0.2.8]:2525, [ipv6:2001:db8::8]:2525, [a.three.test]:587'
	start_sink '[2001:db8::8]:2525'
	send_mail "$ME" user@ports.test
	wait_for_log 'connect to 192.0.2.8\[192.0.2.8\]:2525: Connection refused'
	wait_for_log 'to=<user@ports.test>, relay=2001:db8::8\[2001:db8::8\]:2525.*status=sent'
	mark
	start_sink 192.0.2.1:587
	stop_sink '[2001:db8::8]:2525'
	send_mail "$ME" other@ports.test
	eventually 10 flushed_to a.three.test
	wait_for_log 'to=<other@ports.test>, relay=a.three.test\[192.0.2.1\]:587.*status=sent'
	conf_postfix
}

case_postfix_is_well() {
	refute_match "$(<"$MAIL_LOG")" 'panic|fatal|killed by signal|exit status'
}
