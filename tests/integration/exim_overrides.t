# shellcheck shell=bash disable=SC2016
# Exim and the promise of an override: mail that it covers goes where it says,
# or waits. None comes back, and none gets to a host that it is kept from,
# whatever is the matter with the hosts, the DNS or the override table.

# shellcheck source=tests/integration/exim.sh
. "$ROOT/tests/integration/exim.sh"

CF=/etc/mxhop/mxhop.cf
TABLE=/var/lib/mxhop/overrides

# Every domain's own mail host is 192.0.2.1; 192.0.2.2 is the second of two. The
# hosts of the overrides are none that can be used.
setup() {
	local d
	{
		cat <<-'END'
			mx1      A 192.0.2.1
			mx2      A 192.0.2.2
			relay    A 192.0.2.10
			us       A 192.0.2.250
			lo       A 127.0.0.1
			v6only   AAAA 2001:db8::6
			text     TXT "no address"
			null     MX 0 .
			usmx     MX 10 us
			hostless MX 10 missing
			two      MX 10 mx1
			two      MX 20 mx2
			two2     MX 10 mx1
			two2     MX 20 mx2
			exch     MX 10 mxe
			mxe      A 192.0.2.1
			implicit A 192.0.2.1
			own      MX 10 us
			plain    MX 10 mx1
			moved    MX 10 mx1
			prov     MX 10 in.prov
			in.prov  A 192.0.2.1
		END
		domains | sed 's/$/ MX 10 mx1/'
	} | zone test
	start_nsd
	start_faultdns lame 127.0.0.9:53 <<<'* * rcode=servfail'
	forward_domain lame.test 127.0.0.9
	start_faultdns slow 127.0.0.8:53 <<-'END'
		slow.example MX delay=4000 mx 10 mx1.test
	END
	forward_domain slow.example 127.0.0.8
	start_unbound 'cache-max-negative-ttl: 0'
	use_exim
	use_mxhop_for_exim <<<'overrides = ldif:/etc/mxhop/overrides.ldif'
	exim_conf <<-'END'
		disable_ipv6 = true
		dns_retrans = 1s
		dns_retry = 1
		domainlist relay_to_domains = relayed.test
	END
	waiting | sed 's/|.*//' >"$SCRATCH/waiting"
	{
		waiting | entries
		others
	} >/etc/mxhop/overrides.ldif
	mxhop refresh
	exim_keep
}

# RECIPIENT|KEY|ATTRIBUTE|... of an override with which mail has to wait.
waiting() {
	cat <<-'END'
		u@misspelt.test|misspelt.test|Hop: [realy.test]
		u@both.test|both.test|Hop: 10 [realy.test]|Hop: 20 [us.test]
		u@noaddr.test|noaddr.test|Hop: [text.test]
		u@v6.test|v6.test|Hop: [v6only.test]
		u@v6lit.test|v6lit.test|Hop: [IPv6:2001:db8::6]
		u@ushost.test|ushost.test|Hop: [us.test]
		u@usname.test|usname.test|Hop: [mta.mxhop.test]
		u@uslit.test|uslit.test|Hop: [192.0.2.250]
		u@loop.test|loop.test|Hop: [lo.test]
		u@bare.test|bare.test|Hop: nowhere.test
		u@barenull.test|barenull.test|Hop: null.test
		u@bareus.test|bareus.test|Hop: usmx.test
		u@barehostless.test|barehostless.test|Hop: hostless.test
		u@servfail.test|servfail.test|Hop: [x.lame.test]
		u@barefail.test|barefail.test|Hop: lame.test
		u@only.test|only.test|Mode: exclude|Exclude: mx1.test
		u@two.test|two.test|Mode: exclude|Exclude: .test
		u@implicit.test|implicit.test|Mode: exclude|Exclude: implicit.test
		u@pre.test|pre.test|Mode: prepend|Hop: [realy.test]|Exclude: mx1.test
		u@app.test|app.test|Mode: append|Hop: [us.test]|Exclude: mx1.test
		u@merge.test|merge.test|Mode: merge|Hop: nowhere.test|Exclude: mx1.test
		vip@rcpt.test|vip@rcpt.test|Hop: [realy.test]
		u@below.parent.test|.parent.test|Hop: [us.test]
		u@nomx.example|nomx.example|Hop: [realy.test]
		u@held.test|held.test|Mode: defer|Reason: Moving until noon
		u@slow.example|slow.example|Mode: exclude|Exclude: mx1.test
	END
}

