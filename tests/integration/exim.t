# shellcheck shell=bash disable=SC2016
# Exim with the plugin: what each outcome does to an address, where mail goes,
# and what happens while something is broken. After each case the panic log has
# to be empty.

# shellcheck source=tests/integration/exim.sh
. "$ROOT/tests/integration/exim.sh"

CF=/etc/mxhop/mxhop.cf

setup() {
	local d
	{
		cat <<-'END'
			ok       MX 10 mx1
			ok       MX 10 mx2
			ok       MX 20 mx3
			implicit A 192.0.2.4
			null     MX 0 .
			dead1    MX 10 down
			dead1    MX 20 mx3
			self     MX 10 us
			self     MX 20 mx3
			halfself MX 10 mx1
			halfself MX 20 us
			us       A 192.0.2.250
			loop     MX 10 lo
			lo       A 127.0.0.1
			hostless MX 10 nowhere
			odd      MX 10 \$\{run\{id\}\}
			odd      MX 20 mx3
			mx1      A 192.0.2.1
			mx2      A 192.0.2.2
			mx3      A 192.0.2.3
			down     A 192.0.2.99
			mx6      AAAA 2001:db8::6
			v6       MX 10 mx6
			relay    A 192.0.2.10
			prov     MX 10 in.provider
			in.provider A 192.0.2.20
		END
		for d in replace prepend port literal transport reject defer pass \
			hostile rcpt; do
			echo "$d MX 10 mx1"
		done
		echo 'xn--bcher-kva MX 10 mx2'
		seq -f 'c%.0f MX 10 mx1' 1 20
		seq -f 'g%.0f MX 10 mx.google.com.' 1 5
	} | zone test
	zone google.com <<<'mx A 192.0.2.30'
	start_dns 'cache-max-negative-ttl: 0'
	use_exim
	use_mxhop_for_exim <<<'overrides = ldif:/etc/mxhop/overrides.ldif'
	exim_conf </dev/null
	overrides >/etc/mxhop/overrides.ldif
	mxhop refresh
	exim_keep
}

entry() { # NAME LINE...
	printf 'dn: cn=%s,ou=mxhop\nobjectClass: mxhopOverride\ncn: %s\n' "$1" "$1"
	shift
	printf 'mxhop%s\n' "$@" ''  | sed '/^mxhop$/s/.*//'
}

overrides() {
	entry replace 'Key: replace.test' 'Hop: 10 [relay.test]' 'Hop: 20 [mx3.test]'
	entry prepend 'Key: prepend.test' 'Mode: prepend' 'Hop: [relay.test]'
	entry port 'Key: port.test' 'Hop: 10 [relay.test]:2525' \
		'Hop: 20 [IPv6:2001:db8::6]:2626' 'Hop: 30 [192.0.2.3]:27'
	entry literal 'Key: literal.test' 'Hop: 10 [IPv6:2001:db8::6]' 'Hop: 20 [192.0.2.3]'
	entry transport 'Key: transport.test' 'Mode: append' 'Hop: [relay.test]' \
		'Transport: other_smtp'
	entry reject 'Key: reject.test' 'Mode: reject' 'Reason: Moved to example.net'
	entry defer 'Key: defer.test' 'Mode: defer' 'Reason: Moving until noon'
	entry pass 'Key: pass.test' 'Mode: pass'
	entry hostile 'Key: hostile.test' 'Mode: reject' \
		'Reason: a ${run{/usr/bin/touch /run/owned}} $domain \n "b", :fail: c'
	entry rcpt 'Key: vip@rcpt.test' 'Hop: [relay.test]'
	entry provider 'Exchange: .provider.test' 'Mode: prepend' 'Hop: [relay.test]'
}

# ROUTER, TRANSPORT and hosts of an address, sorted, as `exim -bt' has them.
routed() { # ADDRESS
	exim_bt "$1" | sed -nE \
		-e 's/^  router = (.*), transport = (.*)/\1 \2/p' \
		-e 's/^  host ([^ ]+) +\[([^]]*)\](.*)/\1 \2\3/p' | sed -E 's/ +/ /g; s/ $//' | paste -sd ';'
}

