# shellcheck shell=bash disable=SC2016
# What name servers may do to us: fail, lie, stall, or send names that are not
# host names. Mostly the command against the faulty server, with a short budget;
# what an MTA makes of it is shown with Postfix at the end.

ME=alice@mta.mxhop.test

setup() {
	zone three.test <<-'END'
		@ MX 10 a
		@ MX 20 b
		@ MX 30 c
		a A 192.0.2.1
		b A 192.0.2.2
		c A 192.0.2.3
		c AAAA 2001:db8::3
	END
	zone null.test <<<'@ MX 0 .'
	zone sts.test < <(sts_zone)
	start_dns
	use_mxhop
	faulty_conf
}

conf() { # LINE...
	printf '%s\n' "$@" >/etc/mxhop/mxhop.cf
	[[ $* == *'cache ='* ]] || echo 'cache = memory' >>/etc/mxhop/mxhop.cf
}

# Domains with all kinds of texts.
sts_zone() {
	local name long
	long=$(printf 'x%.0s' {1..200})
	for name in plain none two version long cname other badid; do
		printf '%s MX 10 a.three.test.\n' "$name"
	done
	cat <<-END
		_mta-sts.plain   TXT "v=STSv1; id=20160831085700Z;"
		_mta-sts.two     TXT "v=STSv1; id=1;"
		_mta-sts.two     TXT "v=STSv1; id=2;"
		_mta-sts.version TXT "v=STSv2; id=1;"
		_mta-sts.long    TXT "v=STSv1; id=long; x=$long" "$long"
		_mta-sts.cname   CNAME _mta-sts.plain
		_mta-sts.other   TXT "v=spf1 -all"
		_mta-sts.other   TXT "v=STSv1; " "id=1"
		_mta-sts.badid   TXT "v=STSv1; id=2016-08-31"
	END
}

faulty_conf() { # LINE...
	conf 'dns_servers = 127.0.0.54:5300' "$@"
	[[ $* == *lookup_budget* ]] || echo 'lookup_budget = 700ms' >>/etc/mxhop/mxhop.cf
}

lookup() { # KEY
	{ mxhop lookup --format postfix "$1" 2>&1 || true; } | folded
}

# --- failures are never "no MX" ---

failing_rules() {
	cat <<-'END'
		servfail.test MX rcode=servfail
		refused.test  MX rcode=refused
		notimp.test   MX rcode=notimp
		formerr.test  MX rcode=formerr
		silent.test   MX silence
		loop.test     MX cname loop.test
		loop1.test    MX cname loop2.test
		loop2.test    MX cname loop1.test
		wrongid.test  MX wrong-id mx 10 evil.test
		wrongq.test   MX wrong-question mx 10 evil.test
		port.test     MX wrong-port mx 10 evil.test
		source.test   MX wrong-source=127.0.0.99 mx 10 evil.test
		tc.test       MX truncate-forever mx 10 evil.test
		hush.test     MX truncate tcp-silent mx 10 evil.test
		close.test    MX truncate tcp-close mx 10 evil.test
		short.test    MX truncate tcp-cut=20 mx 10 evil.test
		drip.test     MX truncate slow-drip=100 mx 10 evil.test
		garbage.test  MX garbage=100
		cut.test      MX cut=40 mx 10 evil.test
		counts.test   MX counts=3 mx 10 evil.test
		pointer.test  MX hexmx 10 c0ff
		late.test     MX delay=5000 mx 10 evil.test
		*.test        A  a 192.0.2.9
	END
}

# Neither the exchange of a spoilt answer nor the domain's own address, within
# the budget; and a failure may be told as such.
case_a_spoilt_answer_is_a_failure() {
	local name from ms
	start_faultdns faulty 127.0.0.54:5300 < <(failing_rules)
	for name in $(failing_rules | sed -nE 's/^([a-z0-9]+)\.test .*/\1.test/p'); do
		from=$(now_ms)
		assert_status 1 mxhop lookup --no-main-cf "$name"
		ms=$(($(now_ms) - from))
		refute_match "$OUTPUT" "evil|$name +dns|route" "$name"
		[[ $ms -lt 2500 ]] || fail "$name took $ms ms"
		[[ $(dns_queries "$name" MX faulty) -ge 1 ]] || fail "$name: not asked"
		assert_eq "$(dns_queries "$name" A faulty)" 0 "$name: queries for A"
	done
}

