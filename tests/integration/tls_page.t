# shellcheck shell=bash disable=SC2016
# What mxhop_tls(5) and mxhop_table(5) say of classes where no other file tries
# it: rows of the former's "what happens to mail", as lookups see them.

# shellcheck source=tests/integration/tls.sh
. "$ROOT/tests/integration/tls.sh"

setup() {
	tls_certificate good good.signed.test
	zone hosts.test <<<'good A 192.0.2.1'
	zone signed.test <<-END
		good     A 192.0.2.1
		$(tlsa good good)
		ta       A 192.0.2.1
		$(tlsa ta good 2)
		unusable A 192.0.2.1
		_25._tcp.unusable TLSA 1 1 1 $(printf 'ab%.0s' {1..32})
		forged   A 192.0.2.1
		$(tlsa forged good)
	END
	zone dom.test <<-'END'
		plain      MX 10 good.hosts.test.
		sts        MX 10 good.hosts.test.
		impossible MX 10 good.hosts.test.
		dane       MX 10 good.signed.test.
		both       MX 10 good.signed.test.
		both       MX 20 good.hosts.test.
		outside    MX 10 good.signed.test.
		outside    MX 20 good.hosts.test.
		ta         MX 10 ta.signed.test.
		unusable   MX 10 unusable.signed.test.
		forged     MX 10 forged.signed.test.
		_mta-sts.sts TXT "v=STSv1; id=1;"
	END
	sign_zone signed.test
	sign_zone dom.test
	forge_zone signed.test 's/^(_25._tcp.forged.*TLSA.*3 1 1 )..../\1abcd/'
	start_signed_dns
	compile_policies
	install -d "$STORE"
	"$SCRATCH/policies" "$STORE" <<-'END'
		sts.dom.test        enforce 1 10 3600 good.hosts.test
		impossible.dom.test enforce 1 10 3600 mx.other.test
		both.dom.test       enforce 1 10 3600 good.hosts.test good.signed.test
		outside.dom.test    enforce 1 10 3600 good.hosts.test
	END
	use_mxhop_plugin </dev/null
	postconf -e 'transport_maps = mxhop:/etc/mxhop/mxhop.cf'
}

# From the defaults and these.
configured() { # MXHOP.CF-LINE|MAIN.CF-LINE...
	local line
	printf '%s\n' 'mta_sts = enforce' 'lookup_budget = 3s' >/etc/mxhop/mxhop.cf
	postconf -X smtp_dns_support_level smtp_tls_dane_insecure_mx_policy 2>/dev/null || true
	postconf -e "smtp_tls_policy_maps = $T" "smtp_tls_CAfile = $CA" \
		'smtp_tls_security_level = may' 'smtp_dns_support_level = dnssec'
	for line; do
		if [[ $line == smtp_* ]]; then
			postconf -e "$line"
		else
			sed -i "/^${line%% *} /d" /etc/mxhop/mxhop.cf
			echo "$line" >>/etc/mxhop/mxhop.cf
		fi
	done
	cool_main_cf
}

assert_answers() { # < LINES `DOMAIN ANSWER'
	local domain expected
	while read -r domain expected; do
		assert_eq "$({ mxhop lookup --format postfix "$domain.dom.test" || true; } | folded)" \
			"$expected" "$domain"
	done
}

case_classes_go_by_the_host() {
	configured
	assert_answers <<-'END'
		plain    :[good.hosts.test]
		sts      :[good.hosts.test]:025
		dane     :[good.signed.test]:0025
		both     :[good.signed.test]:0025, [good.hosts.test]:025
		outside  :[good.hosts.test]:025
		unusable :[unusable.signed.test]
	END
}

case_dane_needs_no_policies() {
	configured 'mta_sts = off'
	assert_answers <<-'END'
		dane :[good.signed.test]:0025
		both :[good.signed.test]:0025, [good.hosts.test]
	END
}

case_mta_sts_without_dane() {
	configured 'smtp_dns_support_level = enabled'
	assert_answers <<-'END'
		dane :[good.signed.test]
		both :[good.signed.test]:025, [good.hosts.test]:025
	END
}

case_exempt() {
	configured 'mta_sts_exempt = both.dom.test impossible.dom.test'
	assert_answers <<-'END'
		both       :[good.signed.test]:0025, [good.hosts.test]
		impossible :[good.hosts.test]
		sts        :[good.hosts.test]:025
	END
}

case_parameters_for_the_rest() {
	configured
	assert_answers <<-'END'
		impossible ./retry:4.7.5 No MX host of domain impossible.dom.test is in its MTA-STS policy: mx.other.test
		ta
		forged
	END
	configured 'on_sts_mismatch = pass' 'dane_ta = list'
	assert_answers <<-'END'
		impossible
		ta         :[ta.signed.test]:0025
		forged
	END
	configured 'answer = list'
	assert_answers <<-'END'
		ta
		forged
	END
}

case_tables_of_patterns() {
	local table
	# Before the table, they may answer for the hosts of its lists.
	for table in 'static:may' 'regexp:{{/./ may}}' 'regexp:{{/^\.?plain/ may}}'; do
		configured "smtp_tls_policy_maps = $table $T"
		assert_answers <<-'END'
			plain
			sts
			dane
		END
	done
	configured "smtp_tls_policy_maps = $T "'regexp:{{/^\.?plain/ may}}'
	assert_answers <<-'END'
		plain
		sts   :[good.hosts.test]:025
		dane  :[good.signed.test]:0025
	END
}

case_hops_of_overrides_have_none() {
	configured 'overrides = ldif:/etc/mxhop/overrides.ldif'
	ldif_table <<-'END' >/etc/mxhop/overrides.ldif
		p  Key sts.dom.test; Mode prepend; Hop [good.signed.test]
		b  Key plain.dom.test; Hop dane.dom.test
	END
	assert_status 0 mxhop refresh
	assert_answers <<-'END'
		sts   :[good.signed.test], [good.hosts.test]:025
		plain :[good.signed.test]
	END
	ldif_table <<-'END' >/etc/mxhop/overrides.ldif
		p  Key sts.dom.test; Hop [good.signed.test]:025
	END
	assert_status 65 mxhop refresh
	assert_match "$OUTPUT" '25'
}