# ---- outcomes ----

case_every_outcome_by_bt() {
	local address want
	while IFS='|' read -r address want; do
		assert_eq "$(routed "$address" | tr ';' '\n' | sort | paste -sd ';')" \
			"$want" "$address"
	done <<-'END'
		a@ok.test|mx1.test 192.0.2.1;mx2.test 192.0.2.2;mx3.test 192.0.2.3;mxhop_route remote_smtp
		a@implicit.test|implicit.test 192.0.2.4;mxhop_route remote_smtp
		a@v6.test|mx6.test 2001:db8::6;mxhop_route remote_smtp
		a@halfself.test|mx1.test 192.0.2.1;mxhop_route remote_smtp
		a@odd.test|mx3.test 192.0.2.3;mxhop_route remote_smtp
		a@replace.test|mx3.test 192.0.2.3;mxhop_route remote_smtp;relay.test 192.0.2.10
		a@prepend.test|mx1.test 192.0.2.1;mxhop_route remote_smtp;relay.test 192.0.2.10
		a@port.test|192.0.2.3 192.0.2.3 port=27;2001:db8::6 2001:db8::6 port=2626;mxhop_route remote_smtp;relay.test 192.0.2.10 port=2525
		a@literal.test|192.0.2.3 192.0.2.3;2001:db8::6 2001:db8::6;mxhop_route remote_smtp
		a@pass.test|dnslookup remote_smtp;mx1.test 192.0.2.1 MX=10
		a@rcpt.test|mx1.test 192.0.2.1;mxhop_route remote_smtp
		vip@rcpt.test|mxhop_route remote_smtp;relay.test 192.0.2.10
		a@prov.test|in.provider.test 192.0.2.20;mxhop_route remote_smtp;relay.test 192.0.2.10
	END
	assert_match "$(exim_bt a@null.test)" \
		'a@null.test is undeliverable: 550 5.1.10 Domain null.test does not accept mail \(null MX\)'
	assert_match "$(exim_bt a@reject.test)" 'undeliverable: 550 5.7.1 Moved to example.net'
	assert_match "$(exim_bt a@defer.test)" 'cannot be resolved at this time: .*451 4.[0-9].[0-9] Moving until noon'
	for address in nx hostless loop; do
		assert_match "$(exim_bt a@$address.test)" 'is undeliverable' "$address"
		assert_eq "$(list_of $address.test)$(dlfunc mxhop_fate $address.test)" ''
	done
	refute_match "$(exim_bt root@localhost)" mxhop
	refute_match "$(exim_bt 'a@[192.0.2.1]')" mxhop
	assert_no_panic
}

# A list is ordered by preference; within `+' it takes turns.
case_the_order_of_a_list() {
	assert_eq "$(dlfunc mxhop_route replace.test)" '<;relay.test;+;mx3.test'
	assert_eq "$(dlfunc mxhop_route port.test)" \
		'<;relay.test:2525;+;[2001:db8::6]:2626;+;192.0.2.3:27'
	assert_match "$(dlfunc mxhop_route ok.test)" \
		'^<;mx(1.test;mx2|2.test;mx1).test;\+;mx3.test$'
	assert_eq "$(dlfunc mxhop_route prov.test)" '<;relay.test;+;in.provider.test'
	assert_no_panic
}

