# shellcheck shell=bash disable=SC2016
# Overrides through the real Postfix table: what each mode makes of a domain's
# MX set, which entry wins, which ones do not count, and where mail then goes.

setup() {
	local d
	{
		for d in plain replace prepend append exclude merge pass reject defer \
			off past future inside edge self selfonly typo port99999 rcpt \
			parent sub.parent x.sub.parent own.sub.parent group1 group2 \
			suffix allgone prexclude clash transport addresses; do
			printf '%s MX 10 mx1\n%s MX 20 mx2\n' "$d" "$d"
		done
		printf 'null MX 0 .\n'
		cat <<-'END'
			mx1     A 192.0.2.1
			mx2     A 192.0.2.2
			relay   A 192.0.2.10
			relay2  A 192.0.2.11
			splice  MX 20 s2
			splice  MX 10 s1
			s1      A 192.0.2.21
			s2      A 192.0.2.22
			bysuffix  MX 10 mx.prov
			byexact   MX 10 mx.exact.prov
			bytie     MX 10 mx1
			bytie     MX 10 mx.prov
			bybackup  MX 10 mx1
			bybackup  MX 20 mx.prov
			bydomain  MX 10 mx.prov
			mx.prov        A 192.0.2.5
			mx.exact.prov  A 192.0.2.6
			lo.blocked     A 127.0.0.53
			a.blocked      A 0.0.0.0
			aaaa.blocked   AAAA ::
		END
	} | zone test
	zone mxhop.test <<-'END'
		mta   A 192.0.2.250
		alias A 192.0.2.250
	END
	start_dns
	use_mxhop_plugin <<-'END'
		overrides = ldif:/etc/mxhop/overrides.ldif
		cache = memory
		lookup_budget = 2s
		wait_share = 100%
		seed = tests
	END
	# A transport that names itself in the log.
	configure_postfix
	postconf -M 'other/unix=other unix - - y - - smtp -o syslog_name=postfix/other'
	ldif_table <<<"sentinel Key sentinel.test; Hop [192.0.2.99]" >/etc/mxhop/overrides.ldif
	mxhop refresh
	start_postfix "transport_maps = $M"
}

# These overrides, all there are, from now on. What refresh says is in $OUTPUT.
overrides() { # [STATUS] < TABLE
	{
		ldif_table
		ldif_table <<<"sentinel Key sentinel.test; Hop [192.0.2.99]"
	} >/etc/mxhop/overrides.ldif
	assert_status "${1:-0}" mxhop refresh --force
}

# What one postmap process answers for KEYS after it has had time to learn the
# addresses nobody waits for: `KEY<TAB>ANSWER` lines, none for what passes.
settled() { # KEY...
	{
		printf '%s\n' "$@" sentinel.test
		sleep 0.7
		printf '%s\n' "$@"
	} | postmap -q - "$M" | folded | sed '1,/^sentinel.test\t/d'
}

# Lines `KEY ANSWER`; the answer `-` is "not found".
assert_routes() {
	local key answer keys=() expected=''
	while read -r key answer; do
		keys+=("$key")
		[[ $answer == - ]] || expected+=$key$'\t'$answer$'\n'
	done
	assert_eq "$(settled "${keys[@]}")"$'\n' "$expected" "routes"
}

# A running Postfix sends mail for RECIPIENT to the host.
assert_delivered() { # RECIPIENT HOST-REGEX
	send_mail alice@mta.mxhop.test "$1"
	wait_for_log "to=<${1//+/\\+}>, .*relay=$2.*status=sent"
}

# Inside its jail trivial-rewrite can load no library.
case_a_key_that_is_not_ascii_in_the_jail() {
	overrides <<<'idn Key bücher.test; Mode reject; Reason Moved to books.test'
	postfix_set 'smtputf8_autodetect_classes = verify'
	send_mail alice@mta.mxhop.test user@bücher.test
	wait_for_log 'to=<user@b.*>.*status=bounced.*Moved to books.test'
	postfix_unset smtputf8_autodetect_classes
}

