# shellcheck shell=bash disable=SC2016
# An override is a promise, also when somebody edits it wrongly, breaks a file or
# has another parameter of Postfix in its way. These are rows of
# docs/overrides.md too; promise.t has the others.

. "$ROOT/tests/integration/promise.sh"
# shellcheck source=tests/integration/ldap.sh
. "$ROOT/tests/integration/ldap.sh"

setup() {
	promise_conf | start_promise
}

# A new message to DOMAIN goes to WHO and to nobody else.
goes() { # DOMAIN WHO
	local to=user$RANDOM@$1 outcome text
	send_to_all 20 "$to"
	IFS=$'\t' read -r _ outcome _ text <"$SCRATCH/outcomes"
	assert_eq "$outcome" "$2" "$1 ($text)"
	[[ $2 =~ ^(wait|reject|local)$ ]] || assert_eq "$(received)" "$to $2" "received"
}

# From known good overrides on, in a Postfix that runs.
good_overrides() {
	dns normal
	promise_conf >"$CF"
	cp "$SCRATCH"/{main,master}.cf /etc/postfix/
	promise_overrides <<-'END'
		a    Key a.test; Hop [gw.example]
		b    Key b.test; Hop [gw.example]
		c    Key c.test; Hop [gw.example]
		d    Key d.test; Hop [gw.example]
		late Key late.test; Mode defer
	END
	forget
	mark
}

edit_overrides() { # SED-EXPRESSION
	sed -i -E "$1" /etc/mxhop/overrides.ldif
}

# Nobody knows the host, and Postfix is asked a moment after the refresh.
case_first_message_to_a_new_override() {
	local i
	good_overrides
	for i in {1..5}; do
		{
			promise_rules
			echo "new$i.example A a 192.0.2.10"
		} | faultdns_rules resolver
		ldif_table <<<"new$i Key new$i.test; Hop [new$i.example]" >>/etc/mxhop/overrides.ldif
		mxhop refresh
		sleep 1
		goes "new$i.test" gw
	done
	refute_log 'status=(deferred|bounced)'
}

case_removed() {
	good_overrides
	goes late.test wait
	edit_overrides 's/^mxhopKey: late.test/mxhopKey: other.test/'
	assert_status 0 mxhop refresh
	sleep 1
	goes late.test mx1
	postqueue -f
	wait_queue_empty
}

# A domain whose answer is known and asked for all the time.
case_changes_to_a_domain_that_is_warm() {
	good_overrides
	goes plain.test mx1
	change_and_go gw 'x Key plain.test; Hop [gw.example]'
	change_and_go mx1
	change_and_go mx2 'x Key plain.test; Mode exclude; Exclude mx1.example'
	change_and_go gw2 'x Exchange mx1.example; Hop [gw2.example]'
	change_and_go gw 'x Key *; Hop [gw.example]'
	change_and_go mx2 'x Exchange mx1.example; Mode exclude; Exclude mx1.example'
	change_and_go gw2 'x Key .test; Hop [gw2.example]'
	change_and_go mx1 'x Key .test; Hop [gw2.example]' 'y Key plain.test; Mode pass'
	change_and_go wait 'x Key plain.test; Mode defer'
	change_and_go mx1 'x Key plain.test; Mode defer; Enabled FALSE'
}

change_and_go() { # WHO ENTRY...
	local who=$1
	shift
	printf '%s\n' "$@" | promise_overrides
	sleep 1.2
	goes plain.test "$who"
}

# The set under the name of the table is the one in force.
case_table_restored() {
	good_overrides
	cp -p "$TABLE" "$SCRATCH/backup"
	promise_overrides <<<'a Key a.test; Hop [gw2.example]'
	sleep 1.2
	goes a.test gw2
	cp -p "$SCRATCH/backup" "$TABLE.new"
	mv "$TABLE.new" "$TABLE"
	sleep 1.2
	goes a.test gw
	goes b.test gw
	assert_status 2 mxhop check
	assert_status 0 mxhop refresh --force
	sleep 1.2
	goes a.test gw2
}

