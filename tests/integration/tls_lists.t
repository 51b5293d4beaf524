# shellcheck shell=bash disable=SC2016
# Lists of hosts with TLS classes on a real Postfix: MTA-STS policies of the
# store, DANE, and the domains that Postfix must see itself. The store is written
# by tests/support/policies.c; smtp(8) and trivial-rewrite(8) are jailed.

# shellcheck source=tests/integration/tls.sh
. "$ROOT/tests/integration/tls.sh"

setup() {
	local host
	tls_certificate good good.hosts.test good.signed.test second.hosts.test \
		named.hosts.test
	tls_certificate badca '*.hosts.test' '*.signed.test' by=foreign
	tls_certificate domain ta.dane.test
	zone hosts.test <<-'END'
		good    A 192.0.2.1
		second  A 192.0.2.1
		ca      A 192.0.2.2
		bare    A 192.0.2.4
		named   A 192.0.2.5
	END
	zone signed.test <<-END
		good    A 192.0.2.1
		$(tlsa good good)
		bad     A 192.0.2.2
		$(tlsa bad good)
		ta      A 192.0.2.3
		$(tlsa ta domain 2)
		none    A 192.0.2.1
		bogus   A 192.0.2.1
		$(tlsa bogus good)
		cert    A 192.0.2.1
		$(whole_tlsa cert good 0)
		other   A 192.0.2.2
		$(whole_tlsa other good 0)
		odd     A 192.0.2.2
		_25._tcp.odd TLSA 3 0 0 deadbeef
		oddkey  A 192.0.2.2
		_25._tcp.oddkey TLSA 2 1 0 deadbeef
		both    A 192.0.2.1
		_25._tcp.both TLSA 3 0 0 deadbeef
		$(tlsa both good)
		short   A 192.0.2.2
		_25._tcp.short TYPE52 \\# 4 030101ab
	END
	{
		sts_txt sts onlyca half impossible early watched testing expired
		printf 'mta-sts.%s A %s\n' early "$STS_ADDRESS" watched "$STS_ADDRESS"
		printf '%s MX 10 ca.hosts.test.\n' onlyca half impossible plain early watched \
			testing expired failed changing
		printf '%s MX 10 good.hosts.test.\n' sts admin below.admin report
		printf '%s\n' 'half MX 20 good.hosts.test.' 'bare MX 10 bare.hosts.test.' \
			'hosted MX 10 mx.own.test.' 'named MX 10 named.hosts.test.' \
			'_smtp._tls.report TXT "v=TLSRPTv1; rua=mailto:tls@report.dom.test"'
	} | zone dom.test
	{
		echo 'unsigned MX 10 good.hosts.test.'
		for host in good bad ta bogus none cert other odd oddkey both short; do
			echo "$host MX 10 $host.signed.test."
		done
	} | zone dane.test
	printf '%s\n' 'out MX 10 ca.hosts.test.' 'in MX 10 mx' 'mx A 192.0.2.2' |
		zone own.test
	printf '%s\n' 'good MX 10 good.signed.test.' | zone loose.test
	sign_zone signed.test
	sign_zone dane.test
	forge_zone signed.test 's/^(_25._tcp.bogus.*TLSA.*3 1 1 )..../\1abcd/'
	start_signed_dns
	start_receiver 192.0.2.1 good
	start_receiver 192.0.2.2 badca
	start_receiver 192.0.2.3 domain
	start_receiver 192.0.2.4 -
	start_receiver 192.0.2.5 badca named.dom.test=good
	compile_policies
	install -d "$STORE"
	use_mxhop_plugin <<-'END'
		mta_sts = enforce
		rotate_interval = 1w
		lookup_budget = 3s
		wait_share = 100%
	END
	standard_policies
	touch /etc/postfix/admin
	start_tls_mxhop 3.7
}

policies() { # < LINES
	"$SCRATCH/policies" "$STORE"
}

standard_policies() {
	policies <<-'END'
		sts.dom.test        enforce 1 10 3600 good.hosts.test
		onlyca.dom.test     enforce 1 10 3600 *.hosts.test
		half.dom.test       enforce 1 10 3600 good.hosts.test
		impossible.dom.test enforce 1 10 3600 mx.other.test
		testing.dom.test    testing 1 10 3600 mx.other.test
		expired.dom.test    enforce 1 3600 -10 mx.other.test
		failed.dom.test     failed the web server is silent
	END
}