case_each_mode() {
	overrides <<-'END'
		replace  Key replace.test; Hop 20 [relay2.test]; Hop 10 [relay.test]:2525
		prepend  Key prepend.test; Mode prepend; Hop [relay.test]
		append   Key append.test; Mode append; Hop [relay.test]
		exclude  Key exclude.test; Mode exclude; Exclude mx1.test
		merge    Key merge.test; Mode merge; Hop 15 [relay.test]; Hop 5 [192.0.2.11]
		pass     Key pass.test; Mode pass
		reject   Key reject.test; Mode reject; Reason Not for us
		defer    Key defer.test; Mode defer; Reason Back tomorrow
	END
	assert_match "$OUTPUT" '^/var/lib/mxhop/overrides: 9 entries, id [0-9a-f]{8}, 0 skipped$'
	assert_routes <<-'END'
		plain.test    :[mx1.test], [mx2.test]
		replace.test  :[relay.test]:2525, [relay2.test]
		prepend.test  :[relay.test], [mx1.test], [mx2.test]
		append.test   :[mx1.test], [mx2.test], [relay.test]
		exclude.test  :[mx2.test]
		merge.test    :[192.0.2.11], [mx1.test], [relay.test]
		pass.test     :
		reject.test   error:5.7.1 Not for us
		defer.test    ./retry:4.3.5 Back tomorrow
	END
}

# The most specific key wins; `*` is less specific than an exchange.
case_by_domain_parent_and_star() {
	overrides <<-'END'
		star    Key *; Hop [192.0.2.40]
		parent  Key .parent.test; Hop [192.0.2.41]
		sub     Key .sub.parent.test; Hop [192.0.2.42]
		own     Key own.sub.parent.test; Key prepend.test; Hop [192.0.2.43]
		prov    Exchange .prov.test; Hop [192.0.2.44]
		local   Key mta.mxhop.test; Hop [192.0.2.45]
	END
	assert_routes <<-'END'
		plain.test           :[192.0.2.40]
		nowhere.invalid      :[192.0.2.40]
		bysuffix.test        :[192.0.2.44]
		parent.test          :[192.0.2.40]
		sub.parent.test      :[192.0.2.41]
		x.sub.parent.test    :[192.0.2.42]
		own.sub.parent.test  :[192.0.2.43]
		OWN.Sub.Parent.TEST. :[192.0.2.43]
		prepend.test         :[192.0.2.43]
		mta.mxhop.test       relay:[192.0.2.45]
		*                    -
		.parent.test         -
		alice@plain.test     -
		[192.0.2.9]          -
	END
}

# Postfix asks user+ext@domain, then user@domain, then the domain.
case_by_recipient() {
	overrides <<-'END'
		user  Key User@rcpt.test; Hop [192.0.2.50]
		ext   Key user+list@rcpt.test; Hop [192.0.2.51]
		boss  Key boss@rcpt.test; Mode prepend; Hop [192.0.2.52]
	END
	assert_routes <<-'END'
		user@rcpt.test       :[192.0.2.50]
		user+list@rcpt.test  :[192.0.2.51]
		user+none@rcpt.test  -
		boss@rcpt.test       :[192.0.2.52], [mx1.test], [mx2.test]
		other@rcpt.test      -
		rcpt.test            :[mx1.test], [mx2.test]
	END
	start_sink 192.0.2.1
	start_sink 192.0.2.50
	start_sink 192.0.2.51
	assert_delivered user@rcpt.test '192.0.2.50'
	assert_delivered user+none@rcpt.test '192.0.2.50'
	assert_delivered user+list@rcpt.test '192.0.2.51'
	assert_delivered other@rcpt.test 'mx1.test'
	# 192.0.2.52 refuses, and the MX set comes next.
	assert_delivered boss@rcpt.test 'mx1.test'
	wait_for_log 'connect to 192.0.2.52\[192.0.2.52\]:25: Connection refused'
	assert_eq "$(sink_messages 192.0.2.50)" 2 "messages at 192.0.2.50"
}

# An implicit MX host is an exchange too, a backup MX does not count.
case_by_exchange() {
	overrides <<-'END'
		suffix  Exchange .prov.test; Hop [192.0.2.30]
		exact   Exchange mx.exact.prov.test; Mode prepend; Hop [192.0.2.31]
		domain  Key bydomain.test; Hop [192.0.2.32]
	END
	assert_routes <<-'END'
		bysuffix.test  :[192.0.2.30]
		byexact.test   :[192.0.2.31], [mx.exact.prov.test]
		bytie.test     :[192.0.2.30]
		bybackup.test  :[mx1.test], [mx.prov.test]
		bydomain.test  :[192.0.2.32]
		plain.test     :[mx1.test], [mx2.test]
		mx.prov.test   :[192.0.2.30]
	END
	start_sink 192.0.2.30
	assert_delivered user@bysuffix.test 192.0.2.30
}

