# shellcheck shell=bash disable=SC2016
# Where mail goes when something about TLS goes wrong: records that cannot be
# looked up, or are gone, a store that is missing, policies that are out of date,
# web servers that are silent. Real messages, through lists of mxhop, on the
# Postfix of Debian 12 and 13; smtp(8) and trivial-rewrite(8) are jailed.

# shellcheck source=tests/integration/tls.sh
. "$ROOT/tests/integration/tls.sh"

setup() {
	tls_certificate good {good.hosts,vanish.signed,wrong.signed}.test
	tls_certificate badca '*.hosts.test' '*.signed.test' by=foreign
	zone hosts.test <<-'END'
		good    A 192.0.2.1
		ca      A 192.0.2.2
		bare    A 192.0.2.4
	END
	signed_hosts "$(vanish_tlsa)"
	{
		sts_txt sts onlyca none testing silent moved
		echo '_mta-sts.renewed TXT "v=STSv1; id=2;"'
		printf "mta-sts.%s A $STS_ADDRESS\n" moved renewed silent
		printf '%s MX 10 ca.hosts.test.\n' plain onlyca none testing gone silent
		printf '%s MX 10 good.hosts.test.\n' sts moved renewed
		printf 'renewed MX 20 ca.hosts.test.\n'
	} | zone dom.test
	zone dane.test <<-'END'
		vanish   MX 10 vanish.signed.test.
		self     MX 10 self.signed.test.
		wrong    MX 10 wrong.signed.test.
		broken   MX 10 ca.hosts.test.
		kept     MX 10 ca.hosts.test.
		_mta-sts.broken TXT "v=STSv1; id=1;"
		_mta-sts.kept   TXT "v=STSv1; id=1;"
	END
	sign_zone dane.test
	forge_zone dane.test '/^_mta-sts\..*TXT/s/id=1/id=2/'
	forward_domain slow.test 127.0.0.54
	start_faultdns slow 127.0.0.54:53 <<-'END'
		slow.test MX mx 10 ca.hosts.test
		_mta-sts.slow.test TXT silence
	END
	start_signed_dns
	start_receiver 192.0.2.1 good
	start_receiver 192.0.2.2 badca
	start_receiver 192.0.2.4 -
	compile_policies
	install -d "$STORE"
	use_mxhop_plugin <<-END
		mta_sts = enforce
		tls_ca_file = $CA
		overrides = ldif:/etc/mxhop/overrides.ldif
		rotate_interval = 1w
		lookup_budget = 3s
		wait_share = 100%
		ttl_min = 0
	END
	: >/etc/mxhop/overrides.ldif
	mxhop refresh
	cp "$MXHOP_BUILD/bin/mxhop-tls" /usr/sbin/
	standard_policies
	start_tls_mxhop 3.7
}

vanish_tlsa() { tlsa vanish good | sed 's/TLSA/10 &/'; }

# vanish has TLSA records now and then.
signed_hosts() { # RECORDS
	zone signed.test <<-END
		vanish  A 192.0.2.1
		$1
		self    A 192.0.2.2
		$(tlsa self badca)
		wrong   A 192.0.2.1
		$(tlsa wrong badca)
	END
	sign_zone signed.test
}

# Those that are an hour old may be fetched anew.
standard_policies() {
	stop mxhop-tls
	"$SCRATCH/policies" "$STORE" <<-'END'
		sts.dom.test     enforce 1 10 3600 good.hosts.test
		onlyca.dom.test  enforce 1 10 3600 *.hosts.test
		gone.dom.test    enforce 1 10 3600 *.hosts.test
		kept.dane.test   enforce 1 10 3600 *.hosts.test
		none.dom.test    none    1 10 3600 mx.other.test
		testing.dom.test testing 1 10 3600 mx.other.test
		moved.dom.test   enforce 1 3600 3600 mx.other.test
		renewed.dom.test enforce 1 3600 3600 ca.hosts.test
		self.dane.test   enforce 1 10 3600 *.signed.test
		wrong.dane.test  enforce 1 10 3600 *.signed.test
	END
	chown -R mxhop-tls:mxhop-tls "$STORE"
}

# What is in the queue is tried again. Postfix remembers its last question for a
# while: there is another one.
try_again() {
	send_mail alice@mta.mxhop.test between@plain.dom.test
	wait_for_log 'to=<between@plain.dom.test>, .*status=sent' 20
	postqueue -f
}

# --- records that cannot be looked up, or are gone ---

# No mail waits for a TXT record, and none is less safe for the want of it.
case_txt_that_cannot_be_looked_up() {
	# Unbound gives up a server that is silent about TXT, also when Postfix asks it
	# for MX: so it knows that before.
	dns_flush
	[[ $(dig @127.0.0.1 +short slow.test MX) == '10 ca.hosts.test.' ]] || fail 'no MX'
	assert_answer broken.dane.test ':[ca.hosts.test]'
	assert_answer kept.dane.test ':[ca.hosts.test]:025'
	assert_outcomes <<-'END'
		broken.dane.test 192.0.2.2 tls=TLS
		kept.dane.test   Server certificate not verified
		slow.test        192.0.2.2 tls=TLS
	END
	assert_match "$(dns_queries _mta-sts.slow.test TXT)" '[1-9]'
}

