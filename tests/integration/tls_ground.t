# shellcheck shell=bash disable=SC2016
# The words of tls.sh: what other tests build on.

# shellcheck source=tests/integration/tls.sh
. "$ROOT/tests/integration/tls.sh"

setup() {
	tls_certificate good mx.signed.test
	tls_certificate other other.test by=foreign
	tls_certificate old mx.signed.test 'until=1 hour ago'
	zone signed.test <<-END
		@  MX 10 mx
		mx A 192.0.2.1
		$(tlsa mx good)
		forged A 192.0.2.2
	END
	zone plain.test <<<'mx A 192.0.2.1'
	sign_zone signed.test
	forge_zone signed.test 's/^(forged.*)192.0.2.2/\1192.0.2.3/'
	start_signed_dns
}

verify() { # NAME HOST
	openssl verify -CAfile "$CA" -verify_hostname "$2" "$SCRATCH/$1.pem"
}

case_certificates() {
	assert_status 0 verify good mx.signed.test
	assert_status 2 verify good mx.plain.test
	assert_match "$OUTPUT" 'ostname mismatch'
	assert_status 2 verify other other.test
	assert_match "$OUTPUT" 'unable to get|self-signed'
	assert_status 2 verify old mx.signed.test
	assert_match "$OUTPUT" 'has expired'
}

header() { # NAME TYPE
	dig @127.0.0.1 +dnssec "$1" "$2" | grep -E '^;; (->>HEADER|flags:)'
}

case_signed_zones() {
	assert_match "$(header signed.test MX)" 'NOERROR.* ad[; ]'
	assert_match "$(header _25._tcp.mx.signed.test TLSA)" 'NOERROR.* ad[; ].*ANSWER: 2'
	assert_match "$(header _25._tcp.none.signed.test TLSA)" 'NXDOMAIN.* ad[; ]'
	assert_match "$(header forged.signed.test A)" SERVFAIL
	assert_match "$(header mx.plain.test A)" NOERROR
	refute_match "$(header mx.plain.test A)" ' ad[; ]'
}

case_tlsa_matches_the_certificate() {
	local record
	start_receiver 192.0.2.1 good
	for record in "$(tlsa mx good)" "$(tlsa mx good 2)"; do
		assert_status 0 openssl s_client -starttls smtp -connect 192.0.2.1:25 \
			-dane_tlsa_domain mx.signed.test -brief \
			-dane_tlsa_rrdata "${record#*TLSA }" -verify_return_error
		assert_match "$OUTPUT" 'Verification: OK' "$record"
	done
	assert_status 1 openssl s_client -starttls smtp -connect 192.0.2.1:25 \
		-dane_tlsa_domain mx.signed.test -brief \
		-dane_tlsa_rrdata "$(tlsa mx other | sed 's/.*TLSA //')" -verify_return_error
}

case_receiver_chooses_by_sni() {
	local name
	start_receiver 192.0.2.1 other mx.signed.test=good
	for name in mx.signed.test=good x.test=other; do
		assert_match "$(openssl s_client -starttls smtp -connect 192.0.2.1:25 \
			-servername "${name%=*}" </dev/null 2>&1)" "CN = certificate ${name#*=}"
	done
	start_receiver 192.0.2.4 -
	assert_status 1 openssl s_client -starttls smtp -connect 192.0.2.4:25 -brief
}

fetch() { # DOMAIN [SECONDS]
	timeout "${2:-20}" openssl s_client -quiet -connect $STS_ADDRESS:443 -CAfile "$CA" \
		-servername "mta-sts.$1" -verify_return_error -verify_hostname "mta-sts.$1" \
		< <(printf 'GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.%s\r\n\r\n' "$1"
			sleep 20) 2>&1
}

case_policy_server() {
	local row
	sts_policy a.test <<<$'version: STSv1\nmode: enforce\nmx: mx.a.test\nmax_age: 86400'
	tls_certificate stale mta-sts.b.test 'until=1 hour ago'
	sts_policy b.test stale <<<'version: STSv1'
	start_sts_web
	assert_match "$(fetch a.test)" $'200 .*text/plain.*STSv1\r\nmode: enforce'
	assert_match "$(fetch b.test)" 'certificate has expired'
	assert_match "$(fetch none.test)" 'unrecognized name'
	assert_eq "$(sts_requests a.test)" 1
	for row in 'status 404=404 as told' 'redirect https://x.test/=301.*Location: https' \
		'type text/html=200.*text/html' 'reset=errno=104|reset by peer'; do
		sts_fault a.test "${row%%=*}"
		assert_match "$(fetch a.test || true)" "${row#*=}" "$row"
	done
	for row in 'silent=^depth[^H]*$' 'mute=^$' 'drip 1=text/plain[^S]*$'; do
		sts_fault a.test "${row%%=*}"
		assert_match "$(fetch a.test 6 || true)" "${row#*=}" "$row"
	done
	sts_fault a.test 'oversize 65537'
	assert_match "$(fetch a.test)" 'Content-Length: 65537'
	sts_fault a.test
	assert_match "$(fetch a.test)" 'mode: enforce'
}