case_edited_wrongly() {
	good_overrides
	edit_overrides '/^mxhopKey: a.test/,/^$/s/gw.example\]/&:99999/'
	ldif_table <<<'new Key new.test; Hop [gw2.example]' >>/etc/mxhop/overrides.ldif
	assert_status 65 mxhop refresh --strict
	goes new.test mx1
	assert_status 65 mxhop refresh
	assert_match "$OUTPUT" 'cn=a,ou=mxhop,dc=test'
	sleep 1
	goes a.test gw
	goes b.test gw
	goes new.test gw2
	assert_status 65 mxhop refresh
	assert_match "$OUTPUT" 'cn=a,ou=mxhop,dc=test'
	assert_status 1 mxhop check
	assert_match "$OUTPUT" 'cn=a,ou=mxhop,dc=test'
	edit_overrides 's/:99999//'
	assert_status 0 mxhop refresh
}

case_no_object_class() {
	good_overrides
	edit_overrides '/^dn: cn=a,/,/^$/{/^objectClass/d}'
	edit_overrides '/^dn: cn=b,/,/^$/s/mxhopOverride/mxhopOveride/'
	assert_status 65 mxhop refresh
	assert_match "$OUTPUT" 'cn=a,ou=mxhop,dc=test.*objectClass'
	assert_match "$OUTPUT" 'cn=b,ou=mxhop,dc=test.*objectClass'
	sleep 1
	goes a.test gw
	goes b.test gw
}

case_new_and_wrong() {
	good_overrides
	ldif_table <<<'new Key new.test; Hop [gw.example]:0' >>/etc/mxhop/overrides.ldif
	assert_status 65 mxhop refresh
	assert_match "$OUTPUT" 'cn=new,ou=mxhop,dc=test'
	goes new.test mx1
	goes a.test gw
}

case_large_removal() {
	good_overrides
	ldif_table >/etc/mxhop/overrides.ldif <<-'END'
		d    Key d.test; Hop [gw2.example]
		new  Key new.test; Hop [gw.example]
	END
	assert_status 75 mxhop refresh
	sleep 1
	goes a.test gw
	goes d.test gw2
	goes new.test gw
	assert_status 2 mxhop check
	assert_match "$OUTPUT" 'held back'
	assert_status 0 mxhop refresh --force
	sleep 1
	goes a.test mx1
	assert_status 0 mxhop check
}

# What comes to it waits outside, and nothing else does.
case_full_key() {
	local all=/etc/mxhop/overrides.ldif
	good_overrides
	for i in {0001..4096}; do
		printf '%s\n' "dn: cn=many$i,dc=test" 'objectClass: mxhopOverride' \
			"cn: many$i" 'mxhopKey: full.test' 'mxhopHop: [gw2.example]' ''
	done >>$all
	assert_status 0 mxhop refresh
	# One that is in force takes the key, too, a new one does, and one is urgent.
	edit_overrides 's/^mxhopKey: a.test/&\nmxhopKey: full.test/'
	ldap_like new full.test >>$all
	ldap_like urgent urgent.test >>$all
	assert_status 65 mxhop refresh
	assert_match "$OUTPUT" "$all:1: cn=a,ou=mxhop,dc=test: mxhopKey: full.test: at most 4096 entries, [^"$'\n'"]*last good version [^"$'\n'"]*stays in force"
	assert_match "$OUTPUT" 'cn=new,dc=test: mxhopKey: full.test: at most 4096 [^'$'\n'']*the entry is skipped'
	sleep 1
	goes a.test gw
	goes full.test gw2
	goes urgent.test gw
	assert_status 2 mxhop check
	assert_status 65 mxhop refresh
	assert_match "$OUTPUT" '\(unchanged\)'
	# Where there is room again, they are in force.
	edit_overrides '/^dn: cn=many000[1-9],/,/^$/d'
	assert_status 0 mxhop refresh
	sleep 1
	goes full.test gw
	assert_status 1 mxhop check # others take the key
}

ldap_like() { # NAME KEY
	printf '%s\n' "dn: cn=$1,dc=test" 'objectClass: mxhopOverride' "cn: $1" \
		"mxhopKey: $2" 'mxhopHop: [gw.example]' ''
}

# A directory with the entries of good_overrides, that is followed.
follow_directory() {
	good_overrides
	wipe_slapd dir
	start_slapd dir syncprov=100
	{
		for d in a b c d; do override $d $d.test '[gw.example]'; done
		override late late.test Mode=defer
	} | ldap_add dir
	printf '%s\n' 'overrides = ldap' 'ldap_server_host = ldap://127.0.0.1' \
		"ldap_search_base = $BASE" 'seed = tests' >"$CF"
	rm -f "$TABLE"*
	spawn follow mxhop refresh --follow
	eventually 10 test -e "$TABLE" || fail "no table: $(<"$SCRATCH/follow.log")"
	forget
	mark
}