# What a function tells Exim: 0 the text, 2 defer with the text, 4 decline. Where
# mxhop_rest has a text, no address gets past it.
case_results() {
	plugin_host >"$SCRATCH/out" <<-'END'
		mxhop_route replace.test
		mxhop_route defer.test
		mxhop_route reject.test
		mxhop_fate reject.test
		mxhop_route pass.test
		mxhop_fate pass.test
		mxhop_route null.test
		mxhop_fate null.test
		mxhop_fate defer.test
		mxhop_fate replace.test
		mxhop_fate ok.test
		mxhop_rest replace.test
		mxhop_rest defer.test
		mxhop_rest reject.test
		mxhop_rest null.test
		mxhop_rest pass.test
		mxhop_rest ok.test
		mxhop_rest nx.test
		mxhop_route ok.test /etc/mxhop/none.cf
		mxhop_rest ok.test /etc/mxhop/none.cf
	END
	assert_eq "$(sed -E 's/^4 .*/4/; s/none.cf: .*/none.cf/' "$SCRATCH/out")" "$(cat <<-'END'
		0 <;relay.test;+;mx3.test
		4
		4
		0 :fail: 550 5.7.1 Moved to example.net
		4
		0 
		4
		0 :fail: 550 5.1.10 Domain null.test does not accept mail (null MX)
		0 :defer: 451 4.3.5 Moving until noon
		0 
		0 
		0 :defer: 451 4.3.5 The host that the override names is this system itself
		0 :defer: 451 4.3.5 Moving until noon
		0 :fail: 550 5.7.1 Moved to example.net
		0 :fail: 550 5.1.10 Domain null.test does not accept mail (null MX)
		0 
		0 
		0 
		2 /etc/mxhop/none.cf
		2 /etc/mxhop/none.cf
	END
	)"
}

# For a second the routers of an address are told the same, and it costs one
# lookup; after that what holds then.
case_an_answer_is_kept_for_a_second() {
	sed 's/^mxhopMode: reject/mxhopMode: defer/' /etc/mxhop/overrides.ldif >/run/changed.ldif
	plugin_host >"$SCRATCH/out" <<-'END'
		mxhop_route reject.test
		run cp /run/changed.ldif /etc/mxhop/overrides.ldif; mxhop refresh >&2
		mxhop_rest reject.test
		run sleep 1.1
		mxhop_rest reject.test
	END
	assert_eq "$(sed -E 's/^4 .*/4/' "$SCRATCH/out" | paste -sd '|')" \
		'4|0 :fail: 550 5.7.1 Moved to example.net|0 :defer: 451 4.3.5 Moved to example.net'
}

routers_of() { # ADDRESS
	exim -d-all+route -bt "$1" 2>&1 | awk '
		/^-+> .* router <-+$/ { names[++n] = $2 }
		/ router skipped/ { n-- }
		END { for (i = 1; i <= n; i++) printf "%s%s", names[i], i < n ? " " : "\n" }'
}

case_an_ordinary_delivery_passes_one_router() {
	assert_eq "$(routers_of a@ok.test)" mxhop_route
	assert_eq "$(routers_of a@pass.test)" 'mxhop_route mxhop_rest dnslookup'
}

case_arguments() {
	assert_eq "$(dlfunc mxhop_route rcpt.test)" '<;mx1.test'
	assert_eq "$(dlfunc mxhop_route rcpt.test '' vip@rcpt.test)" '<;relay.test'
	assert_eq "$(dlfunc mxhop_route rcpt.test $CF 'other@rcpt.test')" '<;mx1.test'
	assert_eq "$(dlfunc mxhop_route replace.test '' "$(printf 'x%.0s' {1..80})@replace.test")" \
		'<;relay.test;+;mx3.test'
	assert_eq "$(list_of '')" ''
	assert_match "$(exim_be "\${dlfunc{$EXIM_PLUGIN}{mxhop_route}}")" 'expected \{domain\}'
	assert_match "$(dlfunc mxhop_route a b c d e)" 'expected \{domain\}'
	printf 'cache = none\noverrides =\n' >/etc/mxhop/other.cf
	assert_eq "$(dlfunc mxhop_route replace.test /etc/mxhop/other.cf)" '<;mx1.test'
	assert_no_panic
}

case_transport_of_an_override() {
	assert_eq "$(dlfunc mxhop_transport transport.test)" other_smtp
	assert_eq "$(dlfunc mxhop_transport ok.test)" ''
	sed 's/^begin transports/&\n\nother_smtp:\n  driver = smtp/' \
		/etc/exim4/exim4.conf >/run/other.conf
	assert_match "$(exim -C /run/other.conf -bt a@transport.test)" \
		'router = mxhop_route, transport = other_smtp'
	assert_match "$(exim_bt a@transport.test)" 'cannot be resolved at this time'
	exim_send alice@mta.mxhop.test a@transport.test
	assert_exim_log '== a@transport.test.*other_smtp'
	assert_no_panic
}

