# shellcheck shell=bash disable=SC2016
# MTA-STS policies in a real Exim: what the transport of contrib/exim verifies,
# which domains get it, and which hosts they are sent to. The store is written by
# tests/support/policies.c, and in the end by mxhop-tls.

# shellcheck source=tests/integration/tls.sh
. "$ROOT/tests/integration/tls.sh"
# shellcheck source=tests/integration/exim.sh
. "$ROOT/tests/integration/exim.sh"

STORE=/var/lib/mxhop/tls

setup() {
	tls_certificate good good.hosts.test
	tls_certificate badca '*.hosts.test' '*.signed.test' by=foreign
	zone hosts.test <<-'END'
		good   A 192.0.2.1
		other  A 192.0.2.1
		ca     A 192.0.2.2
		bare   A 192.0.2.4
	END
	zone signed.test <<-END
		self   A 192.0.2.2
		$(tlsa self badca)
		@      MX 10 self
	END
	{
		for domain in sts onlyca name bare half impossible early silent mute; do
			echo "_mta-sts.$domain TXT \"v=STSv1; id=1;\""
		done
		printf "mta-sts.%s A $STS_ADDRESS\n" early silent mute
		cat <<-'END'
			sts         MX 10 good.hosts.test.
			onlyca      MX 10 ca.hosts.test.
			name        MX 10 other.hosts.test.
			bare        MX 10 bare.hosts.test.
			half        MX 10 ca.hosts.test.
			half        MX 20 good.hosts.test.
			impossible  MX 10 ca.hosts.test.
			plain       MX 10 ca.hosts.test.
			plainbare   MX 10 bare.hosts.test.
			early       MX 10 good.hosts.test.
			silent      MX 10 ca.hosts.test.
			mute        MX 10 ca.hosts.test.
			own         MX 10 good.hosts.test.
		END
	} | zone dom.test
	sign_zone signed.test
	start_signed_dns
	start_receiver 192.0.2.1 good
	start_receiver 192.0.2.2 badca
	start_receiver 192.0.2.4 -
	cc -std=c11 -D_GNU_SOURCE -I"$ROOT/include" -I"$ROOT/src" \
		-o "$SCRATCH/policies" "$ROOT/tests/support/policies.c" \
		"$MXHOP_BUILD/lib/libmxhop.a" -lresolv
	install -d "$STORE"
	standard_policies
	use_exim
	use_mxhop_for_exim <<-END
		mta_sts = enforce
		exim_sts_transport = mxhop_sts
		tls_ca_file = $CA
	END
	exim_conf <<<"MXHOP_CA = $CA"
	sed -i 's/^dns_dnssec_ok = 0/dns_dnssec_ok = 1/' /etc/exim4/exim4.conf
	printf '%s\n' 'nameserver 127.0.0.1' 'options trust-ad' >/etc/resolv.conf
	exim -bV >&2
	exim_keep
}

standard_policies() {
	"$SCRATCH/policies" "$STORE" <<-'END'
		sts.dom.test        enforce 1 10 3600 good.hosts.test
		onlyca.dom.test     enforce 1 10 3600 *.hosts.test
		name.dom.test       enforce 1 10 3600 other.hosts.test
		bare.dom.test       enforce 1 10 3600 bare.hosts.test
		half.dom.test       enforce 1 10 3600 good.hosts.test
		impossible.dom.test enforce 1 10 3600 mx.other.test
		own.dom.test        enforce 1 10 3600 good.hosts.test
		signed.test         enforce 1 10 3600 self.signed.test
	END
}

# A message to any@DOMAIN for each line of `DOMAIN SIGN REGEX': what Exim's log
# has about it, `=>' for delivered, `==' for deferred. What Exim has learnt of
# hosts counts on.
assert_exim() { # < ROWS
	local domain sign regex
	while read -r domain sign regex; do
		exim_send alice@mta.mxhop.test "any@$domain"
		assert_exim_log " $sign any@$domain .*$regex"
	done
	refute_exim_log '\*\* any@'
	assert_no_panic
}

case_a_policy_is_kept_to() {
	assert_exim <<-'END'
		sts.dom.test         =>   T=mxhop_sts .*CV=yes
		half.dom.test        =>   T=mxhop_sts .*H=good.hosts.test .*CV=yes
		signed.test          =>   T=mxhop_sts .*CV=dane
		plain.dom.test       =>   T=remote_smtp .*CV=no
		impossible.dom.test  ==   4.7.5 No MX host of domain impossible.dom.test is in its MTA-STS policy
	END
	assert_match "$(received any@sts.dom.test)" '^192.0.2.1 tls=TLS.* sni=good.hosts.test$'
	assert_eq "$(list_of half.dom.test)" '<;good.hosts.test'
	# The host outside the policy got nothing for the domain.
	assert_match "$(received any@half.dom.test)" '^192.0.2.1 '
	assert_match "$(received any@plain.dom.test)" '^192.0.2.2 '
}

case_what_cannot_be_verified_waits() {
	local domain
	for domain in onlyca name bare; do
		exim_purge
		exim_send alice@mta.mxhop.test "any@$domain.dom.test"
		assert_exim_log " == any@$domain.dom.test .*T=mxhop_sts"
		assert_eq "$(received "any@$domain.dom.test")" ''
	done
	refute_exim_log '=> any@'
	refute_exim_log '\*\* any@'
	assert_no_panic
}

# One domain's policy has no say about another on the same host.
case_a_plain_domain_on_the_same_hosts() {
	assert_exim <<-'END'
		onlyca.dom.test     ==  T=mxhop_sts
		plain.dom.test      =>  T=remote_smtp
		bare.dom.test       ==  T=mxhop_sts
		plainbare.dom.test  =>  T=remote_smtp
	END
	assert_match "$(received any@plain.dom.test)" '^192.0.2.2 '
	assert_eq "$(received any@onlyca.dom.test)" ''
}

case_one_message_to_both() {
	exim_send alice@mta.mxhop.test any@onlyca.dom.test any@plain.dom.test any@sts.dom.test
	assert_exim_log ' == any@onlyca.dom.test .*T=mxhop_sts'
	assert_exim_log '[=-]> any@plain.dom.test .*T=remote_smtp'
	assert_exim_log '[=-]> any@sts.dom.test .*T=mxhop_sts'
}