# A host at any preference counts, and another entry by exchange stays.
case_exclude_by_exchange() {
	overrides <<-'END'
		out    Exchange .prov.test; Mode exclude; Exclude .prov.test
		first  Exchange mx1.test; Mode prepend; Hop [192.0.2.33]; Transport other
		pass   Exchange mx.exact.prov.test; Mode pass; Transport other
		named  Key bydomain.test; Mode merge; Hop 20 [192.0.2.34]
	END
	assert_routes <<-'END'
		bybackup.test  other:[192.0.2.33], [mx1.test]
		bytie.test     other:[192.0.2.33], [mx1.test]
		bysuffix.test  ./retry:4.3.5 No usable next hop in the routing override
		byexact.test   ./retry:4.3.5 No usable next hop in the routing override
		bydomain.test  :[mx.prov.test], [192.0.2.34]
		splice.test    :[s1.test], [s2.test]
	END
}

# It lets nothing go that an entry for everything holds, or sends elsewhere.
case_exclude_by_exchange_beside_star() {
	local out='out Exchange .prov.test; Mode exclude; Exclude .prov.test'
	overrides <<<"$out"$'\nstar Key *; Hop [192.0.2.40]'
	assert_routes <<<'bybackup.test  :[192.0.2.40]'
	overrides <<<"$out"$'\nstar Key *; Mode defer; Reason Not now'
	assert_routes <<<'bybackup.test  ./retry:4.3.5 Not now'
	overrides <<<"$out"$'\nstar Key *; Mode pass; Transport other'
	assert_routes <<-'END'
		bybackup.test  other:[mx1.test]
		plain.test     other:
	END
}

# One that excludes nothing is as none, also where lists are for overrides only.
case_exclude_of_nothing() {
	trap 'sed -i /^answer/d /etc/mxhop/mxhop.cf; end_case' EXIT
	echo 'answer = override' >>/etc/mxhop/mxhop.cf
	overrides <<-'END'
		star    Key *; Mode exclude; Exclude .prov.test
		domain  Key plain.test; Mode exclude; Exclude mx9.test; Transport other
	END
	assert_routes <<-'END'
		plain.test       -
		replace.test     -
		null.test        -
		nowhere.invalid  -
		bybackup.test    :[mx1.test]
	END
}

generalized_time() { # OFFSET-IN-SECONDS
	date -u -d "@$(($(date +%s) + $1))" +%Y%m%d%H%M%SZ
}

case_switched_off_and_windows() {
	overrides <<-END
		off     Key off.test; Hop [192.0.2.60]; Enabled FALSE
		on      Key replace.test; Hop [192.0.2.60]; Enabled TRUE
		past    Key past.test; Hop [192.0.2.60]; NotAfter 20200101000000Z
		future  Key future.test; Hop [192.0.2.60]; NotBefore 20990101000000Z
		inside  Key inside.test; Hop [192.0.2.60]; NotBefore $(generalized_time -60); NotAfter $(generalized_time 600)
	END
	assert_match "$OUTPUT" 'overrides.ldif:[0-9]+: cn=past,ou=mxhop,dc=test: mxhopNotAfter: the window is past'
	refute_match "$OUTPUT" 'cn=(off|on|future|inside),'
	assert_routes <<-'END'
		off.test      :[mx1.test], [mx2.test]
		replace.test  :[192.0.2.60]
		past.test     :[mx1.test], [mx2.test]
		future.test   :[mx1.test], [mx2.test]
		inside.test   :[192.0.2.60]
	END
}

# A window's edge needs no refresh: the same process changes its answer.
case_window_edge_while_running() {
	overrides <<-END
		until  Key edge.test; Hop [192.0.2.60]; NotAfter $(generalized_time 8)
		from   Key plain.test; Hop [192.0.2.61]; NotBefore $(generalized_time 9)
	END
	{
		printf 'edge.test\nplain.test\n'
		sleep 10
		printf 'edge.test\nplain.test\n'
	} | postmap -q - "$M" | folded >"$SCRATCH/edge"
	assert_eq "$(<"$SCRATCH/edge")" "$(printf '%s\t%s\n' \
		edge.test ':[192.0.2.60]' plain.test ':[mx1.test], [mx2.test]' \
		edge.test ':[mx1.test], [mx2.test]' plain.test ':[192.0.2.61]')"
}