case_trace() {
	assert_match "$(dlfunc mxhop_trace replace.test)" 'cn=replace,ou=mxhop'
	assert_match "$(dlfunc mxhop_trace replace.test)" 'exim +<;relay.test;\+;mx3.test'
	assert_no_panic
}

# As in the example of mxhop_exim(7), also with a domain that a client made up.
case_in_an_acl() {
	sed -i 's/^acl_rcpt:/&\n  deny senders = *@*\n       condition = ${if match{${dlfunc{MXHOP_SO}{mxhop_fate} {$sender_address_domain}}}{^:fail:}}\n       message = sender domain does not accept mail/' \
		/etc/exim4/exim4.conf
	start_exim
	assert_match "$(smtp_try a@null.test u@ok.test 127.0.0.1 2525 || true)" \
		'^550 sender domain does not accept mail'
	assert_match "$(smtp_try a@ok.test u@ok.test 127.0.0.1 2525)" '^250'
	assert_match "$(smtp_try '' u@ok.test 127.0.0.1 2525)" '^250'
	assert_no_panic
}

# A cached host whose address is gone: left out; if it was the only one, mail
# waits.
case_hosts_that_have_gone() {
	start_sink 192.0.2.3
	sed -i '$a goes MX 10 gone\ngoes MX 20 mx3\nallgo MX 10 gone\ngone A 192.0.2.98' \
		"$SCRATCH/zones/test"
	start_dns
	dlfunc mxhop_route goes.test
	dlfunc mxhop_route allgo.test
	sed -i '/^gone A/d' "$SCRATCH/zones/test"
	start_dns
	exim_send alice@mta.mxhop.test u@goes.test u@allgo.test
	assert_exim_log '=> u@goes.test.*H=mx3.test'
	assert_exim_log '== u@allgo.test.*R=mxhop_route defer'
	refute_exim_log '[Ff]rozen'
	assert_no_panic
}

# What people write into an override is not expanded, in whatever way it is used.
case_text_is_never_expanded() {
	local text='550 5.7.1 a ??run?/usr/bin/touch /run/owned?? ?domain ?n "b", :fail: c'
	rm -f /run/owned
	assert_eq "$(dlfunc mxhop_fate hostile.test)" ":fail: $text"
	[[ $(exim_bt a@hostile.test) == *"a@hostile.test is undeliverable: $text"* ]] ||
		fail "$(exim_bt a@hostile.test)"
	exim_send sender@ok.test a@hostile.test
	assert_exim_log '\*\* a@hostile.test.*R=mxhop_rest: 550 5.7.1 a \?\?run\?'
	[[ ! -e /run/owned ]] || fail "it was expanded"
	assert_no_panic
}

# ---- deliveries ----

case_fallback_to_the_next_preference() {
	start_sink 192.0.2.3
	exim_send alice@mta.mxhop.test bob@dead1.test
	assert_exim_log '=> bob@dead1.test.*R=mxhop_route.*H=mx3.test \[192.0.2.3\]'
	assert_eq "$(sink_recipients 192.0.2.3)" bob@dead1.test
	assert_no_panic
}

# Two equal hosts share the mail, whatever the order in the list; the backup has
# none. 24 fair coins fall on one side once in eight million.
case_equals_take_turns() {
	local i
	start_sink 192.0.2.1
	start_sink 192.0.2.2
	start_sink 192.0.2.3
	for i in {1..24}; do exim_send alice@mta.mxhop.test "u$i@ok.test"; done
	assert_eq $(($(sink_messages 192.0.2.1) + $(sink_messages 192.0.2.2))) 24
	[[ $(sink_messages 192.0.2.1) -gt 0 && $(sink_messages 192.0.2.2) -gt 0 ]] ||
		fail "all went to one host"
	assert_eq "$(sink_messages 192.0.2.3)" 0
	assert_no_panic
}