case_a_failure_can_be_deferred() {
	local name
	start_faultdns faulty 127.0.0.54:5300 < <(failing_rules)
	faulty_conf 'on_dns_failure = defer' 'on_cold = defer'
	for name in servfail refused garbage loop1 silent wrongid; do
		assert_status 75 mxhop lookup --format postfix "$name.test"
		assert_match "$OUTPUT" '^\./retry:4\.[0-9.]+ [ -~]+$' "$name"
	done
	faulty_conf
}

case_a_dead_server() {
	assert_status 1 mxhop lookup --format json anything.test
	assert_match "$OUTPUT" '"disposition":"pass"'
	assert_status 1 mxhop trace anything.test
	assert_match "$OUTPUT" 'Connection refused|no answer'
}

case_the_trace_says_what_failed() {
	start_faultdns faulty 127.0.0.54:5300 < <(failing_rules)
	assert_status 1 mxhop trace servfail.test
	assert_match "$OUTPUT" 'SERVFAIL from 127\.0\.0\.54:5300'
	assert_status 1 mxhop trace refused.test
	assert_match "$OUTPUT" 'REFUSED from 127\.0\.0\.54:5300'
}

# The second server is asked when the first fails or is silent.
case_another_server_helps_out() {
	local first
	start_faultdns faulty 127.0.0.54:5300 <<<'* * rcode=servfail'
	start_faultdns silent 127.0.0.55:5300 <<<'* * silence'
	for first in 127.0.0.54:5300 127.0.0.55:5300 127.0.0.56:5300; do
		conf "dns_servers = $first 127.0.0.1:53"
		assert_eq "$(lookup three.test)" ':[a.three.test], [b.three.test], [c.three.test]' "$first"
	done
	faulty_conf
}

# --- noise around a good answer ---

case_good_answers_are_taken() {
	local name
	start_faultdns faulty 127.0.0.54:5300 <<-'END'
		good.test    MX mx 10 mx.test
		twice.test   MX duplicate=3 mx 10 mx.test
		id.test      MX wrong-id then-good mx 10 mx.test
		port.test    MX wrong-port then-good mx 10 mx.test
		q.test       MX wrong-question then-good mx 10 mx.test
		tc.test      MX truncate mx 10 mx.test
		drip.test    MX truncate slow-drip=1 mx 10 mx.test
		edns.test    MX formerr-if-edns mx 10 mx.test
		noopt.test   MX no-opt mx 10 mx.test
		late.test    MX delay=300 mx 10 mx.test
		again.test   MX times=1 silence
		again.test   MX mx 10 mx.test
		alias.test   MX cname good.test owner=good.test mx 10 mx.test
		alias2.test  MX cname good.test
		double.test  MX mx 10 mx.test mx 10 mx.test mx 20 MX.test
		mx.test      A  a 192.0.2.1
	END
	for name in good twice id port q tc drip edns noopt late again alias alias2 double; do
		assert_eq "$(lookup "$name.test")" ':[mx.test]' "$name.test"
	done
}

# Records of a name that was not asked for do not count, in any section.
case_an_answer_from_another_name() {
	start_faultdns faulty 127.0.0.54:5300 <<-'END'
		other.test MX owner=victim.test mx 10 evil.test
		mixed.test MX mx 10 mx.test owner=victim.test mx 5 evil.test
		chain.test MX cname good.test owner=victim.test mx 5 evil.test
		glue.test  MX mx 10 mx.test owner=mx.test a 192.0.2.250
		good.test  MX mx 10 mx.test
		mx.test    A  a 192.0.2.1
		evil.test  A  a 192.0.2.66
	END
	refute_match "$(lookup other.test)" evil
	assert_eq "$(lookup mixed.test)" ':[mx.test]'
	assert_eq "$(lookup chain.test)" ':[mx.test]'
	# 192.0.2.250 is ours: it would be dropped, were the record believed.
	assert_eq "$(lookup glue.test)" ':[mx.test]'
	refute_match "$(lookup victim.test)" evil
}