# As trivial-rewrite(8) answers, with the cache warm.
# --- MTA-STS ---

case_lists_carry_classes() {
	standard_policies
	assert_answer sts.dom.test ':[good.hosts.test]:025'
	assert_answer half.dom.test ':[good.hosts.test]:025'
	assert_answer plain.dom.test ':[ca.hosts.test]'
	assert_answer testing.dom.test ':[ca.hosts.test]'
	assert_answer expired.dom.test ':[ca.hosts.test]'
	assert_answer failed.dom.test ':[ca.hosts.test]'
	assert_answer impossible.dom.test \
		'./retry:4.7.5 No MX host of domain impossible.dom.test is in its MTA-STS policy: mx.other.test'
	# The service has not answered for it yet.
	assert_answer early.dom.test ''
}

# An impossible policy stops its own domain's mail, and no other's on the hosts.
case_mail_goes_by_the_policy() {
	standard_policies
	assert_outcomes <<-'END'
		sts.dom.test        192.0.2.1 tls=TLS[^ ]* sni=good.hosts.test
		half.dom.test       192.0.2.1 tls=TLS[^ ]* sni=good.hosts.test
		onlyca.dom.test     Server certificate not verified
		impossible.dom.test No MX host of domain impossible.dom.test
		plain.dom.test      192.0.2.2 tls=TLS
		testing.dom.test    192.0.2.2 tls=TLS
		expired.dom.test    192.0.2.2 tls=TLS
		failed.dom.test     192.0.2.2 tls=TLS
		early.dom.test      192.0.2.2 tls=TLS
		bare.dom.test       192.0.2.4 tls=-
	END
	assert_match "$(maillog)" 'Verified TLS connection established to good.hosts.test'
}

# A policy that appears, changes and ends is in force within a second, for a
# domain whose list is in the cache.
case_policies_come_change_and_go() {
	local d=changing.dom.test
	assert_answer $d ':[ca.hosts.test]'
	policies <<<"$d enforce 1 10 3600 ca.hosts.test"
	eventually 3 answers_with $d ':[ca.hosts.test]:025'
	policies <<<"$d enforce 1 10 3600 mx.other.test"
	eventually 3 answers_with $d \
		"./retry:4.7.5 No MX host of domain $d is in its MTA-STS policy: mx.other.test"
	policies <<<"$d testing 2 10 3600 mx.other.test"
	eventually 3 answers_with $d ':[ca.hosts.test]'
	policies <<<"$d enforce 3 10 4 *.hosts.test"
	eventually 3 answers_with $d ':[ca.hosts.test]:025'
	eventually 10 answers_with $d ':[ca.hosts.test]'
	standard_policies
}

# The same inside Postfix, in a jail, where the store is replaced meanwhile.
case_the_table_in_postfix_follows() {
	local d=changing.dom.test plain='plain.dom.test 192.0.2.2 tls=TLS'
	# Postfix remembers its last question for a while: there is another one.
	assert_outcomes <<<"$d 192.0.2.2 tls=TLS"$'\n'"$plain"
	policies <<<"$d enforce 1 10 3600 ca.hosts.test"
	sleep 1.5
	mark
	assert_outcomes <<<"$d Server certificate not verified"$'\n'"$plain"
	standard_policies
	sleep 1.5
	mark
	assert_outcomes <<<"$d 192.0.2.2 tls=TLS"$'\n'"$plain"
}