case_spliced_mx_name() {
	overrides <<-'END'
		bare   Key replace.test; Hop splice.test
		port   Key prepend.test; Mode prepend; Hop splice.test:2525
		null   Key merge.test; Mode merge; Hop 15 null.test
		gone   Key append.test; Mode append; Hop nowhere.invalid
		less   Key exclude.test; Hop splice.test; Exclude s1.test
	END
	assert_routes <<-'END'
		replace.test  :[s1.test], [s2.test]
		prepend.test  :[s1.test]:2525, [s2.test]:2525, [mx1.test]
		merge.test    :[mx1.test], [mx2.test]
		append.test   :[mx1.test], [mx2.test]
		exclude.test  :[s2.test]
	END
	# s1 refuses; cold or warm, mail finds s2.
	start_sink 192.0.2.22
	assert_delivered user@replace.test 's2.test\[192.0.2.22\]:25'
	start_sink 192.0.2.21:2525
	assert_delivered user@prepend.test 's1.test\[192.0.2.21\]:2525'
}

case_transport() {
	overrides <<-'END'
		transport  Key transport.test; Mode merge; Transport other
		both       Key replace.test; Hop [192.0.2.10]; Transport other
	END
	assert_routes <<-'END'
		transport.test  other:[mx1.test], [mx2.test]
		replace.test    other:[192.0.2.10]
	END
	start_sink 192.0.2.1
	assert_delivered user@transport.test 'mx1.test'
	wait_for_log 'postfix/other/smtp\[[0-9]+\]: .*to=<user@transport.test>'
}

# The same hosts, but a queue each: the strings differ in what smtp(8) skips.
case_group_domain() {
	local one two
	overrides <<-'END'
		group  Key group1.test; Key group2.test; Mode merge; Group domain
		site   Key replace.test; Key suffix.test; Mode merge; Group site
	END
	one=$(settled group1.test | cut -f 2)
	two=$(settled group2.test | cut -f 2)
	assert_match "$one" '^:\[mx1.test\], \[mx2.test\],[, ]+,$'
	assert_match "$two" '^:\[mx1.test\], \[mx2.test\],[, ]+,$'
	[[ $one != "$two" ]] || fail "one queue for both domains"
	assert_eq "$(settled group1.test | cut -f 2)" "$one" "a second process"
	assert_routes <<-'END'
		replace.test  :[mx1.test], [mx2.test]
		suffix.test   :[mx1.test], [mx2.test]
	END
	start_sink 192.0.2.2
	assert_delivered user@group1.test 'mx2.test'
	assert_delivered user@group2.test 'mx2.test'
}

case_excludes() {
	overrides <<-'END'
		suffix     Key suffix.test; Mode exclude; Exclude .exact.prov.test; Exclude mx2.test
		allgone    Key allgone.test; Mode exclude; Exclude .test
		prexclude  Key prexclude.test; Mode prepend; Hop [mx2.test]; Exclude mx2.test; Exclude other.test
		byexact    Key byexact.test; Mode append; Hop [relay.test]; Exclude .prov.test
	END
	# An override's own hop is not what it excludes.
	assert_routes <<-'END'
		suffix.test     :[mx1.test]
		allgone.test    ./retry:4.3.5 No usable next hop in the routing override
		prexclude.test  :[mx2.test], [mx1.test]
		byexact.test    :[relay.test]
	END
}

# We stay out of every list, by name and by address, or mail would loop.
case_hop_that_is_ourselves() {
	overrides <<-'END'
		self      Key self.test; Mode prepend; Hop [mta.mxhop.test]; Hop [192.0.2.250]; Hop [IPv6:2001:db8::250]
		selfonly  Key selfonly.test; Hop [192.0.2.250]
		filter    Key replace.test; Hop [127.0.0.1]:10025
	END
	assert_routes <<-'END'
		self.test      :[mx1.test], [mx2.test]
		selfonly.test  ./retry:4.3.5 No usable next hop in the routing override
		replace.test   :[127.0.0.1]:10025
	END
	start_sink 192.0.2.1
	assert_delivered user@self.test 'mx1.test'
	refute_log '5\.4\.6'
}