case_host_whose_address_lookup_fails_stays() {
	start_faultdns faulty 127.0.0.54:5300 <<-'END'
		d.test    MX mx 10 fail.test mx 20 mx.test
		fail.test *  rcode=servfail
		mx.test   A  a 192.0.2.1
	END
	assert_eq "$(lookup d.test)" ':[fail.test], [mx.test]'
	assert_eq "$(mxhop lookup --format exim d.test)" '<;mx.test'
}

# --- exchanges that are not host names ---

# One exchange for each byte that no host name has, in a label and as a label,
# each with an address, and preferred to the good one.
odd_names() {
	local i
	for i in {0..255}; do
		case $i in # - 0-9 A-Z _ a-z
		45 | 4[89] | 5[0-7] | 6[5-9] | [78][0-9] | 90 | 95 | 9[7-9] | 1[01][0-9] | 12[0-2])
			continue
			;;
		esac
		printf ' mx 5 x\\%03dy.odd.test mx 6 \\%03d.odd.test' "$i" "$i"
	done
}

assert_clean() { # TEXT WHAT
	local LC_ALL=C
	refute_match "$1" $'[\x01-\x09\x0b-\x1f\x7f-\xff]' "$2: bytes"
}

case_odd_exchanges_never_reach_a_list() {
	local format
	{
		printf 'odd.test MX'
		odd_names
		printf ' mx 1 [192.0.2.1] mx 1 192.0.2.1 mx 1 2001\\058db8\\058\\0581'
		printf ' mx 1 a\\044b.test mx 1 a\\032b.test mx 1 ${run{/bin/sh}}'
		printf ' mx 1 *.odd.test mx 1 -x.odd.test mx 90 good.odd.test\n'
		printf '* A a 192.0.2.1\n'
	} >"$SCRATCH/odd.rules"
	start_faultdns faulty 127.0.0.54:5300 <"$SCRATCH/odd.rules"
	[[ $(dig +tcp @127.0.0.54 -p 5300 odd.test MX +short | wc -l) -gt 300 ]] ||
		fail "the server does not send them all"
	faulty_conf 'max_hops = 100' 'lookup_budget = 5s'
	assert_eq "$(lookup odd.test)" ':[good.odd.test]'
	assert_eq "$(mxhop lookup --format exim odd.test)" '<;good.odd.test'
	assert_match "$(mxhop lookup --format json odd.test)" \
		'"hops":\[\{"host":"good.odd.test",[^]]*\}\]'
	for format in text json postfix exim; do
		assert_clean "$(mxhop lookup --format "$format" odd.test)" "$format"
	done
	assert_clean "$(mxhop trace odd.test)" trace
	# None of them is worth a query.
	assert_eq "$(since_mark "$SCRATCH/faulty.log" | grep -E ' (A|AAAA) ' |
		grep -cv ' good.odd.test ')" 0 "queries for odd names"
	faulty_conf
}

case_only_odd_exchanges() {
	start_faultdns faulty 127.0.0.54:5300 <<-'END'
		odd.test MX mx 10 a\044b.odd.test mx 20 [192.0.2.1] mx 30 192.0.2.1
		*        A  a 192.0.2.1
	END
	assert_status 1 mxhop lookup odd.test
	assert_status 1 mxhop trace odd.test
	assert_match "$OUTPUT" 'not a host name'
	faulty_conf 'on_no_host = reject'
	assert_status 69 mxhop lookup --format postfix odd.test
	assert_match "$OUTPUT" '^error:5\.4\.4 '
	faulty_conf
}

# --- what a lookup costs ---

total_queries() {
	since_mark "$SCRATCH/faulty.log" | grep -cE '^[0-9.]+ (udp|tcp) ' || true
}

cost_rules() { # DELAY
	printf '%s\n' "*.one.test MX delay=$1 mx 10 a.test mx 20 b.test mx 30 c.test" \
		"*.test A delay=$1 a 192.0.2.1" 'a.test * a 192.0.2.1' \
		"b.test A delay=$1 a 192.0.2.2" "b.test AAAA delay=$1" \
		"c.test A delay=$1 a 192.0.2.3" "c.test AAAA delay=$1" |
		sed "s/^a.test \* a/a.test A delay=$1 a/"
}

