# shellcheck shell=bash disable=SC2016
# MTA-STS policies in a real Exim: what the transport of contrib/exim verifies,
# which domains get it, and which hosts they are sent to. The store is written by
# tests/support/policies.c, and in the end by mxhop-tls.

# shellcheck source=tests/integration/tls.sh
. "$ROOT/tests/integration/tls.sh"
# shellcheck source=tests/integration/exim.sh
. "$ROOT/tests/integration/exim.sh"

setup() {
	tls_certificate good {good,two,six}.hosts.test
	tls_certificate badca '*.hosts.test' '*.signed.test' by=foreign
	zone hosts.test <<-'END'
		good   A 192.0.2.1
		other  A 192.0.2.1
		ca     A 192.0.2.2
		bare   A 192.0.2.4
		two    A 192.0.2.1
		two    A 192.0.2.2
		six    AAAA 2001:db8::1
	END
	zone signed.test <<-END
		self   A 192.0.2.2
		$(tlsa self badca)
		@      MX 10 self
	END
	{
		sts_txt sts two six onlyca name bare half impossible early silent mute ended failed
		printf "mta-sts.%s A $STS_ADDRESS\n" early silent mute
		cat <<-'END'
			sts         MX 10 good.hosts.test.
			two         MX 10 two.hosts.test.
			six         MX 10 six.hosts.test.
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
			ended       MX 10 ca.hosts.test.
			failed      MX 10 ca.hosts.test.
			own         MX 10 good.hosts.test.
		END
	} | zone dom.test
	sign_zone signed.test
	start_signed_dns
	start_receiver 192.0.2.1 good
	start_receiver 192.0.2.2 badca
	start_receiver 2001:db8::1 good
	start_receiver 192.0.2.4 -
	compile_policies
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
		two.dom.test        enforce 1 10 3600 two.hosts.test
		six.dom.test        enforce 1 10 3600 six.hosts.test
		onlyca.dom.test     enforce 1 10 3600 *.hosts.test
		name.dom.test       enforce 1 10 3600 other.hosts.test
		bare.dom.test       enforce 1 10 3600 bare.hosts.test
		half.dom.test       enforce 1 10 3600 good.hosts.test
		impossible.dom.test enforce 1 10 3600 mx.other.test
		ended.dom.test      enforce 1 3600 -10 good.hosts.test
		failed.dom.test     failed the web server is silent
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
		six.dom.test         =>   T=mxhop_sts .*2001:db8::1.*CV=yes
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

# Of two addresses one cannot be verified: mail gets to the other, each time.
case_half_of_the_addresses_are_bad() {
	local i
	for i in 1 2 3 4 5 6; do
		exim_send alice@mta.mxhop.test "any$i@two.dom.test"
		assert_exim_log " => any$i@two.dom.test .*T=mxhop_sts .*\\[192.0.2.1\\].*CV=yes"
	done
}

# --- which transport ---

transport_of() { dlfunc mxhop_transport "$1" "${2:-}"; } # DOMAIN [CONFIG]

with() { # LINE... (a configuration that has these lines, too)
	{
		cat /etc/mxhop/mxhop.cf
		printf '%s\n' "$@"
	} | tac | awk '{ name = $1 } !seen[name]++' >"$SCRATCH/with.cf"
	chmod 644 "$SCRATCH/with.cf"
	echo "$SCRATCH/with.cf"
}

case_transport_by_domain() {
	assert_eq "$(transport_of sts.dom.test)" mxhop_sts
	assert_eq "$(transport_of plain.dom.test)" ''
	assert_eq "$(transport_of impossible.dom.test)" ''
	assert_eq "$(mxhop lookup --format json sts.dom.test | jq -r .transport)" mxhop_sts
	assert_match "$(mxhop trace sts.dom.test)" 'Exim: transport mxhop_sts, which verifies'
	refute_match "$(mxhop trace plain.dom.test)" 'mxhop_sts'
	# Another one for all domains does not verify.
	assert_eq "$(transport_of sts.dom.test "$(with 'transport = bulk')")" mxhop_sts
	assert_eq "$(transport_of plain.dom.test "$SCRATCH/with.cf")" bulk
	assert_eq "$(transport_of sts.dom.test "$(with 'mta_sts_exempt = sts.dom.test')")" ''
	assert_eq "$(transport_of sts.dom.test "$(with 'mta_sts = watch')")" ''
	assert_eq "$(transport_of impossible.dom.test "$(with 'on_sts_mismatch = pass')")" ''
	# What dnslookup finds is verified, too.
	assert_eq "$(transport_of sts.dom.test "$(with 'answer = override')")" mxhop_sts
	with 'dns_servers = 192.0.2.99' 'lookup_budget = 100ms' 'cache = none' >/dev/null
	assert_eq "$(transport_of sts.dom.test "$SCRATCH/with.cf")" mxhop_sts
	assert_eq "$(transport_of plain.dom.test "$SCRATCH/with.cf")" ''
	# Without the transport such domains are Exim's own matter.
	assert_match "$(dlfunc mxhop_route sts.dom.test "$(with 'exim_sts_transport =')")" '^Failed: '
	assert_eq "$(transport_of sts.dom.test "$SCRATCH/with.cf")" ''
}

case_policies_that_are_not_in_force() {
	local domain
	for domain in ended failed; do
		assert_eq "$(transport_of $domain.dom.test)" ''
		assert_eq "$(list_of $domain.dom.test)" '<;ca.hosts.test'
	done
	with "tls_store = $SCRATCH/none" >/dev/null
	for domain in sts ended failed; do
		assert_eq "$(transport_of $domain.dom.test "$SCRATCH/with.cf")" ''
		assert_match "$(dlfunc mxhop_route $domain.dom.test "$SCRATCH/with.cf")" '^Failed: '
	done
	assert_eq "$(dlfunc mxhop_route plain.dom.test "$SCRATCH/with.cf")" '<;ca.hosts.test'
}

# Hops of overrides are the administrator's, but a list with a host of the policy
# is verified as a whole.
case_overrides() {
	ldif_table >/etc/mxhop/overrides.ldif <<-'END'
		add  Key own.dom.test; Mode append; Hop [two.hosts.test]; Transport bulk
		new  Key sts.dom.test; Hop [ca.hosts.test]
		way  Key name.dom.test; Mode pass; Transport bulk
		pass Key half.dom.test; Mode pass
	END
	with 'overrides = ldif:/etc/mxhop/overrides.ldif' >/dev/null
	mxhop -c "$SCRATCH/with.cf" refresh
	assert_eq "$(transport_of own.dom.test "$SCRATCH/with.cf")" mxhop_sts
	assert_eq "$(dlfunc mxhop_route own.dom.test "$SCRATCH/with.cf")" '<;good.hosts.test;+;two.hosts.test'
	assert_eq "$(transport_of sts.dom.test "$SCRATCH/with.cf")" ''
	assert_eq "$(transport_of name.dom.test "$SCRATCH/with.cf")" bulk
	assert_eq "$(transport_of half.dom.test "$SCRATCH/with.cf")" mxhop_sts
}

# --- a policy that is not known yet ---

# The first message waits for it; where no answer comes in time it goes as usual.
case_first_message() {
	local start_ms
	printf '%s\n' 'version: STSv1' 'mode: enforce' 'mx: good.hosts.test' \
		'max_age: 86400' | tee >(sts_policy silent.dom.test) | sts_policy early.dom.test
	eventually 5 test -e "$STS_ROOT/silent.dom.test/policy" || fail "no policy"
	sts_fault silent.dom.test silent
	start_sts_web
	cp "$MXHOP_BUILD/bin/mxhop-tls" /usr/sbin/
	chown -R mxhop-tls:mxhop-tls "$STORE"
	start_mxhop_tls
	echo 'lookup_budget = 30s' >>/etc/mxhop/mxhop.cf # a slow machine
	exim_send alice@mta.mxhop.test any@early.dom.test
	sed -i '$d' /etc/mxhop/mxhop.cf
	assert_exim_log ' => any@early.dom.test .*R=mxhop_route T=mxhop_sts .*CV=yes'
	# One that has just ended is not known either.
	stop mxhop-tls
	"$SCRATCH/policies" "$STORE" <<<'early.dom.test enforce 1 59 1 good.hosts.test'
	start_mxhop_tls
	sleep 2
	echo 'lookup_budget = 30s' >>/etc/mxhop/mxhop.cf
	exim_send alice@mta.mxhop.test again@early.dom.test
	sed -i '$d' /etc/mxhop/mxhop.cf
	assert_exim_log ' => again@early.dom.test .*R=mxhop_route T=mxhop_sts .*CV=yes'
	start_ms=$(now_ms)
	exim_send alice@mta.mxhop.test any@silent.dom.test
	assert_exim_log ' => any@silent.dom.test .*R=dnslookup T=remote_smtp'
	assert_eq "$(($(now_ms) - start_ms >= 1000))" 1 "waited"
	assert_status 1 mxhop tls get silent.dom.test # it is still being fetched
	assert_no_panic
}

case_without_the_service_nobody_waits() {
	exim_send alice@mta.mxhop.test any@mute.dom.test
	assert_exim_log ' => any@mute.dom.test .*R=dnslookup T=remote_smtp'
	assert_eq "$(mxhop lookup --format exim mute.dom.test)" ''
	with 'on_sts_unknown = defer' >/dev/null
	assert_eq "$(dlfunc mxhop_rest mute.dom.test "$SCRATCH/with.cf")" \
		':defer: 451 4.7.5 The MTA-STS policy of domain mute.dom.test is not known yet'
	assert_eq "$(dlfunc mxhop_rest plain.dom.test "$SCRATCH/with.cf")" ''
}

case_check_knows_the_transport() {
	assert_status 1 mxhop check
	refute_match "$OUTPUT" 'error:'
	assert_match "$OUTPUT" 'note: .*exim_sts_transport = .* is not seen from here'
	assert_status 2 mxhop -c "$(with 'exim_sts_transport =')" check
	assert_match "$OUTPUT" "error: $SCRATCH/with.cf: mta_sts = enforce, but .*exim_sts_transport"
}