# Mail goes by what the directory says a moment later, without a command.
case_follow() {
	follow_directory
	goes a.test gw
	goes late.test wait
	goes new.test mx1
	override new new.test '[gw2.example]' | ldap_add dir
	ldap_set dir a mxhopHop '[gw2.example]'
	sleep 3
	goes new.test gw2
	goes a.test gw2
	ldap_delete dir new late
	sleep 3
	goes new.test mx1
	goes late.test mx1
	goes b.test gw
	postqueue -f
	wait_queue_empty
	refute_log 'status=bounced'
	stop follow
}

case_follow_large_removal() {
	follow_directory
	{
		override new new.test '[gw.example]'
		for d in a b c d late; do
			printf '%s\n' "dn: cn=$d,$BASE" 'changetype: delete' ''
		done
	} | ldap_modify_or_add dir
	eventually 5 log_has "$SCRATCH/follow.log" 'held back' || fail "not said"
	sleep 3
	goes a.test gw
	goes late.test wait
	goes new.test gw
	assert_status 2 mxhop check
	assert_match "$OUTPUT" '5 removals are held back'
	override urgent urgent.test '[gw2.example]' | ldap_add dir
	sleep 3
	goes urgent.test gw2
	goes b.test gw
	assert_status 0 mxhop refresh --force
	sleep 1.2
	goes a.test mx1
	goes urgent.test gw2
	assert_status 0 mxhop check
	refute_log 'status=bounced'
	stop follow
}

# In one run of ldapmodify: what has no changetype is added.
ldap_modify_or_add() { # NAME < CHANGES
	ldap_as_admin ldapmodify "$1" -a >/dev/null
}

case_source_gone() {
	good_overrides
	mv /etc/mxhop/overrides.ldif{,.away}
	assert_status 74 mxhop refresh
	goes a.test gw
}

# What waited goes once the table is whole again.
case_table_damaged() {
	good_overrides
	rm "$TABLE"
	sleep 1.5
	goes a.test wait
	goes plain.test wait
	goes half.test local
	assert_status 0 mxhop refresh
	chmod 600 "$TABLE"
	forget
	goes a.test wait
	assert_status 2 mxhop check
	chmod 644 "$TABLE"
	sleep 1.5
	goes a.test gw
	postqueue -f
	wait_queue_empty
	refute_log 'status=bounced'
}

case_broken_config() {
	good_overrides
	goes a.test gw
	promise_conf 'max_hops = many' >"$CF"
	wait_for_log 'has changed -- restarting' 15
	goes a.test wait
	goes half.test local
	grep -F "$CF:4: max_hops" "$MAIL_LOG" || fail "the log does not name file and line"
	assert_status 0 smtp_try bob@plain.test "$ME"
	assert_status 0 smtp_try bob@a.test bob@half.test
	assert_status 0 smtp_try "$ME" user@a.test
	promise_conf >"$CF"
	eventually 20 goes_again || fail "still queued: $(queued)"
}

# qmgr(8) remembers the last answer: another address makes it ask again.
goes_again() {
	send_mail "$ME" "user$RANDOM@a.test"
	postqueue -f
	sleep 1
	queue_empty
}

case_relay_domains() {
	good_overrides
	postfix_set "relay_domains = $M" 'mynetworks ='
	for to in user@a.test user@plain.test user@late.test; do
		assert_status 1 smtp_try bob@plain.test "$to"
		assert_match "$OUTPUT" 'Relay access denied' "$to"
	done
	wait_for_log 'error: .*not answered: a parameter other than transport_maps'
	assert_status 2 mxhop check
	assert_match "$OUTPUT" 'relay_domains'
}

case_fallback_relay() {
	good_overrides
	promise_overrides <<-'END'
		down  Key down.test; Hop [192.0.2.99]
		safe  Key safe.test; Hop [192.0.2.99]; Transport other
	END
	postfix_set 'smtp_fallback_relay = [192.0.2.22]'
	postconf -P 'other/unix/smtp_fallback_relay='
	reload_postfix
	goes down.test s2
	goes safe.test wait
	assert_status 2 mxhop check
	assert_match "$OUTPUT" 'smtp_fallback_relay'
}