case_trace_tells_why() {
	local text
	standard_policies
	text=$(mxhop trace half.dom.test)
	assert_match "$text" 'the MTA knows classes dane and sts'
	assert_match "$text" '_mta-sts: id 1,'
	assert_match "$text" 'policy 1, mode enforce, [0-9]+ s old, in force for'
	assert_match "$text" 'mx: good.hosts.test'
	assert_match "$text" 'good.hosts.test +dns, class sts'
	assert_match "$text" "dropped: not in the domain's MTA-STS policy"
	text=$(mxhop trace early.dom.test || true)
	assert_match "$text" 'mxhop-tls has not answered for the domain'
	assert_match "$text" "policy is not known yet"
	text=$(mxhop trace failed.dom.test)
	assert_match "$text" 'last fetch: the web server is silent'
	text=$(mxhop trace --format json half.dom.test)
	python3 - "$text" <<-'END'
		import json, sys
		t = json.loads(sys.argv[1])
		assert t["tls"]["policy"]["mode"] == "enforce", t["tls"]
		assert t["tls"]["txt"] == "id" and t["tls"]["id"] == "1", t["tls"]
		assert [h["tls"] for h in t["hosts"]] == ["sts", "none"], t["hosts"]
		assert t["hops"][0]["tls"] == "sts", t["hops"]
	END
}

# --- DANE ---

case_dane_is_a_class() {
	assert_answer good.dane.test ':[good.signed.test]:0025'
	assert_answer none.dane.test ':[none.signed.test]'
	assert_answer unsigned.dane.test ':[good.hosts.test]'
	assert_answer good.loose.test ':[good.signed.test]' # MX not signed
	assert_answer ta.dane.test ''
	assert_answer bogus.dane.test '' # what its TLSA records say is not known
	assert_outcomes <<-'END'
		good.dane.test     192.0.2.1 tls=TLS
		bad.dane.test      Server certificate not verified
		ta.dane.test       192.0.2.3 tls=TLS
		none.dane.test     192.0.2.1 tls=TLS
		unsigned.dane.test 192.0.2.1 tls=TLS
		good.loose.test    192.0.2.1 tls=TLS
	END
	assert_match "$(mxhop trace good.dane.test)" 'good.signed.test +dns, class dane'
}

# Records that Postfix can make no use of bind nobody. Where it has to parse a
# certificate to find out, it sees the domain, and does what it does by itself.
case_tlsa_records_of_no_use() {
	local level
	for level in may dane; do
		postfix_set "smtp_tls_security_level = $level"
		assert_answer cert.dane.test ''
		assert_answer other.dane.test ''
		assert_answer odd.dane.test ''
		assert_answer oddkey.dane.test ''
		assert_answer both.dane.test ':[both.signed.test]:0025'
		assert_answer short.dane.test ':[short.signed.test]'
		assert_outcomes <<-'END'
			cert.dane.test   192.0.2.1 tls=TLS
			other.dane.test  Server certificate not verified
			odd.dane.test    192.0.2.2 tls=TLS
			oddkey.dane.test 192.0.2.2 tls=TLS
			both.dane.test   192.0.2.1 tls=TLS
			short.dane.test  192.0.2.2 tls=TLS
		END
		assert_match "$(maillog)" 'Verified TLS connection established to cert.signed.test'
		assert_match "$(maillog)" 'Verified TLS connection established to both.signed.test'
		mark
	done
	assert_match "$(mxhop trace odd.dane.test || true)" 'TLSA whole'
	postfix_set 'smtp_tls_security_level = may'
}

# --- domains that Postfix must see ---

case_tables_of_the_administrator_come_first() {
	standard_policies
	printf '%s encrypt\n' admin.dom.test .admin.dom.test >/etc/postfix/admin
	postfix_set "smtp_tls_policy_maps = texthash:/etc/postfix/admin $T"
	assert_answer admin.dom.test ''
	assert_answer below.admin.dom.test ''
	assert_answer sts.dom.test ':[good.hosts.test]:025'
	assert_match "$(mxhop trace below.admin.dom.test)" 'smtp_tls_policy_maps has .admin.dom.test'
	assert_outcomes <<-'END'
		admin.dom.test       192.0.2.1 tls=TLS
		below.admin.dom.test 192.0.2.1 tls=TLS
		sts.dom.test         192.0.2.1 tls=TLS[^ ]* sni=good.hosts.test
	END
	assert_match "$(maillog)" 'to=<any@admin.dom.test>, relay=good.hosts.test\[192.0.2.1\]:25'
	postfix_set "smtp_tls_policy_maps = $T"
}

