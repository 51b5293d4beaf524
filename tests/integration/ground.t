# shellcheck shell=bash disable=SC2016
# The ground itself: that the daemons, the namespaces and the helpers do what
# the other files take for granted, with nothing of mxhop in it.

setup() {
	zone example.test <<-'END'
		@    MX 10 mx1
		@    MX 20 mx2
		mx1  A 192.0.2.1
		mx2  A 192.0.2.2
		mx2  AAAA 2001:db8::2
	END
	zone null.test <<<'@ MX 0 .'
	forward_domain faulty.test 127.0.0.54
	start_faultdns faulty 127.0.0.54:53 <<-'END'
		mx.faulty.test    MX  mx 10 a.faulty.test ttl=60 mx 20 b\044c.faulty.test
		alias.faulty.test *   cname mx.faulty.test
		fail.faulty.test  *   rcode=servfail
	END
	start_dns
	start_postfix
}

case_nothing_of_the_machine_is_visible() {
	assert_eq "$(ip -o link | wc -l)" 1 "interfaces"
	assert_eq "$(postconf -h mail_version)" 3.7.11
	assert_eq "$(hostname)" mta.mxhop.test
	assert_match "$(findmnt -no FSTYPE /etc/postfix)" tmpfs
}

case_nsd_and_unbound_answer() {
	assert_eq "$(dig +short example.test MX | sort)" \
		$'10 mx1.example.test.\n20 mx2.example.test.'
	assert_eq "$(dig +short mx2.example.test AAAA)" 2001:db8::2
	assert_match "$(dig nowhere.invalid)" 'status: NXDOMAIN'
	assert_eq "$(dns_queries example.test MX)" 1
	assert_eq "$(dns_queries mx1.example.test A)" 0
}

case_second_host_because_the_first_refuses() {
	start_sink 192.0.2.2 -h mx2.example.test
	send_mail alice@mta.mxhop.test user@example.test
	wait_for_log 'connect to mx1.example.test\[192.0.2.1\]:25: Connection refused'
	wait_for_log 'to=<user@example.test>, relay=mx2.example.test\[192.0.2.2\]:25.*status=sent'
	wait_queue_empty
	assert_eq "$(sink_messages 192.0.2.2)" 1
	assert_eq "$(sink_connections 192.0.2.2)" 1
	assert_eq "$(sink_recipients 192.0.2.2)" user@example.test
}

case_ipv6_host() {
	start_sink 2001:db8::2
	postfix_set 'smtp_address_preference = ipv6'
	send_mail alice@mta.mxhop.test user@example.test
	wait_for_log 'relay=mx2.example.test\[2001:db8::2\]:25.*status=sent'
	postfix_unset smtp_address_preference
}

case_null_mx_is_refused_at_rcpt() {
	postfix_set 'smtpd_recipient_restrictions = reject_unknown_recipient_domain'
	assert_status 1 smtp_try alice@mta.mxhop.test user@null.test
	assert_match "$OUTPUT" '^556 5\.1\.10 .*nullMX'
	assert_status 0 smtp_try alice@mta.mxhop.test user@example.test
	postfix_unset smtpd_recipient_restrictions
}

case_sinks_that_refuse_recipients() {
	start_sink 192.0.2.1 -r rcpt
	start_sink 192.0.2.2 -f rcpt
	send_mail alice@mta.mxhop.test user@example.test
	wait_for_log 'to=<user@example.test>.*192.0.2.2.*status=bounced'
	wait_queue_empty
	assert_eq "$(sink_connections 192.0.2.1)" 1
	assert_eq "$(sink_connections 192.0.2.2)" 1
}

case_local_delivery() {
	send_mail bob@mta.mxhop.test alice+tag@localhost
	wait_for_log 'to=<alice\+tag@localhost>.*status=sent \(delivered to mailbox\)'
	assert_match "$(</var/mail/alice)" 'Subject: test'
}

case_lmdb_transport_in_the_jail() {
	start_sink 192.0.2.9:2525
	echo 'routed.test smtp:[192.0.2.9]:2525' >/etc/postfix/routes
	postmap lmdb:/etc/postfix/routes
	postfix_set 'transport_maps = lmdb:/etc/postfix/routes'
	assert_match "$(postconf -M rewrite/unix)" ' y +- +- +trivial-rewrite'
	send_mail alice@mta.mxhop.test user@routed.test
	wait_for_log 'relay=192.0.2.9\[192.0.2.9\]:2525.*status=sent'
	assert_eq "$(sink_messages 192.0.2.9:2525)" 1
	postfix_unset transport_maps
}

case_what_a_case_starts_ends_with_it() {
	not_alive sink-192.0.2.9:2525
	alive faulty
}