case_override_by_exchange_and_by_recipient() {
	start_sink 192.0.2.10
	start_sink 192.0.2.1
	exim_send alice@mta.mxhop.test bob@prov.test vip@rcpt.test joe@rcpt.test
	assert_eq "$(sink_recipients 192.0.2.10 | sort | paste -sd ' ')" \
		'bob@prov.test vip@rcpt.test'
	assert_eq "$(sink_recipients 192.0.2.1)" joe@rcpt.test
	assert_no_panic
}

# multi_domain: one transaction for all who share hosts, but not at Google.
case_domains_with_the_same_hosts() {
	start_sink 192.0.2.1
	start_sink 192.0.2.30
	# shellcheck disable=SC2046
	exim_send alice@mta.mxhop.test $(seq -f 'u@c%.0f.test' 1 20) $(seq -f 'u@g%.0f.test' 1 5)
	assert_eq "$(sink_recipients 192.0.2.1 | wc -l)" 20
	assert_eq "$(sink_messages 192.0.2.1)" 1
	assert_eq "$(sink_recipients 192.0.2.30 | wc -l)" 5
	assert_eq "$(sink_messages 192.0.2.30)" 5
	assert_no_panic
}

case_null_mx_bounces_with_its_text() {
	start_sink 192.0.2.4
	exim_send sender@implicit.test joe@null.test
	eventually 10 grep -q 'joe@null.test' "$SCRATCH/sink-192.0.2.4.mail" || fail "no bounce: $(eximlog)"
	grep -q '550 5.1.10 Domain null.test does not accept mail (null MX)' \
		"$SCRATCH/sink-192.0.2.4.mail" || fail "$(cat "$SCRATCH/sink-192.0.2.4.mail")"
	assert_eq "$(exim_queue)" 0
	assert_no_panic
}

# ---- sessions: Exim's own user, and a child of the process that forked ----

start_exim() {
	spawn exim exim -bdf -oX 127.0.0.1.2525
	eventually 5 smtp_listening 127.0.0.1 2525 || fail "Exim does not listen"
}

case_recipients_are_verified() {
	start_exim
	assert_match "$(smtp_try a@ok.test u@ok.test 127.0.0.1 2525)" '^250'
	assert_match "$(smtp_try a@ok.test u@null.test 127.0.0.1 2525 || true)" \
		'^550.*5.1.10 Domain null.test does not accept mail'
	assert_match "$(smtp_try a@ok.test u@defer.test 127.0.0.1 2525)" '^250'
	mv $CF $CF.away
	assert_match "$(smtp_try a@ok.test u@ok.test 127.0.0.1 2525)" '^250'
	mv $CF.away $CF
	# Without defer_ok. Where the file is, and what is wrong with it, is for the
	# log only.
	stop exim
	sed -i 's,recipient/defer_ok,recipient,' /etc/exim4/exim4.conf
	start_exim
	assert_match "$(smtp_try a@ok.test u@defer.test 127.0.0.1 2525 || true)" \
		'^451.*Moving until noon'
	mv $CF $CF.away
	assert_match "$(smtp_try a@ok.test u@ok.test 127.0.0.1 2525 || true)" '^451'
	refute_match "$(smtp_try a@ok.test u@ok.test 127.0.0.1 2525 || true)" 'mxhop.cf'
	assert_exim_log 'mxhop.cf: cannot be opened'
	assert_eq "$(find /run/mxhop -not -user root)" '' "not root's"
	assert_no_panic
}

# contrib/exim/verify.cf: sessions share a cache of Exim's user, deliveries one
# of root's.
case_sessions_may_have_a_cache() {
	{
		cat "$ROOT/contrib/exim/verify.cf"
		echo 'overrides = ldif:/etc/mxhop/overrides.ldif'
	} >/etc/mxhop/verify.cf
	install -d -o Debian-exim -g Debian-exim -m 700 /run/mxhop/verify
	exim_conf <<-'END'
		MXHOP_ARGS = {$domain}{/etc/mxhop/${if def:verify_mode{verify}{mxhop}}.cf}{$local_part@$domain}
	END
	start_exim
	assert_match "$(smtp_try a@ok.test u@c1.test 127.0.0.1 2525)" '^250'
	mark
	assert_match "$(smtp_try a@ok.test u@c1.test 127.0.0.1 2525)" '^250'
	assert_eq "$(dns_queries c1.test MX)" 0
	assert_eq "$(find /run/mxhop/verify -not -user Debian-exim)" ''
	mxhop -c /etc/mxhop/verify.cf cache list | grep c1.test >/dev/null || fail "not in the cache"
	assert_no_panic
}