case_a_cold_domain_costs_one_mx_and_two_a_host() {
	start_faultdns faulty 127.0.0.54:5300 < <(cost_rules 0)
	assert_eq "$(lookup x.one.test)" ':[a.test], [b.test], [c.test]'
	assert_eq "$(dns_queries x.one.test MX faulty)" 1
	assert_eq "$(total_queries)" 7 "queries"
}

signed_rules() {
	cat <<-'END'
		dane.test            MX   ad mx 10 a.dane.test mx 20 b.dane.test
		a.dane.test          A    ad a 192.0.2.1
		a.dane.test          AAAA ad soa 300
		_25._tcp.a.dane.test TLSA ad tlsa 3 1 1 32
		b.dane.test          A    ad a 192.0.2.2
		b.dane.test          AAAA ad aaaa 2001:db8::2
		_25._tcp.b.dane.test TLSA ad tlsa 2 0 1 32
	END
}

# The text beside the MX set, TLSA records behind signed addresses; and nothing
# at all where that is not wanted.
case_tls_costs_one_query_a_domain_and_one_a_signed_host() {
	start_faultdns faulty 127.0.0.54:5300 < <(signed_rules)
	assert_eq "$(lookup dane.test)" ':[a.dane.test], [b.dane.test]'
	assert_eq "$(total_queries)" 5 "queries"
	faulty_conf 'mta_sts = watch'
	mark
	assert_eq "$(lookup dane.test)" ':[a.dane.test], [b.dane.test]'
	assert_eq "$(dns_queries _mta-sts.dane.test TXT faulty)" 1
	assert_eq "$(total_queries)" 8 "queries, mta_sts = watch"
	faultdns_rules faulty < <(signed_rules | sed 's/ ad / /')
	mark
	assert_eq "$(lookup dane.test)" ':[a.dane.test], [b.dane.test]'
	assert_eq "$(total_queries)" 6 "queries without signatures"
	faulty_conf
}

case_one_family_costs_one_query_a_host() {
	start_faultdns faulty 127.0.0.54:5300 < <(cost_rules 0)
	faulty_conf 'address_families = ipv4'
	lookup x.one.test
	assert_eq "$(total_queries)" 4 "queries"
	faulty_conf
}

case_known_hosts_cost_nothing() {
	start_faultdns faulty 127.0.0.54:5300 < <(cost_rules 0)
	printf '%s\n' {x,y,x,y}.one.test | mxhop lookup --format postfix - >"$SCRATCH/answers"
	assert_eq "$(wc -l <"$SCRATCH/answers")" 4 "answers"
	assert_eq "$(dns_queries x.one.test MX faulty)" 1
	assert_eq "$(dns_queries y.one.test MX faulty)" 1
	assert_eq "$(total_queries)" 8 "queries"
}

# Ten domains on the same hosts, 150 ms a round trip: eleven of them, not twenty.
case_one_round_trip_where_hosts_are_known() {
	local from ms
	start_faultdns faulty 127.0.0.54:5300 < <(cost_rules 150)
	from=$(now_ms)
	printf '%s\n' d{0..9}.one.test | mxhop lookup --no-main-cf --format postfix - >"$SCRATCH/answers"
	ms=$(($(now_ms) - from))
	assert_eq "$(wc -l <"$SCRATCH/answers")" 10 "answers"
	[[ $ms -ge 1600 && $ms -lt 2600 ]] || fail "$ms ms for eleven round trips"
}

case_without_a_cache_each_lookup_asks() {
	start_faultdns faulty 127.0.0.54:5300 < <(cost_rules 0)
	faulty_conf 'cache = none'
	printf '%s\n' x.one.test x.one.test | mxhop lookup --format postfix - >"$SCRATCH/answers"
	assert_eq "$(dns_queries x.one.test MX faulty)" 2
	faulty_conf
}