domains() {
	waiting | sed -nE 's/^.*@([a-z0-9]+)\.test\|.*/\1/p' | grep -vE '^(two|implicit)$'
	echo below.parent
	printf '%s\n' new passed passvip typed
}

entries() { # < RECIPIENT|KEY|ATTRIBUTE|...
	awk -F '|' '{
		printf "dn: cn=%d,ou=mxhop\nobjectClass: mxhopOverride\ncn: %d\nmxhopKey: %s\n", NR, NR, $2
		for (i = 3; i <= NF; i++) print "mxhop" $i
		print ""
	}'
}

entry() { # NAME ATTRIBUTE...
	printf 'dn: cn=%s,ou=mxhop\nobjectClass: mxhopOverride\ncn: %s\n' "$1" "$1"
	shift
	printf 'mxhop%s\n' "$@"
	echo
}

others() {
	entry exch 'Exchange: mxe.test' 'Hop: [realy.test]'
	entry passvip 'Key: passvip.test' 'Hop: [relay.test]'
	entry vip 'Key: vip@passvip.test' 'Mode: pass'
	entry typed 'Key: typed.test' 'Mode: pass' 'Transport: other_smtp'
	entry prov 'Exchange: .prov.test' 'Mode: pass' 'Transport: other_smtp'
	entry one 'Key: one@plain.test' 'Hop: [relay.test]'
}

# ---- mail waits ----

start_sinks() {
	local i
	for i in 1 2 10; do start_sink 192.0.2.$i; done
}

send_to_all() { # RECIPIENTS-FILE
	local all
	mapfile -t all <"$1"
	exim_send alice@mta.mxhop.test "${all[@]}"
}

# Of the message just sent: every recipient waits, nobody got anything.
assert_all_wait() { # RECIPIENTS-FILE
	local r
	while read -r r; do
		assert_exim_log "== $r .*R=(mxhop_route|mxhop_rest) defer"
	done <"$1"
	refute_exim_log ' \*\* |[Ff]rozen|R=dnslookup|(=>|->) '
	for i in 1 2 10; do assert_eq "$(sink_messages 192.0.2.$i)" 0 "192.0.2.$i"; done
	assert_eq "$(exim_queue)" 1
	assert_no_panic
}

# The recipient by exchange too, where the MX records are known.
all_waiting() {
	cat "$SCRATCH/waiting"
	echo u@exch.test
}