# The first message, and all that follow, wait.
case_hop_of_no_use() {
	overrides <<-'END'
		replace  Key replace.test; Hop [realy.test]
		append   Key append.test; Hop nowhere.invalid
		prepend  Key prepend.test; Hop null.test
		self     Key self.test; Hop [alias.mxhop.test]
	END
	send_mail alice@mta.mxhop.test user@replace.test user@append.test \
		user@prepend.test user@self.test
	for d in replace append prepend self; do
		wait_for_log "to=<user@$d.test>.*status=deferred"
	done
	assert_routes <<-'END'
		replace.test  ./retry:4.3.5 No usable next hop in the routing override
		append.test   ./retry:4.3.5 No usable next hop in the routing override
		prepend.test  ./retry:4.3.5 No usable next hop in the routing override
		self.test     ./retry:4.3.5 No usable next hop in the routing override
	END
	refute_log 'status=(bounced|sent)'
}

case_misspelt_hop() {
	overrides <<-'END'
		typo  Key typo.test; Mode append; Hop [realy.test]
		good  Key append.test; Mode append; Hop [relay.test]
	END
	assert_routes <<-'END'
		typo.test    :[mx1.test], [mx2.test]
		append.test  :[mx1.test], [mx2.test], [relay.test]
	END
	assert_status 1 mxhop check
	assert_match "$OUTPUT" 'cn=typo,ou=mxhop,dc=test: mxhopHop: realy.test has no address'
	refute_match "$OUTPUT" 'relay.test has no'
}

# Not only check, but already refresh says so.
case_misspelt_hop_is_reported_by_refresh() {
	overrides <<<'typo Key typo.test; Mode append; Hop [realy.test]'
	assert_match "$OUTPUT" 'cn=typo,ou=mxhop,dc=test: mxhopHop: realy.test has no address'
}

# An invalid entry is reported with its line, and disables no other.
case_invalid_entries_are_skipped() {
	overrides 65 <<-'END'
		port99999  Key port99999.test; Hop [relay.test]:99999
		mode       Key replace.test; Mode relpace; Hop [relay.test]
		time       Key past.test; Hop [relay.test]; NotAfter tomorrow
		hops       Key prepend.test; Mode prepend
		bytes      Key append.test; Hop [re,lay.test]
		nokey      Hop [relay.test]
		twice      Key merge.test; Hop [relay.test]; Mode merge; Mode append
		unknown    Key inside.test; Hop [relay.test]; Hopp [relay2.test]
		good       Key plain.test; Hop [relay.test]
	END
	assert_match "$OUTPUT" '/var/lib/mxhop/overrides: 2 entries, id [0-9a-f]{8}, 8 skipped$'
	assert_match "$OUTPUT" 'mxhop: /etc/mxhop/overrides.ldif:5: cn=port99999,ou=mxhop,dc=test: mxhopHop: "\[relay.test\]:99999": the port is a number from 1 to 65535; the entry is skipped'
	assert_match "$OUTPUT" 'overrides.ldif:11: cn=mode,[^:]*: mxhopMode: "relpace": expected replace, prepend'
	assert_match "$OUTPUT" 'cn=time,[^:]*: mxhopNotAfter: "tomorrow": expected a generalizedTime'
	assert_match "$OUTPUT" 'cn=hops,[^:]*: mxhopHop: this mxhopMode needs at least one hop'
	assert_match "$OUTPUT" 'cn=bytes,[^:]*: mxhopHop: "\[re,lay.test\]"'
	assert_match "$OUTPUT" 'cn=nokey,[^:]*: mxhopKey:'
	assert_match "$OUTPUT" 'cn=twice,[^:]*: mxhopMode: .*one value only'
	assert_match "$OUTPUT" 'cn=unknown,[^:]*: mxhopHopp: .*no such attribute'
	assert_routes <<-'END'
		port99999.test  :[mx1.test], [mx2.test]
		replace.test    :[mx1.test], [mx2.test]
		append.test     :[mx1.test], [mx2.test]
		plain.test      :[relay.test]
	END
	assert_status 2 mxhop check
	assert_match "$OUTPUT" 'warning: /etc/mxhop/overrides.ldif:5: cn=port99999,'
	assert_match "$OUTPUT" 'error: .*: 8 entries are left out'
	assert_match "$OUTPUT" 'ldif:/etc/mxhop/overrides.ldif: 2 valid entries, '
}