case_other_outcomes_cost_one_query() {
	start_faultdns faulty 127.0.0.54:5300 <<-'END'
		null.test MX mx 0 .
		alias.test MX cname null.test owner=null.test mx 0 .
	END
	assert_status 69 mxhop lookup null.test
	assert_status 69 mxhop lookup alias.test
	assert_status 1 mxhop lookup nowhere.test
	assert_eq "$(total_queries)" 3 "queries"
}

# At most 2 x max_hops exchanges are examined, and 20 to finish a tie.
case_six_hundred_exchanges() {
	start_faultdns faulty 127.0.0.54:5300 <<-'END'
		many.test   MX manymx 600 many.test
		*.many.test A  a 192.0.2.1
		*.many.test AAAA
	END
	assert_match "$(lookup many.test)" '^:\[m[0-9]+\.many\.test\](, \[m[0-9]+\.many\.test\]){2}$'
	[[ $(total_queries) -le 54 ]] || fail "$(total_queries) queries"
}

# Strangers choose domains: one costs at most 64 queries, whatever max_hops says
# (31 exchanges, both families; MX over UDP and TCP), asked once or twice.
case_many_hops_cost_no_more() {
	start_faultdns faulty 127.0.0.54:5300 <<-'END'
		many.test   MX manymx 600 many.test
		*.many.test A  a 192.0.2.1
		*.many.test AAAA
	END
	faulty_conf 'max_hops = 50' 'lookup_budget = 5s'
	assert_status 0 mxhop lookup --format postfix many.test many.test
	assert_match "$(folded <<<"$OUTPUT")" \
		'^(many.test.:\[m[0-9]+\.many\.test\](, \[m[0-9]+\.many\.test\]){30}(\s|$)+){2}$'
	[[ $(total_queries) -le 64 ]] || fail "$(total_queries) queries"
	faulty_conf
}

# --- what DNS says about TLS ---

# A cache that `cache get` can look into.
tls_conf() { # LINE...
	conf 'mta_sts = watch' 'cache = /run/mxhop/tls' 'cache_owner = postfix' "$@"
	mxhop cache flush >/dev/null
}

# What was learnt: "DOMAIN TEXT", and a line "HOST TLSA" for each of its hosts.
assert_learnt() { # DOMAIN EXPECTED
	mxhop lookup "$1" >/dev/null || true
	assert_eq "$(mxhop cache get --format json "$1" | jq -r '
		"\(.domain) \(.sts.state // "unknown")\(if .sts.id then " \(.sts.id)" else "" end)",
		(.hosts[] | select(.tlsa) |
			"\(.host) \(.tlsa.state)\(if .tlsa.trust_anchor then " ta" else "" end)")')" \
		"$2" "$1"
}

case_texts_of_mta_sts() {
	tls_conf
	assert_learnt plain.sts.test 'plain.sts.test id 20160831085700Z'
	assert_learnt none.sts.test 'none.sts.test none'
	assert_learnt two.sts.test 'two.sts.test none'
	assert_learnt version.sts.test 'version.sts.test none'
	assert_learnt long.sts.test 'long.sts.test id long'
	assert_learnt cname.sts.test 'cname.sts.test id 20160831085700Z'
	assert_learnt other.sts.test 'other.sts.test id 1'
	assert_learnt badid.sts.test 'badid.sts.test none'
	assert_match "$(mxhop cache get plain.sts.test)" \
		'^plain.sts.test: fresh for [0-9]+ s: hosts.*, MTA-STS id 20160831085700Z'
	refute_match "$(mxhop cache get --format json plain.sts.test)" tlsa
	faulty_conf
}

