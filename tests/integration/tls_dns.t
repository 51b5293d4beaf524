# shellcheck shell=bash disable=SC2016
# What DNS says about TLS, from signed zones through a resolver that validates.

# shellcheck source=tests/integration/tls.sh
. "$ROOT/tests/integration/tls.sh"

setup() {
	tls_certificate good mx.signed.test
	zone signed.test <<-END
		dane           MX 10 mx
		dane           MX 20 bare
		anchor         MX 10 ta
		forged         MX 10 f
		alias          MX 10 c
		own            MX 10 o
		out            MX 10 mx.plain.test.
		leaves         MX 10 l
		implicit       A  192.0.2.1
		$(tlsa implicit good)
		mx             A  192.0.2.1
		$(tlsa mx good)
		bare           A  192.0.2.2
		ta             A  192.0.2.3
		ta             AAAA 2001:db8::3
		$(tlsa ta good 2)
		f              A  192.0.2.4
		$(tlsa f good)
		c              CNAME mx
		o              CNAME bare
		$(tlsa o good 2)
		l              CNAME mx.plain.test.
		$(tlsa l good)
		_mta-sts.dane  TXT "v=STSv1; id=signed;"
	END
	zone plain.test <<-END
		@  MX 10 mx.signed.test.
		mx A 192.0.2.1
		$(tlsa mx good)
	END
	sign_zone signed.test
	forge_zone signed.test 's/^(_25\._tcp\.f\..*TLSA.3 1 1 )../\100/'
	start_signed_dns
	use_mxhop
	printf '%s\n' 'mta_sts = watch' 'cache = /run/mxhop/tls' 'cache_owner = postfix' \
		'address_families = ipv4, ipv6' >/etc/mxhop/mxhop.cf
	mxhop cache stats >/dev/null
}

# Whether the MX answer is signed, then "HOST TLSA" for each host.
assert_learnt() { # DOMAIN EXPECTED
	mxhop lookup "$1" >/dev/null || true
	assert_eq "$(mxhop cache get --format json "$1" | jq -r '[(.secure | tostring),
		(.hosts[] | "\(.host) \(.tlsa.state // "not asked")\(if .tlsa.trust_anchor then " ta" else "" end)")] |
		join(", ")')" "$2" "$1"
}

case_signed_domains() {
	assert_learnt dane.signed.test 'true, mx.signed.test usable, bare.signed.test none'
	assert_learnt anchor.signed.test 'true, ta.signed.test usable ta'
	assert_learnt implicit.signed.test 'true, implicit.signed.test usable'
	assert_eq "$(mxhop cache get --format json dane.signed.test | jq -r .sts.id)" signed
}

case_a_forged_record_is_a_failure() {
	assert_learnt forged.signed.test 'true, f.signed.test failed'
}

case_hosts_in_other_zones() {
	assert_learnt out.signed.test 'true, mx.plain.test none'
	assert_learnt plain.test 'false, mx.signed.test not asked'
	assert_eq "$(dns_queries _25._tcp.mx.plain.test TLSA)" 0
}

# The end of the chain first, the host's own name if there are none certainly; and
# that alone where the chain leaves what is signed. posttls-finger says the same.
case_hosts_that_are_aliases() {
	local row
	assert_learnt alias.signed.test 'true, c.signed.test usable'
	assert_eq "$(dns_queries _25._tcp.c.signed.test TLSA)" 0
	assert_learnt own.signed.test 'true, o.signed.test usable ta'
	assert_eq "$(dns_queries _25._tcp.bare.signed.test TLSA)" 1
	assert_learnt leaves.signed.test 'true, l.signed.test usable'
	assert_eq "$(dns_queries _25._tcp.mx.plain.test TLSA)" 0
	configure_postfix
	start_receiver 192.0.2.1 good
	start_receiver 192.0.2.2 good
	for row in c=mx o=o l=l; do
		assert_match "$(posttls-finger -t 5 -L verbose -l dane -o smtp_dns_support_level=dnssec \
			-o smtp_host_lookup=dns -c "[${row%=*}.signed.test]" 2>&1 || true)" \
			"TLSA record: _25._tcp.${row#*=}.signed.test: "
	done
}