# smtp_tls_security_level itself asks for DANE: what Postfix would do of its own
# accord is what it does with a list.
case_level_dane_is_no_reason_any_more() {
	standard_policies
	postfix_set 'smtp_tls_security_level = dane'
	assert_answer good.dane.test ':[good.signed.test]:0025'
	assert_answer unsigned.dane.test ':[good.hosts.test]'
	assert_answer sts.dom.test ':[good.hosts.test]:025'
	assert_outcomes <<-'END'
		good.dane.test     192.0.2.1 tls=TLS
		bad.dane.test      Server certificate not verified
		bogus.dane.test    TLSA lookup error
		unsigned.dane.test 192.0.2.1 tls=TLS
		bare.dom.test      192.0.2.4 tls=-
		sts.dom.test       192.0.2.1 tls=TLS[^ ]* sni=good.hosts.test
	END
	postfix_set 'smtp_tls_dane_insecure_mx_policy = may'
	assert_answer good.dane.test ':[good.signed.test]:0025'
	assert_answer good.loose.test ''
	postfix_set 'smtp_tls_security_level = dane-only'
	assert_answer unsigned.dane.test ':[good.hosts.test]' # its MX is signed
	assert_answer good.loose.test ''
	postfix_unset smtp_tls_dane_insecure_mx_policy
	postfix_set 'smtp_tls_security_level = may'
}

case_other_reasons_remain() {
	local setting lines
	standard_policies
	for setting in 'smtp_tls_security_level = secure' \
		$'smtp_tls_security_level = verify\nsmtp_tls_verify_cert_match = hostname, nexthop' \
		"smtp_tls_policy_maps = proxy:texthash:/etc/postfix/admin $T"; do
		mapfile -t lines <<<"$setting"
		postfix_set "${lines[@]}"
		assert_answer good.dane.test ''
		assert_answer plain.dom.test ''
		postfix_set 'smtp_tls_security_level = may' "smtp_tls_policy_maps = $T"
	done
	postfix_unset smtp_tls_verify_cert_match
	assert_answer plain.dom.test ':[ca.hosts.test]'
}

# Certificates are compared with the host, by Postfix alone and with a list.
case_level_verify_is_no_reason() {
	standard_policies
	postfix_set 'smtp_tls_security_level = verify' 'transport_maps ='
	assert_outcomes <<-'END'
		plain.dom.test     Server certificate not verified
		unsigned.dane.test 192.0.2.1 tls=TLS
	END
	mark
	postfix_set "transport_maps = $M"
	assert_answer plain.dom.test ':[ca.hosts.test]'
	assert_answer unsigned.dane.test ':[good.hosts.test]'
	assert_answer sts.dom.test ':[good.hosts.test]:025'
	assert_outcomes <<-'END'
		plain.dom.test     Server certificate not verified
		unsigned.dane.test 192.0.2.1 tls=TLS
		sts.dom.test       192.0.2.1 tls=TLS[^ ]* sni=good.hosts.test
	END
	postfix_set 'smtp_tls_security_level = may'
}

# A server chooses its certificate by the name that it is asked for. With a list
# that would be the host's.
case_servers_are_asked_for_the_domain() {
	standard_policies
	postfix_set 'smtp_tls_security_level = verify' 'smtp_tls_servername = nexthop'
	assert_answer named.dom.test ''
	assert_outcomes <<-'END'
		named.dom.test 192.0.2.5 tls=TLS[^ ]* sni=named.dom.test$
		sts.dom.test   192.0.2.1 tls=TLS[^ ]* sni=good.hosts.test$
	END
	mark
	postfix_set 'smtp_tls_servername = hostname'
	assert_answer named.dom.test ':[named.hosts.test]'
	assert_outcomes <<<'named.dom.test Server certificate not verified'
	postfix_unset smtp_tls_servername
	postfix_set 'smtp_tls_security_level = may'
}

# A pattern of the administrator's that fits a host of the list, and not the
# domain, would take the class's place.
case_patterns_do_not_answer_for_classes() {
	standard_policies
	printf '/hosts\\.test/ may\n' >/etc/postfix/patterns
	postfix_set "smtp_tls_policy_maps = regexp:/etc/postfix/patterns $T"
	assert_answer onlyca.dom.test ''
	postfix_set "smtp_tls_policy_maps = $T regexp:/etc/postfix/patterns"
	assert_answer onlyca.dom.test ':[ca.hosts.test]:025'
	assert_outcomes <<<'onlyca.dom.test Server certificate not verified'
	postfix_set "smtp_tls_policy_maps = $T"
}