# Whatever becomes of the text, the domain has its hosts.
case_a_text_that_fails_fails_no_domain() {
	local name
	start_faultdns faulty 127.0.0.54:5300 <<-'END'
		_mta-sts.servfail.test TXT rcode=servfail
		_mta-sts.twice.test    TXT rcode=servfail
		_mta-sts.refused.test  TXT rcode=refused
		_mta-sts.garbage.test  TXT garbage=100
		_mta-sts.loop.test     TXT cname _mta-sts.loop.test
		_mta-sts.strings.test  TXT rdata TXT 20763d
		_mta-sts.wrongq.test   TXT wrong-question txt v=STSv1;id=1
		_mta-sts.silent.test   TXT silence
		_mta-sts.late.test     TXT delay=300 txt v=STSv1;id=1
		_mta-sts.tc.test       TXT truncate txt v=STSv1;+id=+2
		_mta-sts.ill.test      TXT txt v=STSv1;id=3
		ill.test               MX  rcode=servfail
		*.test MX mx 10 a.test
		a.test A  a 192.0.2.1
		a.test AAAA soa 300
	END
	tls_conf 'dns_servers = 127.0.0.54:5300' 'lookup_budget = 1500ms'
	for name in servfail refused garbage loop strings wrongq silent; do
		assert_eq "$(lookup $name.test)" ':[a.test]' "$name"
		assert_learnt $name.test "$name.test failed"
	done
	for name in 'late 1' 'tc 2'; do
		assert_eq "$(lookup "${name% *}.test")" ':[a.test]' "$name"
		assert_learnt "${name% *}.test" "${name% *}.test id ${name#* }"
	done
	assert_learnt ill.test 'ill.test id 3'
	# It is not asked for again before its time.
	printf '%s\n' twice.test twice.test | mxhop lookup --format postfix - >"$SCRATCH/answers"
	assert_eq "$(dns_queries _mta-sts.twice.test TXT faulty)" 1
	faulty_conf
}

case_tlsa_of_signed_hosts() {
	start_faultdns faulty 127.0.0.54:5300 <<-'END'
		states.test               MX   ad mx 1 usable.test mx 2 anchor.test mx 3 pkix.test mx 4 digest.test
		two.test                  MX   ad mx 1 none.test mx 2 fails.test mx 3 bogus.test mx 4 plain.test
		three.test                MX   ad mx 1 alias.test mx 2 own.test
		unsigned.test             MX   mx 1 usable.test
		_25._tcp.usable.test      TLSA ad tlsa 0 0 1 32 tlsa 3 1 1 32
		_25._tcp.anchor.test      TLSA ad tlsa 2 1 2 64
		_25._tcp.pkix.test        TLSA ad tlsa 1 1 1 32
		_25._tcp.digest.test      TLSA ad tlsa 3 1 1 31
		_25._tcp.none.test        TLSA ad rcode=nxdomain soa 300
		_25._tcp.fails.test       TLSA rcode=servfail
		_25._tcp.bogus.test       TLSA tlsa 3 1 1 32
		alias.test                *    ad cname usable.test owner=usable.test a 192.0.2.1
		own.test                  *    ad cname none.test owner=none.test a 192.0.2.1
		_25._tcp.own.test         TLSA ad tlsa 2 0 1 32
		plain.test                A    a 192.0.2.1
		plain.test                AAAA soa 300
		*.test                    A    ad a 192.0.2.1
		*.test                    AAAA ad soa 300
	END
	tls_conf 'dns_servers = 127.0.0.54:5300' 'max_hops = 10'
	assert_learnt states.test 'states.test none
usable.test usable
anchor.test usable ta
pkix.test unusable
digest.test unusable'
	assert_learnt two.test 'two.test none
none.test none
fails.test failed
bogus.test none
plain.test none'
	assert_eq "$(dns_queries _25._tcp.plain.test TLSA faulty)" 0
	assert_learnt three.test 'three.test none
alias.test usable
own.test usable ta'
	assert_eq "$(dns_queries _25._tcp.alias.test TLSA faulty)" 0
	assert_learnt unsigned.test 'unsigned.test none'
	assert_match "$(mxhop cache get states.test)" \
		'2  anchor.test  192.0.2.1 \(fresh for [0-9]+ s\), TLSA usable with DANE-TA'

	# Another server, whose AD bit nobody trusts.
	start_faultdns remote 192.0.2.250:5300 <<-'END'
		far.test        MX ad mx 1 a.far.test
		*.far.test      *  ad a 192.0.2.1
	END
	tls_conf 'dns_servers = 192.0.2.250:5300'
	assert_learnt far.test 'far.test none'
	assert_eq "$(dns_queries _25._tcp.a.far.test TLSA remote)" 0
	faulty_conf
}