case_txt_that_is_gone() {
	assert_answer gone.dom.test ':[ca.hosts.test]:025'
	assert_outcomes <<<'gone.dom.test Server certificate not verified'
}

case_modes_that_enforce_nothing() {
	assert_outcomes <<-'END'
		none.dom.test    192.0.2.2 tls=TLS
		testing.dom.test 192.0.2.2 tls=TLS
	END
}

# The list holds until the records' time is over. What is tried after that makes
# mxhop ask, and what is tried next is delivered.
case_tlsa_records_that_are_gone() {
	signed_hosts "$(vanish_tlsa)"
	start_signed_dns
	eventually 20 answers_with vanish.dane.test ':[vanish.signed.test]:0025'
	mark
	signed_hosts ''
	start_signed_dns
	send_mail alice@mta.mxhop.test any@vanish.dane.test
	wait_for_log 'to=<any@vanish.dane.test>, .*status=deferred \(no TLSA' 20
	eventually 40 tried_again_and_sent any@vanish.dane.test ||
		fail "$(mxhop trace vanish.dane.test)"
}
tried_again_and_sent() { # RECIPIENT
	try_again
	sleep 1
	log_has "$MAIL_LOG" "to=<$1>, .*status=sent"
}

# A certificate that no public authority has signed is good by TLSA, and one that
# is good for MTA-STS is not good enough.
case_a_policy_does_not_override_dane() {
	assert_answer self.dane.test ':[self.signed.test]:0025'
	assert_answer wrong.dane.test ':[wrong.signed.test]:0025'
	assert_outcomes <<-'END'
		self.dane.test  192.0.2.2 tls=TLS
		wrong.dane.test Server certificate not
	END
}

# --- the store ---

said() { maillog | grep -c "trivial-rewrite.*$1" || true; } # REGEX

# Domains with a policy are Postfix's then; it is told of none, and waits in vain.
case_a_store_that_is_missing_or_damaged() {
	local how
	for how in missing foreign damaged; do
		mark
		case $how in
		missing) rm "$STORE/policies" ;;
		foreign) head -c 20000 /dev/urandom >"$STORE/policies" ;;
		damaged) printf 'x%.0s' {1..4000} | # the header is well
			dd of="$STORE/policies" bs=4096 seek=1 conv=notrunc status=none ;;
		esac
		reload_postfix
		assert_outcomes <<-'END'
			plain.dom.test  192.0.2.2 tls=TLS
			onlyca.dom.test 192.0.2.2 tls=TLS
			sts.dom.test    192.0.2.1 tls=TLS
			self.dane.test  192.0.2.2 tls=TLS
		END
		assert_match "$(maillog)" 'Verified TLS connection established to self.signed.test'
		assert_eq "$(said 'domains that may have an MTA-STS policy are left to the MTA')" 1 "$how"
		standard_policies
	done
	set_parameter on_sts_unknown defer
	rm "$STORE/policies"
	reload_postfix
	mark
	assert_outcomes <<-'END'
		onlyca.dom.test TLS
		plain.dom.test  192.0.2.2 tls=TLS
	END
	set_parameter on_sts_unknown
	standard_policies
	reload_postfix
}

# smtp(8) and trivial-rewrite(8) would exit if it were a table of theirs.
case_a_new_store_restarts_nobody() {
	local i
	mark
	for i in 1 2 3; do
		standard_policies
		sleep 1.1 # Postfix sees whole seconds
		send_mail alice@mta.mxhop.test "n$i@sts.dom.test"
		wait_for_log "to=<n$i@sts.dom.test>, .*status=sent" 20
	done
	refute_log 'has changed -- restarting'
}

# --- the service ---

# What is stored holds; of the rest the log tells, once for all mail.
case_a_service_that_is_dead() {
	local i
	reload_postfix
	mark
	assert_outcomes <<-'END'
		onlyca.dom.test Server certificate not verified
		silent.dom.test 192.0.2.2 tls=TLS
	END
	for i in 1 2; do
		send_mail alice@mta.mxhop.test "$i@plain.dom.test" "$i@silent.dom.test"
		wait_for_log "to=<$i@silent.dom.test>, .*status=sent" 20
	done
	assert_eq "$(said "warning: .*mxhop-tls does not listen for tls_store = $STORE; start it")" 1
	start_mxhop_tls
	send_mail alice@mta.mxhop.test heard@plain.dom.test heard@silent.dom.test
	wait_for_log 'to=<heard@silent.dom.test>, .*status=sent' 20
	assert_eq "$(said "mxhop-tls listens again")" 1
	standard_policies
}

# --- policies that are out of date ---