# A digest that smtp(8) does not use is none that mail can depend on.
case_digests_of_tlsa_records() {
	postfix_set 'tls_dane_digests = sha512'
	assert_answer good.dane.test ':[good.signed.test]'
	assert_outcomes <<<'good.dane.test 192.0.2.1 tls=TLS'
	postfix_unset tls_dane_digests
	assert_answer good.dane.test ':[good.signed.test]:0025'
}

# A service for which smtp_tls_policy_maps is another, by way of a parameter that
# it is made of.
case_tables_by_another_name() {
	standard_policies
	postfix_set "our_tables = $T" 'smtp_tls_policy_maps = $our_tables'
	assert_answer sts.dom.test ':[good.hosts.test]:025'
	postconf -P 'relay/unix/our_tables=static:may'
	reload_postfix
	assert_answer sts.dom.test ''
	mark
	send_mail alice@mta.mxhop.test any@sts.dom.test
	wait_for_log 'answer = override, because .*master.cf: relay: -o our_tables: smtp_tls_policy_maps is made of it' 30
	wait_for_log 'to=<any@sts.dom.test>, .*status=sent' 30
	postconf -PX relay/unix/our_tables
	postfix_set "smtp_tls_policy_maps = $T"
	postfix_unset our_tables
}

case_without_the_table_there_are_no_classes() {
	postfix_set 'smtp_tls_policy_maps ='
	assert_answer sts.dom.test ''
	assert_answer good.dane.test ':[good.signed.test]'
	assert_answer plain.dom.test ':[ca.hosts.test]'
	postfix_set "smtp_tls_policy_maps = $T"
}

# --- the store ---

case_without_a_store_domains_pass() {
	standard_policies
	mv "$STORE/policies" "$STORE/away"
	assert_answer sts.dom.test ''
	assert_answer early.dom.test ''
	assert_answer plain.dom.test ':[ca.hosts.test]'
	assert_answer good.dane.test ':[good.signed.test]:0025'
	head -c 20000 /dev/urandom >"$STORE/policies"
	assert_answer sts.dom.test ''
	assert_answer plain.dom.test ':[ca.hosts.test]'
	mv "$STORE/away" "$STORE/policies"
	assert_answer sts.dom.test ':[good.hosts.test]:025'
}

# --- watch and off ---

case_watch_and_off_change_nothing() {
	local mode
	standard_policies
	for mode in watch off; do
		sed -i "s/^mta_sts = .*/mta_sts = $mode/" /etc/mxhop/mxhop.cf
		assert_answer sts.dom.test ':[good.hosts.test]'
		assert_answer half.dom.test ':[ca.hosts.test], [good.hosts.test]'
		assert_answer impossible.dom.test ':[ca.hosts.test]'
		assert_answer early.dom.test ':[ca.hosts.test]'
	done
	sed -i "s/^mta_sts = .*/mta_sts = watch/" /etc/mxhop/mxhop.cf
	assert_match "$(mxhop trace sts.dom.test)" 'policy 1, mode enforce'
	assert_match "$(mxhop trace sts.dom.test)" 'no answer depends on it'
	sed -i "s/^mta_sts = .*/mta_sts = enforce/" /etc/mxhop/mxhop.cf
}

# --- the service ---

start_service() {
	local domain
	for domain in early watched; do
		printf '%s\n' 'version: STSv1' 'mode: enforce' "mx: ${1:-ca.hosts.test}" \
			'max_age: 86400' | sts_policy "$domain.dom.test"
	done
	start_sts_web
	cp "$MXHOP_BUILD/bin/mxhop-tls" /usr/sbin/
	set_parameter tls_ca_file "$CA"
	standard_policies
	chown -R mxhop-tls:mxhop-tls "$STORE"
	reload_postfix
	start_mxhop_tls
}

