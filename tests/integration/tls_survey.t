# shellcheck shell=bash disable=SC2016
# `mxhop survey' about TLS: domains with MTA-STS, by the mode of the policy that
# the store has, and with DANE, by the TLSA records of signed zones.

# shellcheck source=tests/integration/tls.sh
. "$ROOT/tests/integration/tls.sh"

setup() {
	tls_certificate good mx.signed.test
	zone signed.test <<-END
		all       MX 10 mx
		some      MX 10 mx
		some      MX 20 bare
		both      MX 10 mx
		none      MX 10 bare
		gone      MX 10 mx
		gone      MX 20 nothing
		mx        A 192.0.2.1
		bare      A 192.0.2.2
		$(tlsa mx good)
		fails     MX 10 bare
		_mta-sts.both  TXT "v=STSv1; id=1;"
		_mta-sts.fails TXT "v=STSv1; id=1;"
	END
	zone plain.test <<-'END'
		enforce   MX 10 mx
		silent    MX 10 mx
		testing   MX 10 mx
		new       MX 10 mx
		none      MX 10 mx
		ended     MX 10 mx
		out       MX 10 mx.signed.test.
		null      MX 0 .
		mx        A 192.0.2.3
		_mta-sts.enforce TXT "v=STSv1; id=1;"
		_mta-sts.testing TXT "v=STSv1; id=1;"
		_mta-sts.new     TXT "v=STSv1; id=1;"
		_mta-sts.none    TXT "v=STSv1; id=1;"
		_mta-sts.ended   TXT "v=STSv1; id=1;"
		_mta-sts.null    TXT "v=STSv1; id=1;"
		_smtp._tls.silent TXT "v=TLSRPTv1; rua=mailto:tls@plain.test"
		_smtp._tls.none   TXT "v=TLSRPTv1; rua=mailto:tls@plain.test"
		_smtp._tls.null   TXT "v=TLSRPTv1; rua=mailto:tls@plain.test"
	END
	sign_zone signed.test
	# One lookup that fails, and does not mean that there is none.
	forge_zone signed.test '/^_mta-sts\.fails.*TXT/s/id=1/id=2/'
	start_signed_dns
	use_mxhop
	compile_policies
	install -d "$STORE"
	"$SCRATCH/policies" "$STORE" <<-'END'
		enforce.plain.test enforce 1 10 3600 mx.plain.test
		silent.plain.test  enforce 1 10 3600 mx.plain.test
		testing.plain.test testing 1 10 3600 mx.plain.test
		none.plain.test    none 1 10 3600
		ended.plain.test   enforce 1 3600 -10 mx.plain.test
		both.signed.test   enforce 1 10 3600 mx.signed.test
	END
	printf '%s\n' {all,some,both,none,gone,fails}.signed.test \
		{enforce,silent,testing,new,none,ended,out,null}.plain.test bad..name \
		>"$SCRATCH/list"
	configure watch
	mxhop cache stats >/dev/null
}

configure() { # MODE
	printf '%s\n' "mta_sts = $1" 'cache = /run/mxhop/tls' 'cache_owner = postfix' \
		>/etc/mxhop/mxhop.cf
}

EXPECTED='13 domains with mail hosts
         3  23.1 %  MTA-STS, mode enforce
         1   7.7 %  MTA-STS, mode testing
         2  15.4 %  MTA-STS, policy not fetched
         1   7.7 %  MTA-STS, lookup failed
         3  23.1 %  DANE, all hosts
         1   7.7 %  DANE, some hosts
         3  23.1 %  neither'

# From DNS, and then from the cache.
case_domains_by_what_they_ask_of_tls() {
	local run
	for run in dns cache; do
		assert_status 0 mxhop survey "$SCRATCH/list"
		assert_eq "$(sed -n '/ domains with mail hosts$/,$p' <<<"$OUTPUT")" "$EXPECTED" "$run"
	done
	configure enforce
	assert_status 0 mxhop survey --format json "$SCRATCH/list"
	assert_eq "$(jq -r 'select(.tls) | "\(.tls) \(.domains)"' <<<"$OUTPUT" | xargs)" \
		'sts-enforce 3 sts-testing 1 sts-unfetched 2 sts-failed 1 dane-all 3 dane-some 1 neither 3'
	configure watch
}

case_without_a_store_dns_is_left() {
	mv "$STORE/policies" "$STORE/away"
	assert_status 0 mxhop survey "$SCRATCH/list"
	assert_match "$OUTPUT" "^mxhop: warning: $STORE/policies: .*; no MTA-STS policy is known"
	assert_match "$OUTPUT" $'\n +0 +0.0 %  MTA-STS, mode enforce'
	assert_match "$OUTPUT" $'\n +6 +46.2 %  MTA-STS, policy not fetched'
	mv "$STORE/away" "$STORE/policies"
}

case_with_off_there_is_no_such_table() {
	configure off
	assert_status 0 mxhop survey "$SCRATCH/list"
	refute_match "$OUTPUT" 'MTA-STS|DANE|neither'
	configure watch
}

# Postfix has the say whether anybody is asked, from 3.10.
case_domains_that_want_reports() {
	use_release trixie
	configure_postfix
	postconf -e 'transport_maps = mxhop:/etc/mxhop/mxhop.cf'
	assert_status 0 mxhop survey "$SCRATCH/list"
	refute_match "$OUTPUT" TLSRPT
	assert_eq "$(dns_queries _smtp._tls.none.plain.test TXT)" 0
	postconf -e 'smtp_tlsrpt_enable = yes'
	assert_status 0 mxhop survey "$SCRATCH/list"
	assert_eq "$(tail -n 1 <<<"$OUTPUT")" \
		'         2  15.4 %  TLSRPT, left to Postfix (tlsrpt = auto)'
	configure off
	assert_status 0 mxhop survey --format json "$SCRATCH/list"
	assert_eq "$(jq -r 'select(.tls) | "\(.tls) \(.domains)"' <<<"$OUTPUT" | xargs)" 'tlsrpt 2'
	echo 'tlsrpt = ignore' >>/etc/mxhop/mxhop.cf
	assert_status 0 mxhop survey "$SCRATCH/list"
	refute_match "$OUTPUT" TLSRPT
}