policy_on_the_web() { # DOMAIN PATTERN
	printf '%s\n' 'version: STSv1' 'mode: enforce' "mx: $2" 'max_age: 86400' |
		sts_policy "$1"
}

# No host is in the policy that is stored: perhaps there is another one. It is
# asked for once, however much mail there is.
case_hosts_that_no_longer_match() {
	local i
	policy_on_the_web moved.dom.test mx.other.test
	start_sts_web
	start_mxhop_tls
	mark
	assert_outcomes <<<'moved.dom.test No MX host of domain moved.dom.test'
	eventually 10 web_was_asked moved.dom.test || fail "$(tail "$SCRATCH/mxhop-tls.log")"
	for i in 1 2 3 4 5; do
		sleep 0.5
		answer moved.dom.test >/dev/null
	done
	assert_eq "$(sts_requests moved.dom.test)" 1
	standard_policies
	policy_on_the_web moved.dom.test good.hosts.test
	start_mxhop_tls
	send_mail alice@mta.mxhop.test again@moved.dom.test
	eventually 10 answers_with moved.dom.test ':[good.hosts.test]:025' ||
		fail "$(mxhop trace moved.dom.test)"
	sleep 1 # each process looks when its time comes
	try_again
	wait_for_log 'to=<again@moved.dom.test>, .*status=sent' 20
	assert_match "$(received again@moved.dom.test)" '^192.0.2.1 tls=.*sni=good.hosts.test$'
	standard_policies
}
web_was_asked() { [[ $(sts_requests "$1") -gt 0 ]]; } # DOMAIN

case_an_id_that_has_changed() {
	policy_on_the_web renewed.dom.test good.hosts.test
	start_sts_web
	assert_answer renewed.dom.test ':[ca.hosts.test]:025'
	start_mxhop_tls
	assert_outcomes <<<'renewed.dom.test Server certificate not verified'
	eventually 10 answers_with renewed.dom.test ':[good.hosts.test]:025' ||
		fail "$(mxhop trace renewed.dom.test)"
	assert_match "$(mxhop tls get renewed.dom.test)" 'policy 2, mode enforce'
	standard_policies
}

# --- a web server that is silent ---

# It does not hold up trivial-rewrite(8), which every session and every message
# needs.
case_nobody_who_routes_waits_for_a_web_server() {
	local from
	policy_on_the_web silent.dom.test good.hosts.test
	sts_fault silent.dom.test silent
	start_sts_web
	set_parameter mta_sts_wait 30s
	reload_postfix
	start_mxhop_tls
	mark
	from=$(now_ms)
	assert_status 0 smtp_try alice@mta.mxhop.test any@silent.dom.test
	[[ $(($(now_ms) - from)) -lt 10000 ]] || fail "RCPT took $(($(now_ms) - from)) ms"
	send_mail alice@mta.mxhop.test any@silent.dom.test
	eventually 10 web_was_asked silent.dom.test
	assert_status 0 smtp_try alice@mta.mxhop.test any@silent.dom.test
	assert_outcomes_before_silent
	[[ $(($(now_ms) - from)) -lt 25000 ]] || fail 'it waited'
	set_parameter mta_sts_wait
	standard_policies
	reload_postfix
	purge
}

assert_outcomes_before_silent() {
	send_mail alice@mta.mxhop.test any@{plain,sts}.dom.test
	wait_for_log 'to=<any@plain.dom.test>, .*status=sent' 20
	wait_for_log 'to=<any@sts.dom.test>, .*status=sent' 20
	refute_log 'to=<any@silent.dom.test>'
}

# --- hops of overrides ---

# They are held to what the administrator's table says of the host, and to
# nothing else.
case_hops_of_overrides() {
	echo '[ca.hosts.test] secure match=hostname' >/etc/postfix/admin
	ldif_table <<-'END' | refresh_overrides
		a  Key sts.dom.test; Hop [bare.hosts.test]
		b  Key plain.dom.test; Hop [ca.hosts.test]
		c  Key onlyca.dom.test; Mode prepend; Hop [bare.hosts.test]
	END
	postfix_set "smtp_tls_policy_maps = texthash:/etc/postfix/admin $T"
	assert_answer onlyca.dom.test ':[bare.hosts.test], [ca.hosts.test]:025'
	assert_outcomes <<-'END'
		sts.dom.test    192.0.2.4 tls=-
		plain.dom.test  Server certificate not verified
		onlyca.dom.test 192.0.2.4 tls=-
	END
	: >/etc/mxhop/overrides.ldif
	mxhop refresh --force
	postfix_set "smtp_tls_policy_maps = $T"
}

# --- newer releases ---

case_debian_13() {
	use_release trixie
	start_tls_mxhop 3.10
	case_txt_that_cannot_be_looked_up
	case_txt_that_is_gone
	case_modes_that_enforce_nothing
	case_a_policy_does_not_override_dane
	case_a_store_that_is_missing_or_damaged
	case_a_service_that_is_dead
	case_hosts_that_no_longer_match
	case_hops_of_overrides
}