# What a jailed trivial-rewrite(8) asks for is fetched, and in force for the first
# message, which goes by the domain, and for those that have a list.
case_the_service_is_told() {
	start_service
	assert_outcomes <<<'early.dom.test Server certificate not verified'
	eventually 10 answers_with early.dom.test ':[ca.hosts.test]:025' ||
		fail "$(mxhop trace early.dom.test; tail "$SCRATCH/mxhop-tls.log")"
	sleep 1 # each process looks when its time comes
	mark
	assert_outcomes <<-'END'
		sts.dom.test   192.0.2.1 tls=TLS[^ ]* sni=good.hosts.test
		early.dom.test Server certificate not verified
	END
	stop mxhop-tls
}

# Policies of a minute are the shortest. One that mail needs is fetched again
# before it ends. One that has ended meanwhile is waited for, as at first contact.
case_short_policies() {
	local d=early.dom.test plain='plain.dom.test 192.0.2.2 tls=TLS'
	printf '%s\n' 'version: STSv1' 'mode: enforce' 'mx: ca.hosts.test' \
		'max_age: 1' | sts_policy $d
	start_sts_web
	policies <<<"$d enforce 1 40 20 ca.hosts.test"
	chown -R mxhop-tls:mxhop-tls "$STORE"
	start_mxhop_tls
	reload_postfix # a process names a domain every ten seconds only
	mark
	assert_outcomes <<<"$d Server certificate not verified"$'\n'"$plain"
	eventually 5 log_has "$SCRATCH/sts-web.log" "^get $d" || fail 'not renewed'
	assert_answer $d ':[ca.hosts.test]:025'
	assert_eq "$(sts_requests $d)" 1
	stop mxhop-tls
	policies <<<"$d enforce 1 59 1 ca.hosts.test"
	spawn mxhop-tls mxhop-tls
	sleep 2.5
	mark
	assert_outcomes <<<"$d Server certificate not verified"$'\n'"$plain"
	assert_eq "$(sts_requests $d)" 1
	eventually 5 answers_with $d ':[ca.hosts.test]:025' || fail "$(mxhop trace $d)"
	stop mxhop-tls
}

# Where all domains are left to Postfix, too. Nobody waits for it, and no mail
# goes another way.
case_watch_learns_what_passes() {
	start_faultdns mute 192.0.2.54:53 <<<'* * silence'
	forward_domain mute.test 192.0.2.54
	start_signed_dns
	set_parameter answer override
	set_parameter mta_sts watch
	printf 'mute.test smtp:[192.0.2.4]\n' >/etc/postfix/mute
	postconf -e "transport_maps = $M texthash:/etc/postfix/mute"
	start_service mx.other.test
	for _ in 1 2; do # qmgr(8) remembers its last question
		mark
		assert_outcomes <<-'END'
			watched.dom.test 192.0.2.2 tls=TLS
			plain.dom.test   192.0.2.2 tls=TLS
		END
	done
	eventually 10 is_stored watched.dom.test || fail "$(tail "$SCRATCH/mxhop-tls.log")"
	assert_outcomes <<<'watched.dom.test 192.0.2.2 tls=TLS'
	assert_match "$(mxhop trace watched.dom.test || true)" 'no answer depends on it'
	mark
	assert_outcomes <<<'mute.test 192.0.2.4 tls=-'
	assert_match "$(maillog)" 'to=<any@mute.test>.* delay=[01](\.|,)'
	set_parameter mta_sts off
	reload_postfix
	mark
	assert_outcomes <<<'plain.dom.test 192.0.2.2 tls=TLS'
	assert_eq "$(dns_queries _mta-sts.plain.dom.test TXT)" 0
	set_parameter answer
	set_parameter mta_sts enforce
	postfix_set "transport_maps = $M"
}

is_stored() { [[ $(mxhop tls get "$1" 2>&1) == *'in force'* ]]; } # DOMAIN

# --- cost ---

# System calls of many lookups in the cache, as Postfix makes them.
calls() {
	local counts=/run/calls
	printf 'plain.dom.test\n%.0s' {1..20000} >/run/keys
	for _ in 1 2; do
		install -o postfix -m 0600 /dev/null $counts
		setpriv --reuid=postfix --regid=postfix --clear-groups -- \
			strace -f -c -o $counts postmap -q - "$M" </run/keys >/dev/null
	done
	awk '$1 ~ /^[0-9.]+$/ && $NF != "total" { n += $4 } END { print n }' $counts
}