case_mail_waits_cold() {
	start_sinks
	all_waiting >"$SCRATCH/all"
	rm -rf /run/mxhop/*
	send_to_all "$SCRATCH/all"
	assert_all_wait "$SCRATCH/all"
}

# Everything that there is to know is in the cache: from deliveries, and from the
# command, which asks for the hosts of overrides too.
case_mail_waits_warm() {
	start_sinks
	all_waiting >"$SCRATCH/all"
	send_to_all "$SCRATCH/all"
	exim_purge
	mxhop lookup - <"$SCRATCH/all" >/dev/null || true
	mxhop lookup - <"$SCRATCH/all" >/dev/null || true
	EXIM_LOG_FROM=$(stat -c %s "$EXIM_LOG")
	send_to_all "$SCRATCH/all"
	assert_all_wait "$SCRATCH/all"
}

case_mail_waits_while_the_dns_is_dead() {
	local state
	start_sinks
	for state in warm cold; do
		kill -CONT "$(cat "$SCRATCH/pids/unbound")"
		send_to_all "$SCRATCH/waiting"
		exim_purge
		kill -STOP "$(cat "$SCRATCH/pids/unbound")"
		[[ $state == warm ]] || rm -rf /run/mxhop/*
		EXIM_LOG_FROM=$(stat -c %s "$EXIM_LOG")
		send_to_all "$SCRATCH/waiting"
		kill -CONT "$(cat "$SCRATCH/pids/unbound")"
		assert_all_wait "$SCRATCH/waiting"
		exim_purge
	done
}

# An override may be there, nobody knows which.
case_mail_waits_while_the_table_is_damaged() {
	local how
	start_sinks
	cp $TABLE /run/good
	for how in 'truncate -s 5000' 'truncate -s 0' 'rm' 'overwritten'; do
		cp /run/good $TABLE
		if [[ $how == overwritten ]]; then
			dd if=/dev/urandom of=$TABLE bs=4096 seek=1 conv=notrunc \
				count=$(($(stat -c %s $TABLE) / 4096 - 1)) 2>/dev/null
		else
			$how $TABLE
		fi
		EXIM_LOG_FROM=$(stat -c %s "$EXIM_LOG")
		send_to_all "$SCRATCH/waiting"
		assert_all_wait "$SCRATCH/waiting"
		exim_purge
	done
	cp /run/good $TABLE
	exim_send alice@mta.mxhop.test u@plain.test
	assert_eq "$(sink_recipients 192.0.2.1)" u@plain.test
}

case_mail_goes_when_the_host_is_there() {
	entry later 'Key: later.test' 'Hop: [host.later.test]' >>/etc/mxhop/overrides.ldif
	mxhop refresh
	start_sinks
	exim_send alice@mta.mxhop.test u@later.test u@plain.test
	assert_eq "$(sink_recipients 192.0.2.1)" u@plain.test
	echo 'host.later A 192.0.2.10' >>"$SCRATCH/zones/test"
	start_nsd
	dns_flush
	mxhop cache flush
	exim -qff
	assert_eq "$(sink_recipients 192.0.2.10)" u@later.test
	assert_eq "$(exim_queue)" 0
	assert_no_panic
}

# The log says why, as the client is told without defer_ok.
case_the_reason_is_in_the_log() {
	exim_send alice@mta.mxhop.test u@held.test u@only.test u@misspelt.test
	assert_exim_log '== u@held.test R=mxhop_rest defer \(-1\).*: 451 4.3.5 Moving until noon$'
	for i in only misspelt; do
		assert_exim_log "== u@$i.test R=mxhop_rest defer \\(-1\\).*: 451 4.3.5 No usable next hop in the routing override$"
	done
	refute_exim_log 'failed to expand'
}

# That the host is this system is known to Exim only: the address of a router
# before it, for example.
case_this_system_under_an_address_that_only_exim_knows() {
	sed -i '1i extra_local_interfaces = 192.0.2.10' /etc/exim4/exim4.conf
	start_sinks
	exim_send alice@mta.mxhop.test one@plain.test a@passvip.test u@plain.test
	for i in one@plain a@passvip; do
		assert_exim_log "== $i.test R=mxhop_rest defer .*: 451 4.3.5 The host that the override names is this system itself$"
	done
	assert_eq "$(sink_recipients 192.0.2.1)" u@plain.test
	assert_eq "$(sink_messages 192.0.2.10)" 0
	assert_no_panic
}

# Nobody has asked for the host before, nor Exim for the domain.
case_a_new_override_delivers_at_once() {
	start_sinks
	entry new 'Key: new.test' 'Hop: [relay.test]' >>/etc/mxhop/overrides.ldif
	mxhop refresh
	rm -rf /run/mxhop/*
	exim_send alice@mta.mxhop.test u@new.test
	assert_eq "$(sink_recipients 192.0.2.10)" u@new.test
	assert_eq "$(exim_queue)" 0
}

# ---- sessions ----

start_exim() {
	spawn exim exim -bdf -oX 127.0.0.1.2525
	eventually 5 smtp_listening 127.0.0.1 2525 || fail "Exim does not listen"
}

# Recipients whose mail waits are accepted, and senders in their domains as well.
case_sessions() {
	local r
	sed -i 's/^  require verify = recipient.*/&\n  require verify = sender/' /etc/exim4/exim4.conf
	start_exim
	for r in u@held.test u@only.test u@misspelt.test u@ushost.test u@bare.test vip@rcpt.test; do
		assert_match "$(smtp_try a@plain.test $r 127.0.0.1 2525)" '^250' "$r"
	done
	for r in u@held.test u@only.test u@misspelt.test u@bare.test; do
		assert_match "$(smtp_try $r u@plain.test 127.0.0.1 2525)" '^250' "from $r"
	done
	rm $TABLE
	assert_match "$(smtp_try a@plain.test u@plain.test 127.0.0.1 2525)" '^250'
	assert_no_panic
}

# ---- pass ----

# Who is named goes to the domain's own hosts, who is not where the domain's
# override says, in one message, whoever is first.
case_pass_for_a_recipient_of_an_overridden_domain() {
	start_sinks
	exim_send alice@mta.mxhop.test vip@passvip.test a@passvip.test
	exim_send alice@mta.mxhop.test b@passvip.test vip@passvip.test
	assert_eq "$(sink_recipients 192.0.2.1 | paste -sd ' ')" 'vip@passvip.test vip@passvip.test'
	assert_eq "$(sink_recipients 192.0.2.10 | sort | paste -sd ' ')" 'a@passvip.test b@passvip.test'
}