case_cdb_table() {
	echo 'key value' >/etc/postfix/table
	postmap cdb:/etc/postfix/table
	assert_eq "$(postmap -q key cdb:/etc/postfix/table)" value
	assert_status 1 postmap -q other cdb:/etc/postfix/table
}

case_drain_after_an_outage() {
	send_mail alice@mta.mxhop.test user@example.test
	wait_for_log 'to=<user@example.test>.*status=deferred'
	start_sink 192.0.2.1
	drain
	assert_eq "$(sink_messages 192.0.2.1)" 1
}

case_faultdns_behind_unbound() {
	assert_eq "$(dig +short mx.faulty.test MX | sort)" \
		$'10 a.faulty.test.\n20 b,c.faulty.test.'
	assert_match "$(dig alias.faulty.test MX)" 'CNAME[[:space:]]+mx.faulty.test'
	assert_match "$(dig fail.faulty.test MX)" 'status: SERVFAIL'
	assert_eq "$(dns_queries mx.faulty.test MX faulty)" 1
	dig +short mx.faulty.test MX
	assert_eq "$(dns_queries mx.faulty.test MX faulty)" 1 "queries after a cached one"
	dns_flush
	dig +short mx.faulty.test MX
	assert_eq "$(dns_queries mx.faulty.test MX faulty)" 2 "queries after a flush"
}

# The faulty server alone: dig says what a client sees.
ask() { # NAME [DIG-OPTION...]
	local name=$1
	shift
	dig +tries=1 +time=1 +nocookie "$@" @127.0.0.55 -p 5300 "$name" MX 2>&1 || true
}

case_faultdns_faults() {
	local from
	start_faultdns bad 127.0.0.55:5300 <<-'END'
		id.test       MX wrong-id mx 10 a.test
		id2.test      MX wrong-id then-good mx 10 a.test
		question.test MX wrong-question mx 10 a.test
		port.test     MX wrong-port mx 10 a.test
		port2.test    MX wrong-port then-good mx 10 a.test
		source.test   MX wrong-source=127.0.0.99 mx 10 a.test
		tc.test       MX truncate mx 10 a.test
		tc2.test      MX truncate-forever mx 10 a.test
		cut.test      MX cut=30 mx 10 a.test
		garbage.test  MX garbage=100
		edns.test     MX formerr-if-edns mx 10 a.test
		once.test     MX times=1 rcode=refused
		once.test     MX mx 10 a.test ad
		many.test     MX manymx 600 many.test
		loop.test     MX hexmx 10 c029
		soa.test      MX soa 77
		*.silent.test *  silence
		slow.test     MX slow-drip=10 mx 10 a.test
		hush.test     MX truncate tcp-silent mx 10 a.test
		close.test    MX truncate tcp-close mx 10 a.test
		short.test    MX truncate tcp-cut=20 mx 10 a.test
	END
	assert_match "$(ask id.test)" 'ID mismatch'
	assert_match "$(ask id2.test)" '10 a\.test'
	assert_match "$(ask question.test)" 'Question section mismatch'
	assert_match "$(ask port.test)" 'timed out'
	assert_match "$(ask port2.test)" '10 a\.test'
	assert_match "$(ask source.test)" 'timed out'
	assert_match "$(ask tc.test +ignore)" 'flags: qr tc rd.* ANSWER: 0'
	assert_match "$(ask tc.test)" '10 a\.test'
	assert_match "$(ask tc2.test +tcp)" 'flags: qr tc rd'
	assert_match "$(ask cut.test)" '(malformed|corrupt|unexpected end)'
	refute_match "$(ask garbage.test)" 'status: NOERROR'
	assert_match "$(ask edns.test)" 'status: FORMERR'
	assert_match "$(ask edns.test +noedns)" '10 a\.test'
	assert_match "$(ask once.test)" 'REFUSED'
	assert_match "$(ask once.test)" 'flags: qr rd ra ad'
	assert_match "$(ask many.test)" 'Truncated.*ANSWER: 600'
	assert_match "$(ask loop.test)" '(bad compression|malformed|FORMERR)'
	assert_match "$(ask soa.test)" 'SOA.* 77'
	assert_match "$(ask nobody.test)" 'status: NXDOMAIN'
	assert_match "$(ask a.b.silent.test)" '(timed out|no servers could be reached)'
	assert_match "$(ask slow.test +tcp)" '10 a\.test'
	refute_match "$(ask hush.test)" '10 a\.test'
	refute_match "$(ask close.test)" '10 a\.test'
	refute_match "$(ask short.test)" '10 a\.test'
	assert_eq "$(dns_queries edns.test MX bad)" 2
	faultdns_rules bad <<<'id.test MX delay=300 mx 5 new.test'
	from=$(now_ms)
	assert_match "$(ask id.test)" '5 new\.test'
	[[ $(($(now_ms) - from)) -ge 300 ]] || fail "not delayed"
}