# Who forges answers has to guess the port and the id anew for each query, in a
# process that asks many. A few ports may be the same by chance.
case_every_query_has_a_fresh_port() {
	local ports
	start_faultdns faulty 127.0.0.54:5300 <<-'END'
		*.one.test MX mx 10 a.test
		a.test * a 192.0.2.1
	END
	faulty_conf
	seq -f 'd%.0f.one.test' 500 | assert_status 0 mxhop survey -
	ports=$(since_mark "$SCRATCH/faulty.log" | awk '$2 == "udp" { print $NF }')
	[[ $(wc -l <<<"$ports") -ge 500 ]] || fail "few queries"
	[[ $(sort -u <<<"$ports" | wc -l) -ge 475 ]] ||
		fail "$(sort -u <<<"$ports" | wc -l) ports for $(wc -l <<<"$ports") queries"
}

# --- resolv.conf ---

case_resolv_conf_is_used() {
	conf 'dns_servers ='
	assert_eq "$(lookup three.test)" ':[a.three.test], [b.three.test], [c.three.test]'
	assert_eq "$(dns_queries three.test MX)" 1
	faulty_conf
}

# One process, another server before its second key.
case_a_changed_resolv_conf_is_noticed() {
	local pid
	conf 'lookup_budget = 2s'
	start_faultdns new 127.0.0.57:53 <<-'END'
		later.test MX mx 10 new.test
		new.test   A  a 192.0.2.1
	END
	mkfifo "$SCRATCH/keys"
	mxhop lookup --format postfix - <"$SCRATCH/keys" >"$SCRATCH/answers" 2>&1 &
	pid=$!
	exec 8>"$SCRATCH/keys"
	echo three.test >&8
	eventually 5 three_was_asked || fail "three.test was not asked"
	set_resolver 127.0.0.57
	sleep 1.5
	echo later.test >&8
	exec 8>&-
	wait "$pid" || fail "$(<"$SCRATCH/answers")"
	set_resolver 127.0.0.1
	assert_match "$(folded <"$SCRATCH/answers")" $'three.test\t:\\[a.three.test\\]'
	assert_match "$(<"$SCRATCH/answers")" $'later.test\t:\\[new.test\\]'
	assert_match "$(<"$SCRATCH/answers")" 'resolv.conf changed'
	faulty_conf
}

three_was_asked() { [[ $(dns_queries c.three.test AAAA) -ge 1 ]]; }

case_no_resolv_conf() {
	conf 'lookup_budget = 300ms'
	mv /etc/resolv.conf /etc/resolv.conf.away
	# glibc then asks this machine, where Unbound listens.
	assert_status 0 mxhop lookup three.test
	mv /etc/resolv.conf.away /etc/resolv.conf
	faulty_conf
}

# --- the command: statuses and JSON ---

case_exit_statuses() {
	conf 'on_dns_failure = defer'
	assert_status 0 mxhop lookup three.test
	assert_status 0 mxhop lookup user@three.test
	assert_status 1 mxhop lookup nowhere.invalid
	assert_status 1 mxhop lookup '[192.0.2.1]'
	assert_status 69 mxhop lookup null.test
	assert_status 69 mxhop trace null.test
	assert_match "$OUTPUT" 'exim +:fail: 550 5\.1\.10 Domain null\.test'
	assert_status 69 mxhop lookup three.test null.test nowhere.invalid
	conf 'dns_servers = 127.0.0.56:53' 'on_dns_failure = defer'
	assert_status 75 mxhop lookup three.test
	assert_status 75 mxhop lookup nowhere.invalid '*'
	faulty_conf
}

case_usage_errors() {
	local args
	for args in '' nonsense lookup trace 'lookup --format xml a.test' \
		'lookup --nonsense a.test' '--nonsense lookup a.test' 'trace a b' '-c'; do
		# shellcheck disable=SC2086
		assert_status 64 mxhop $args
		[[ -n $OUTPUT ]] || fail "mxhop $args: says nothing"
	done
}