# A pure relay: Exim routes as its own user.
case_deliver_drop_privilege() {
	exim_conf <<<'deliver_drop_privilege = true'
	sed -i 's/^cache_owner = .*/cache_owner = Debian-exim/' $CF
	install -d -o Debian-exim -g Debian-exim -m 700 /run/mxhop/mxhop
	start_sink 192.0.2.1
	exim_send alice@mta.mxhop.test u@c2.test
	assert_eq "$(dns_queries c2.test MX)" 1
	exim_send alice@mta.mxhop.test u@c2.test
	assert_eq "$(dns_queries c2.test MX)" 1
	assert_eq "$(sink_messages 192.0.2.1)" 2
	assert_eq "$(find /run/mxhop/mxhop -not -user Debian-exim)" ''
	assert_no_panic
}

# Each delivery is a process of its own, and the second one asks no MX query.
case_processes_share_the_cache() {
	start_sink 192.0.2.1
	exim_send alice@mta.mxhop.test u@c3.test
	assert_eq "$(dns_queries c3.test MX)" 1
	exim_send alice@mta.mxhop.test u@c3.test
	assert_eq "$(dns_queries c3.test MX)" 1
	assert_eq "$(sink_messages 192.0.2.1)" 2
	assert_no_panic
}

# ---- what may be broken ----

# Deferred, not frozen, and delivered as soon as it is mended.
case_configuration_missing_or_broken() {
	start_sink 192.0.2.1
	cp $CF /run/good.cf
	rm $CF
	exim_send alice@mta.mxhop.test u@c4.test
	assert_exim_log '== u@c4.test.*defer.*/etc/mxhop/mxhop.cf: cannot be opened'
	printf '# comment\nmax_hopps = 3\n' >$CF
	exim -qff
	assert_exim_log '== u@c4.test.*defer.*/etc/mxhop/mxhop.cf:2: .*max_hopps'
	refute_match "$(exim -bp)" frozen
	refute_exim_log '[Ff]rozen'
	assert_match "$(exim_bt u@c4.test)" 'cannot be resolved at this time.*mxhop.cf:2'
	cp /run/good.cf $CF
	exim -qff
	assert_exim_log '=> u@c4.test'
	assert_eq "$(exim_queue)" 0
	assert_no_panic
}