with_other_smtp() {
	sed -i 's/^begin transports/&\n\nother_smtp:\n  driver = smtp/' "$1"
}

case_pass_with_a_transport() {
	with_other_smtp /etc/exim4/exim4.conf
	start_sinks
	exim_send alice@mta.mxhop.test u@typed.test u@prov.test u@plain.test
	assert_exim_log '=> u@typed.test .*R=dnslookup T=other_smtp .*H=mx1.test'
	assert_exim_log '=> u@prov.test .*R=dnslookup T=other_smtp .*H=in.prov.test'
	assert_exim_log '=> u@plain.test .*T=remote_smtp .*H=mx1.test'
	assert_no_panic
}

# Debian's own router would send `one' where its domain goes, and leave out the
# transport.
case_debian_with_answer_override() {
	echo 'answer = override' >>$CF
	cp -a "$ROOT"/contrib/exim/debian/. /etc/exim4/conf.d/
	printf "%s='%s'\n" dc_eximconfig_configtype internet dc_other_hostnames localhost \
		dc_local_interfaces 127.0.0.1 dc_use_split_config true \
		>/etc/exim4/update-exim4.conf.conf
	update-exim4.conf -o /run/debian.conf
	sed -i 's/^CFILEMODE.*//' /run/debian.conf
	with_other_smtp /run/debian.conf
	cp /run/debian.conf /etc/exim4/exim4.conf
	start_sinks
	exim_send alice@mta.mxhop.test a@plain.test one@plain.test b@plain.test \
		u@typed.test u@misspelt.test vip@passvip.test a@passvip.test
	assert_eq "$(sink_recipients 192.0.2.10 | sort | paste -sd ' ')" 'a@passvip.test one@plain.test'
	assert_eq "$(sink_recipients 192.0.2.1 | sort | paste -sd ' ')" \
		'a@plain.test b@plain.test u@typed.test vip@passvip.test'
	assert_exim_log '=> u@typed.test .*T=other_smtp'
	assert_exim_log '== u@misspelt.test .*R=mxhop_rest defer'
	assert_no_panic
}

# ---- local domains ----

with_local() { # OTHER-LOCAL-DOMAINS
	sed -i -e "s/^domainlist local_domains.*/& $1\nMXHOP_LOCAL = yes/" \
		-e 's,^  file = /var/mail/.*,  file = /run/mail/$local_part_data\n  user = Debian-exim\n  current_directory = /,' \
		/etc/exim4/exim4.conf
	install -d -o Debian-exim /run/mail
}

# Only what names exactly this recipient or this domain counts, and nothing where
# mxhop cannot say.
case_overrides_for_local_recipients_and_domains() {
	with_local ': half.test : mx1.example'
	{
		entry mailbox 'Key: moved@mta.mxhop.test' 'Hop: [relay.test]'
		entry half 'Key: half.test' 'Hop: [realy.test]'
		entry here 'Key: alice@half.test' 'Mode: pass'
		entry all 'Key: *' 'Hop: [relay.test]'
	} >>/etc/mxhop/overrides.ldif
	mxhop refresh
	start_sinks
	exim_send bob@mta.mxhop.test moved@mta.mxhop.test alice@mta.mxhop.test \
		alice@half.test bob@half.test alice@mx1.example
	assert_eq "$(sink_recipients 192.0.2.10 | sort | paste -sd ' ')" moved@mta.mxhop.test
	assert_exim_log '== bob@half.test .*R=mxhop_rest defer'
	for i in mta.mxhop.test half.test mx1.example; do
		assert_exim_log "> alice <alice@$i> .*R=local_user"
	done
	assert_eq "$(exim_queue)" 1
	exim_purge
	rm $TABLE
	exim_send bob@mta.mxhop.test bob@mta.mxhop.test
	assert_exim_log '> bob <bob@mta.mxhop.test> .*R=local_user'
	assert_no_panic
}

# What the parameter says of others than Exim's domains changes nothing.
case_other_local_domains_in_the_configuration() {
	with_local ''
	echo 'local_domains = plain.test' >>$CF
	entry all 'Key: *' 'Hop: [relay.test]' >>/etc/mxhop/overrides.ldif
	mxhop refresh
	exim_send bob@mta.mxhop.test alice@mta.mxhop.test
	assert_exim_log '> alice <alice@mta.mxhop.test> .*R=local_user'
}