case_a_domain_without_a_policy_costs_no_system_call() {
	local off enforce
	standard_policies
	enforce=$(calls)
	sed -i 's/^mta_sts = .*/mta_sts = off/' /etc/mxhop/mxhop.cf
	answer plain.dom.test >/dev/null
	off=$(calls)
	sed -i 's/^mta_sts = .*/mta_sts = enforce/' /etc/mxhop/mxhop.cf
	echo "enforce $enforce, off $off"
	[[ $off -gt 100 ]] || fail "strace counted only $off calls"
	[[ $((enforce - off)) -le 500 ]] || fail "$enforce system calls, and $off with mta_sts = off"
}

# --- newer releases: from here on Postfix is that of Debian 13 ---

case_debian_13() {
	use_release trixie
	start_tls_mxhop 3.10
	case_mail_goes_by_the_policy
	case_dane_is_a_class
}

# --- reports ---

# smtp(8) asks where the report goes, for the domain, or for the host of a list.
asks_for_reports_of_host() { # DOMAIN
	dns_flush
	mark
	assert_outcomes <<<"$1 192.0.2.1 tls=TLS"
	[[ $(dns_queries _smtp._tls.good.hosts.test TXT) -gt 0 ]]
}

case_domains_that_want_reports() {
	use_release trixie
	standard_policies
	start_tls_mxhop 3.10
	assert_answer report.dom.test ':[good.hosts.test]'
	assert_eq "$(dns_queries _smtp._tls.report.dom.test TXT)" 0
	postfix_set 'smtp_tlsrpt_enable = yes' 'smtp_tlsrpt_socket_name = run/none'
	assert_answer report.dom.test ''
	assert_answer plain.dom.test ':[ca.hosts.test]'
	assert_answer unsigned.dane.test ':[good.hosts.test]'
	assert_match "$(mxhop trace report.dom.test || true)" \
		'_smtp._tls: wants reports of TLS, which the MTA +sends'
	assert_match "$(mxhop trace report.dom.test | tr -s ' \n' ' ' || true)" \
		'pass: Domain report.dom.test must be seen: it wants reports of TLS'
	assert_match "$(mxhop trace plain.dom.test)" '_smtp._tls: no record, TTL'
	assert_eq "$(mxhop trace --format json report.dom.test | jq -r .tls.reports)" id
	! asks_for_reports_of_host report.dom.test || fail 'by the host'
	asks_for_reports_of_host unsigned.dane.test
	echo 'tlsrpt = ignore' >>/etc/mxhop/mxhop.cf
	reload_postfix
	assert_answer report.dom.test ':[good.hosts.test]'
	asks_for_reports_of_host report.dom.test
	sed -i '/^tlsrpt/d' /etc/mxhop/mxhop.cf
}

# What main.cf makes the table ask for is in the cache before the first mail comes.
case_warm_asks_for_what_postfix_needs() {
	local other=/etc/postfix-other
	use_release trixie
	start_tls_postfix 3.10 "transport_maps = $M" "smtp_tls_policy_maps = $T" \
		'smtp_dns_support_level = dnssec' 'smtp_tlsrpt_enable = yes' \
		'smtp_tlsrpt_socket_name = run/none'
	set_parameter mta_sts off
	reload_postfix
	mxhop cache flush
	printf '%s\n' plain.dom.test report.dom.test good.dane.test | mxhop warm -
	mark
	assert_outcomes <<-'END'
		plain.dom.test 192.0.2.2 tls=TLS
		good.dane.test 192.0.2.1 tls=TLS
	END
	assert_eq "$(dns_queries plain.dom.test MX)" 0
	assert_answer plain.dom.test ':[ca.hosts.test]'
	assert_answer good.dane.test ':[good.signed.test]:0025'
	assert_answer report.dom.test ''
	assert_eq "$(dns_queries _smtp._tls.plain.dom.test TXT)" 0
	mxhop cache flush
	mark
	cp -r /etc/postfix $other
	postconf -c $other -e 'transport_maps =' "config_directory = $other"
	MAIL_CONFIG=$other mxhop warm - <<<plain.dom.test
	assert_eq "$(dns_queries plain.dom.test MX)" 1
	assert_eq "$(dns_queries _smtp._tls.plain.dom.test TXT)" 0
	rm -r $other
	set_parameter mta_sts enforce
}