case_two_entries_for_one_key() {
	overrides <<-'END'
		zz  Key clash.test; Hop [192.0.2.70]
		aa  Key clash.test; Hop [192.0.2.71]
		bb  Key plain.test; Hop [192.0.2.72]; Enabled FALSE
		cc  Key plain.test; Hop [192.0.2.73]
	END
	assert_match "$OUTPUT" 'cn=zz,ou=mxhop,dc=test: mxhopKey: clash.test is taken by cn=aa,ou=mxhop,dc=test'
	refute_match "$OUTPUT" 'plain.test is taken'
	assert_routes <<-'END'
		clash.test  :[192.0.2.71]
		plain.test  :[192.0.2.73]
	END
}

# What an override is for in an outage: its own hops need no DNS answer.
case_hops_alone_when_dns_finds_nothing() {
	overrides <<-'END'
		prepend  Key one.nowhere.invalid; Mode prepend; Hop [192.0.2.80]
		append   Key two.nowhere.invalid; Mode append; Hop [192.0.2.81]
		merge    Key null.test; Mode merge; Hop 5 [192.0.2.82]
		exclude  Key three.nowhere.invalid; Mode exclude; Exclude mx1.test
	END
	assert_routes <<-'END'
		one.nowhere.invalid    :[192.0.2.80]
		two.nowhere.invalid    :[192.0.2.81]
		null.test              :[192.0.2.82]
		three.nowhere.invalid  -
	END
}

# The addresses in every spelling an administrator may use.
case_address_hops() {
	overrides <<-'END'
		addresses  Key addresses.test; Hop 1 [192.0.2.90]:2525; Hop 2 [IPv6:2001:DB8:0::90]; Hop 3 [2001:db8::91]:26
	END
	assert_routes <<-'END'
		addresses.test  :[192.0.2.90]:2525, [ipv6:2001:db8::90], [ipv6:2001:db8::91]:26
	END
	start_sink '[2001:db8::91]:26'
	assert_delivered user@addresses.test '2001:db8::91'
}

# Where Postfix listens at all addresses, each of these leads back to it: it would
# return the mail (5.4.6). Resolvers say 0.0.0.0 and :: of names that they block.
case_this_machine_by_any_address() {
	local key
	stop_postfix
	postconf -e 'inet_interfaces = all'
	cool_main_cf
	postfix start 2>/dev/null
	eventually 10 smtp_listening '*' || fail 'smtpd does not listen'
	overrides <<-'END'
		plain      Key plain.test; Hop [127.0.0.2]
		replace    Key replace.test; Hop [127.0.1.1]:25
		prepend    Key prepend.test; Hop [0.0.0.0]
		append     Key append.test; Hop [ipv6:::]
		merge      Key merge.test; Hop [lo.blocked.test]
		exclude    Key exclude.test; Hop [a.blocked.test]
		reject     Key reject.test; Hop [aaaa.blocked.test]
		transport  Key transport.test; Hop [127.0.0.2]:10025
	END
	mark
	for key in plain replace prepend append merge exclude reject; do
		assert_match "$(mxhop lookup --format postfix $key.test)" '^\./retry:4.3.5 No usable'
		send_mail alice@mta.mxhop.test "$key@$key.test"
		wait_for_log "to=<$key@$key.test>.*status=deferred \\(No usable next hop"
	done
	refute_log 'status=bounced'
	# Not a mail host: a content filter.
	assert_eq "$(postmap -q transport.test "$M")" ':[127.0.0.2]:10025'
	# And where it listens at its own addresses only, others may be somebody's.
	stop_postfix
	start_postfix 'inet_interfaces = 127.0.0.1, 192.0.2.250, [2001:db8::250]'
	assert_eq "$(postmap -q plain.test "$M")" ':[127.0.0.2]'
	assert_match "$(postmap -q prepend.test "$M")" '^\./retry:4.3.5 No usable'
}

# The trace and the JSON name the entry.
case_the_command_names_the_entry() {
	overrides <<-'END'
		prepend  Key prepend.test; Mode prepend; Hop [relay.test]
		prov     Exchange .prov.test; Hop [192.0.2.30]
	END
	assert_status 0 mxhop lookup --format json prepend.test
	assert_match "$OUTPUT" '"override":"cn=prepend,ou=mxhop,dc=test"'
	assert_match "$OUTPUT" '"host":"relay.test".*"host":"mx1.test".*"host":"mx2.test"'
	assert_status 0 mxhop trace user@bysuffix.test
	assert_match "$OUTPUT" 'mode replace, by exchange .prov.test'
	assert_match "$OUTPUT" 'cn=prov,ou=mxhop,dc=test'
}