# Unknown domains wait for the DNS; what exim -qff delivers afterwards is all.
case_dns_is_dead() {
	start_sink 192.0.2.1
	kill -STOP "$(cat "$SCRATCH/pids/unbound")"
	exim_send alice@mta.mxhop.test u@c5.test u@reject.test
	kill -CONT "$(cat "$SCRATCH/pids/unbound")"
	assert_exim_log '== u@c5.test.*defer'
	assert_exim_log '\*\* u@reject.test.*Moved to example.net'
	refute_exim_log '[Ff]rozen'
	rm -f /var/spool/exim4/db/*
	dns_flush
	exim -qff
	assert_exim_log '=> u@c5.test'
	assert_no_panic
}

# The resolver knows the hosts' addresses still, as serve-expired has it, but
# the domain's MX records fail: mxhop's old answer routes the mail.
case_old_answers_route_while_mx_lookups_fail() {
	start_sink 192.0.2.1
	assert_match "$(dlfunc mxhop_route c6.test)" mx1
	zone c7.example <<<'@ MX 10 mx1.test.'
	start_nsd
	start_unbound
	printf 'ttl_min = 1s\nttl_max = 1s\n' >>$CF
	assert_match "$(dlfunc mxhop_route c7.example)" mx1
	forward_domain c7.example 127.0.0.1@9
	rm "$SCRATCH/zones/c7.example"
	start_unbound
	sleep 2.1
	exim_send alice@mta.mxhop.test u@c7.example
	assert_exim_log '=> u@c7.example.*R=mxhop_route'
	rm "$SCRATCH/forwards/c7.example"
	start_nsd
	start_unbound
	assert_no_panic
}

# Nothing in the path of mail reads the source of overrides; without a table,
# mail that an override might have sent elsewhere waits.
case_source_and_table_of_overrides_are_gone() {
	start_sink 192.0.2.10
	start_sink 192.0.2.1
	mv /etc/mxhop/overrides.ldif /run/overrides.ldif
	! mxhop refresh || fail "refreshed from nothing"
	exim_send alice@mta.mxhop.test u1@replace.test
	assert_eq "$(sink_recipients 192.0.2.10)" u1@replace.test
	mv /var/lib/mxhop/overrides /run/overrides
	exim_send alice@mta.mxhop.test u2@replace.test u@c8.test
	assert_exim_log '== u2@replace.test.*R=mxhop_rest defer.*: 451 4.3.5 Routing overrides are not available'
	refute_exim_log '[Ff]rozen'
	mv /run/overrides /var/lib/mxhop/overrides
	mv /run/overrides.ldif /etc/mxhop/overrides.ldif
	rm -f /var/spool/exim4/db/*
	exim -qff
	assert_eq "$(sink_recipients 192.0.2.10 | sort | paste -sd ' ')" 'u1@replace.test u2@replace.test'
	assert_eq "$(sink_recipients 192.0.2.1)" u@c8.test
	assert_no_panic
}

case_cache_that_cannot_be_used_is_only_a_miss() {
	start_sink 192.0.2.1
	install -d -o alice /run/mxhop/mxhop
	exim_send alice@mta.mxhop.test u@c9.test
	assert_exim_log '=> u@c9.test'
	assert_eq "$(ls -A /run/mxhop/mxhop)" '' "files made for alice"
	assert_no_panic
}

# ---- Debian's split configuration ----

case_debian_split_configuration() {
	cp -a "$ROOT"/contrib/exim/debian/. /etc/exim4/conf.d/
	cat >/etc/exim4/update-exim4.conf.conf <<-'END'
		dc_eximconfig_configtype='internet'
		dc_other_hostnames='localhost'
		dc_local_interfaces='127.0.0.1'
		dc_use_split_config='true'
		dc_relay_domains='c10.test'
	END
	update-exim4.conf -o /run/debian.conf
	sed -i 's/^CFILEMODE.*//' /run/debian.conf
	assert_match "$(exim -C /run/debian.conf -bt u@ok.test)" 'router = mxhop_route, transport = remote_smtp'
	assert_match "$(exim -C /run/debian.conf -bt u@c10.test)" 'router = mxhop_route, transport = remote_smtp'
	assert_match "$(exim -C /run/debian.conf -bt u@pass.test)" 'router = mxhop_dnslookup, transport = remote_smtp'
	assert_match "$(exim -C /run/debian.conf -bt u@null.test || true)" '550 5.1.10'
	assert_match "$(exim -C /run/debian.conf -bP transport mxhop_sts)" 'hosts_require_tls = \*'
	assert_no_panic
}

# ---- the plugin alone ----

plugin_host() { # COMMAND... (on stdin: what dlhost is to call)
	"${CC:-cc}" -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -g \
		-o "$SCRATCH/dlhost" "$ROOT/tests/support/dlhost.c" -ldl
	"$@" "$SCRATCH/dlhost" "$EXIM_PLUGIN"
}

# Who gives root up keeps nothing of root's cache.
case_change_of_user() {
	plugin_host >"$SCRATCH/out" <<-'END'
		mxhop_route c11.test
		mapped cache-2
		user 64300
		mxhop_route c11.test
		mapped cache-2
	END
	assert_eq "$(paste -sd '|' "$SCRATCH/out")" '0 <;mx1.test|yes|0 <;mx1.test|no'
}