case_configuration_errors() {
	local line
	for line in 'no_such_parameter = 1' 'max_hops = many' 'max_hops = 0' \
		'dns_servers = localhost' 'dns_servers = 192.0.2.1:99999' 'max_hops' \
		'answer = sometimes' 'bogus_networks = 10.0.0.1/8'; do
		conf '# a comment' "$line"
		assert_status 78 mxhop lookup three.test
		assert_match "$OUTPUT" '/etc/mxhop/mxhop\.cf:2: ' "$line"
	done
	assert_status 78 mxhop -c /nonexistent lookup three.test
	assert_match "$OUTPUT" '/nonexistent'
	faulty_conf
}

case_json() {
	conf 'dns_servers = 127.0.0.1'
	assert_status 0 mxhop lookup --format json three.test
	assert_match "$OUTPUT" '^\{"key":"three.test","domain":"three.test","disposition":"route","transport":"","hops":\[\{"host":"a.three.test","port":null,"preference":10,"source":"dns"\},\{"host":"b.three.test","port":null,"preference":20,"source":"dns"\},\{"host":"c.three.test","port":null,"preference":30,"source":"dns"\}\],"reason":"[ -~]*","override":null,"secure":(true|false),"cache":"miss","ttl":[1-9][0-9]*\}$'
	assert_status 69 mxhop lookup --format json null.test
	assert_match "$OUTPUT" '^\{"key":"null.test","domain":"null.test","disposition":"reject",.*"hops":\[\],.*\}$'
	assert_status 1 mxhop lookup --format json $'a"b\\\x01\xff@[x]'
	assert_match "$OUTPUT" '^\{"key":"a\\"b\\\\\\u0001\\ufffd@\[x\]","domain":"","disposition":"pass",'
	# One object a line; the second time it comes from the cache.
	printf '%s\n' three.test THREE.test. '' null.test |
		mxhop lookup --format json - >"$SCRATCH/json" || true
	assert_eq "$(wc -l <"$SCRATCH/json")" 3 "lines"
	assert_match "$(sed -n 2p "$SCRATCH/json")" '"key":"THREE.test.","domain":"three.test",.*"cache":"hit"'
	faulty_conf
}

case_trace_fits_a_terminal() {
	conf 'dns_servers = 127.0.0.1'
	mxhop trace three.test >"$SCRATCH/trace"
	refute_match "$(cut -c81- "$SCRATCH/trace")" '[^[:space:]]' "beyond column 80"
	assert_match "$(<"$SCRATCH/trace")" 'a\.three\.test'
	assert_match "$(<"$SCRATCH/trace")" 'TTL [1-9][0-9]*'
	faulty_conf
}

# --- what a real Postfix makes of it ---

outage_rules() {
	cat <<-'END'
		servfail.test MX rcode=servfail
		refused.test  MX rcode=refused
		silent.test   MX silence
		*             A  a 192.0.2.30
	END
}

# Nothing bounces, nothing goes to the address record; then DNS is well again.
case_postfix_defers_through_an_outage() {
	local d
	printf 'nameserver 127.0.0.58\noptions timeout:1 attempts:1\n' >/etc/resolv.conf
	start_faultdns outage 127.0.0.58:53 < <(outage_rules)
	use_mxhop_plugin <<<$'cache = memory\nlookup_budget = 200ms'
	start_sink 192.0.2.30
	start_postfix 'transport_maps = mxhop:/etc/mxhop/mxhop.cf'
	send_mail "$ME" user@{servfail,refused,silent}.test
	for d in servfail refused silent; do
		wait_for_log "to=<user@$d.test>.*status=deferred" 20
	done
	stop outage
	send_mail "$ME" user@dead.test
	wait_for_log 'to=<user@dead.test>.*status=deferred' 20
	assert_eq "$(queued | wc -l)" 2 "messages in the queue"
	refute_log 'status=(bounced|sent)|panic|fatal'
	assert_eq "$(sink_connections 192.0.2.30)" 0
	start_faultdns outage 127.0.0.58:53 <<-'END'
		mx.test A a 192.0.2.30
		*.test MX mx 10 mx.test
	END
	sleep 5.5 # a failure is remembered for so long
	drain
	assert_eq "$(sink_recipients 192.0.2.30 | wc -l)" 4
	stop_postfix
	set_resolver 127.0.0.1
	faulty_conf
}