# A service that sends reports is enough, and no classes are needed.
case_reports_of_one_service() {
	postfix_set 'smtp_tlsrpt_enable = no' 'smtp_tls_policy_maps ='
	assert_answer report.dom.test ':[good.hosts.test]'
	postconf -P 'relay/unix/smtp_tlsrpt_enable=yes'
	assert_answer report.dom.test ''
	assert_answer plain.dom.test ':[ca.hosts.test]'
	postconf -PX relay/unix/smtp_tlsrpt_enable
	postfix_set "smtp_tls_policy_maps = $T"
}

# --- from here on Postfix is that of Debian sid ---

# A message to any@DOMAIN with REQUIRETLS, for each line of `DOMAIN EXPECTED': how
# received() says that it came, or why it is returned.
assert_required() { # < LINES
	local domain expected
	while read -r domain expected; do
		printf 'Subject: test\nTo: any@%s\n\ntest\n' "$domain" |
			sendmail -i -O requiretls=yes -f alice@mta.mxhop.test -- "any@$domain"
		case $expected in
		192.*)
			wait_for_log "to=<any@$domain>, .*status=sent"
			assert_match "$(received "any@$domain")" "^$expected requiretls\$" "$domain"
			;;
		*) wait_for_log "to=<any@$domain>, .*status=bounced \\(.*$expected" ;;
		esac
	done
	purge
}

# Such mail takes a class, or what the administrator says of the host of an override.
# Postfix does not ask for that of its own domain, nor of addresses.
case_requiretls() {
	local level='disables certificate matching'
	use_release sid
	standard_policies
	set_parameter overrides ldif:/etc/mxhop/overrides.ldif
	ldif_table <<-'END' | refresh_overrides
		gateway Key gateway.test; Hop [good.hosts.test]
		trusted Key trusted.test; Hop [second.hosts.test]
		address Key address.test; Hop [192.0.2.2]
	END
	echo '[second.hosts.test] secure match=hostname' >/etc/postfix/admin
	start_tls_postfix 3.11 "transport_maps = $M" 'mydomain = Own.test' \
		"smtp_tls_policy_maps = texthash:/etc/postfix/admin $T" \
		'smtp_dns_support_level = dnssec'
	assert_answer sts.dom.test ':[good.hosts.test]:025'
	assert_answer good.dane.test ':[good.signed.test]:0025'
	assert_answer plain.dom.test ':[ca.hosts.test]'
	assert_answer in.own.test ':[mx.own.test]'
	assert_answer out.own.test ''
	assert_answer hosted.dom.test ''
	assert_match "$(mxhop trace hosted.dom.test || true)" 'must be seen: either it or its host'
	assert_required <<-END
		gateway.test    $level
		trusted.test    192.0.2.1 tls=TLS[^ ]* sni=-
		address.test    192.0.2.2 tls=TLS[^ ]* sni=-
	END
	for _ in 'with lists' without; do
		assert_required <<-END
			sts.dom.test    192.0.2.1 tls=TLS[^ ]* sni=good.hosts.test
			good.dane.test  192.0.2.1 tls=TLS[^ ]* sni=good.signed.test
			onlyca.dom.test no trusted server certificate was found
			plain.dom.test  $level
			hosted.dom.test $level
			out.own.test    192.0.2.2 tls=TLS[^ ]* sni=-
			in.own.test     192.0.2.2 tls=TLS[^ ]* sni=-
		END
		mark
		postfix_set 'transport_maps ='
	done
	postfix_set "transport_maps = $M" 'smtp_requiretls_policy = enforce'
	assert_answer out.own.test ':[ca.hosts.test]'
	assert_answer hosted.dom.test ':[mx.own.test]'
	assert_required <<<"hosted.dom.test $level"
	postfix_set 'smtp_requiretls_policy = inline:{.own.test=opportunistic} enforce'
	assert_answer plain.dom.test ''
}