# libidn2 is for names that are not ASCII only, and what it does not do is said.
case_libidn2_when_it_is_needed() {
	local library
	plugin_host >"$SCRATCH/out" <<-'END'
		mxhop_route c11.test
		mapped libidn2.so
		mxhop_route bücher.test
		mapped libidn2.so
	END
	assert_eq "$(paste -sd '|' "$SCRATCH/out")" '0 <;mx1.test|no|0 <;mx2.test|yes'
	library=$(ldconfig -p | awk '$1 == "libidn2.so.0" { at = $NF } END { print at }')
	mount --bind /dev/null "$library"
	plugin_host >"$SCRATCH/out" <<-'END'
		mxhop_route c11.test
		mxhop_route bücher.test
		mxhop_fate bücher.test
	END
	umount "$library"
	assert_eq "$(paste -sd '|' "$SCRATCH/out")" \
		'0 <;mx1.test|4 internationalised domain name, and libidn2.so.0 cannot be loaded|0 '
}

# Exim starts a process for each delivery: name servers are for those which ask
# the DNS, the interfaces for those which compare hosts of overrides with them.
case_nothing_is_read_before_it_is_needed() {
	printf 'mxhop_fate c11.test\n' | plugin_host >/dev/null # cached from now on
	printf 'mxhop_route c11.test\n' |
		plugin_host strace -f -o "$SCRATCH/calls" >"$SCRATCH/out"
	assert_eq "$(<"$SCRATCH/out")" '0 <;mx1.test'
	refute_match "$(<"$SCRATCH/calls")" 'resolv.conf|epoll|NETLINK'
	printf 'mxhop_route reject.test\n' |
		plugin_host strace -f -o "$SCRATCH/calls" >"$SCRATCH/out"
	assert_match "$(<"$SCRATCH/out")" '^4 Moved'
	refute_match "$(<"$SCRATCH/calls")" 'resolv.conf|epoll|NETLINK'
}

# The handle of before a fork is the parent's, and still good there.
case_fork() {
	plugin_host >"$SCRATCH/out" <<-'END'
		mxhop_route c11.test
		fork
		mxhop_route c11.test
		mxhop_route c12.test
		fork
		mxhop_route c12.test
		mxhop_fate null.test
		user 64300
		mxhop_route c11.test
		mxhop_transport transport.test
	END
	assert_eq "$(sort -u "$SCRATCH/out" | paste -sd '|')" \
		'0 :fail: 550 5.1.10 Domain null.test does not accept mail (null MX)|0 <;mx1.test|0 other_smtp'
	# One before the first fork, twice two behind it, four times four at the end.
	assert_eq "$(wc -l <"$SCRATCH/out")" 21
	assert_eq "$(find /run/mxhop/mxhop -not -user root)" ''
	assert_eq "$(dns_queries c12.test MX)" 1
}

case_valgrind_finds_nothing() {
	plugin_host valgrind -q --leak-check=full --show-leak-kinds=definite \
		--errors-for-leak-kinds=definite --error-exitcode=99 >"$SCRATCH/out" <<-'END'
		mxhop_route c13.test
		mxhop_route c13.test /etc/mxhop/none.cf
		mxhop_fate null.test
		mxhop_transport transport.test
		mxhop_trace ok.test
		mxhop_route
		mxhop_route rcpt.test /etc/mxhop/mxhop.cf vip@rcpt.test
		fork
		mxhop_route c13.test
		mxhop_trace c14.test
	END
	# Before the fork, in the child, and in the parent after it.
	assert_eq "$(grep -c '^0 <;mx1.test$' "$SCRATCH/out")" 3
}

case_no_symbol_of_exim_is_needed() {
	assert_eq "$(nm -D --defined-only "$EXIM_PLUGIN" | awk '{ print $3 }' | sort | paste -sd ' ')" \
		'mxhop_fate mxhop_rest mxhop_route mxhop_trace mxhop_transport'
	assert_status 0 ldd -r "$EXIM_PLUGIN"
	refute_match "$OUTPUT" 'undefined symbol'
	refute_match "$(ldd "$EXIM_PLUGIN")" 'libldap|libjansson'
}