# What overrides do not cover takes the relayhost; the command says the same.
case_relayhost() {
	good_overrides
	promise_overrides <<-'END'
		a       Key a.test; Hop [gw.example]
		before  Key before.test; Mode prepend; Hop [gw.example]
		pass    Key .parent.test; Hop [gw.example]
		mode    Key sub.parent.test; Mode pass
	END
	postfix_set 'relayhost = [192.0.2.22]'
	goes plain.test s2
	goes sub.parent.test s2
	goes a.test gw
	goes before.test gw
	assert_status 1 mxhop lookup --format postfix plain.test
	assert_eq "$(mxhop lookup --format postfix a.test | cut -f 2)" ':[gw.example]'
	assert_eq "$(mxhop lookup --format postfix sub.parent.test | cut -f 2)" ':'
}

case_other_table() {
	good_overrides
	promise_overrides <<-'END'
		a     Key a.test; Hop [gw.example]
		b     Key b.test; Hop [gw.example]
		pass  Key c.test; Mode pass
	END
	printf '%s.test smtp:[192.0.2.22]\n' b c d >/etc/postfix/behind
	postmap hash:/etc/postfix/behind
	postfix_set "transport_maps = inline:{ a.test=smtp:[192.0.2.22] }, $M, hash:/etc/postfix/behind"
	goes a.test s2
	goes b.test gw
	goes c.test mx1
	goes d.test s2
}

case_unusable_pass() {
	good_overrides
	promise_conf 'on_override_unusable = pass' >"$CF"
	promise_overrides <<-'END'
		us      Key us.test; Hop [192.0.2.250]
		only    Key exclude-only.test; Mode exclude; Exclude mx1.example
	END
	forget
	goes us.test mx1
	goes exclude-only.test mx1
}

case_local_unknown() {
	good_overrides
	promise_overrides <<<'gone Key gone@mta.mxhop.test; Hop [gw.example]'
	assert_status 1 smtp_try bob@plain.test gone@mta.mxhop.test
	assert_match "$OUTPUT" '^550 5\.1\.1 .*User unknown'
}

# An alias that leads to the recipient does, the recipient's own no longer.
case_local_aliases() {
	good_overrides
	promise_overrides <<<'bob Key bob@mta.mxhop.test; Hop [gw.example]'
	cp /etc/aliases "$SCRATCH/aliases"
	printf '%s\n' 'staff: bob' 'bob: alice' >>/etc/aliases
	newaliases
	forget
	mark
	send_mail "$ME" bob@mta.mxhop.test staff@mta.mxhop.test
	wait_for_log 'to=<bob@mta.mxhop.test>, relay=gw.example.*status=sent'
	wait_for_log 'to=<bob@mta.mxhop.test>, orig_to=<staff@mta.mxhop.test>, relay=gw.example.*status=sent'
	wait_queue_empty
	refute_log 'to=<alice@'
	cp "$SCRATCH/aliases" /etc/aliases
	newaliases
}

# Without an account, and the alias counts only while nobody can tell what the
# override says.
case_local_moved() {
	good_overrides
	promise_overrides <<<'moved Key moved@mta.mxhop.test; Hop [gw.example]'
	cp /etc/aliases "$SCRATCH/aliases"
	echo 'moved: carol' >>/etc/aliases
	newaliases
	forget
	mark
	send_mail "$ME" moved@mta.mxhop.test
	wait_for_log 'to=<moved@mta.mxhop.test>, relay=gw.example.*status=sent'
	rm "$TABLE"
	forget
	mark
	send_mail "$ME" moved+2@mta.mxhop.test
	wait_for_log 'to=<carol@mta.mxhop.test>, orig_to=<moved\+2@mta.mxhop.test>.*status=sent'
	refute_log 'status=bounced'
	cp "$SCRATCH/aliases" /etc/aliases
	newaliases
}

case_local_alias() {
	good_overrides
	promise_overrides <<<'alias Key valias.test; Key user@valias.test; Hop [gw.example]'
	postfix_set 'virtual_alias_domains = valias.test' \
		'virtual_alias_maps = inline:{ user@valias.test=bob@half.test }'
	send_mail "$ME" user@valias.test
	wait_for_log 'to=<bob@half.test>, orig_to=<user@valias.test>, relay=local.*status=sent'
	assert_status 2 mxhop check
	assert_match "$OUTPUT" 'virtual_alias_maps'
}

case_postfix_is_well() {
	refute_match "$(<"$MAIL_LOG")" 'panic:|fatal:|killed by signal'
}
