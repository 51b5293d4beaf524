# shellcheck shell=bash disable=SC2016
# The configuration file: what is said about mistakes in it, what a running
# Postfix does with a broken one and how it recovers; and what the people at
# both ends of a rejected or deferred message see.

CF=/etc/mxhop/mxhop.cf

setup() {
	zone test <<-'END'
		plain   MX 10 mx1
		reject  MX 10 mx1
		own     MX 10 mx1
		defer   MX 10 mx1
		mx1     A 192.0.2.1
	END
	start_dns
	use_mxhop_plugin <<<''
	good_config
	printf '%s\n' \
		'dn: cn=reject,dc=test' 'objectClass: mxhopOverride' 'cn: reject' \
		'mxhopKey: reject.test' 'mxhopMode: reject' \
		'mxhopReason: This company is closed, try +49 30 123' '' \
		'dn: cn=own,dc=test' 'objectClass: mxhopOverride' 'cn: own' \
		'mxhopKey: own.test' 'mxhopMode: reject' '' \
		'dn: cn=defer,dc=test' 'objectClass: mxhopOverride' 'cn: defer' \
		'mxhopKey: defer.test' 'mxhopMode: defer' \
		'mxhopReason: Moving house until Monday' |
		refresh_overrides
	start_sink 192.0.2.1
	start_postfix "transport_maps = $M"
}

good_config() { # [LINE...]
	printf '%s\n' 'overrides = ldif:/etc/mxhop/overrides.ldif' \
		'lookup_budget = 2s' 'wait_share = 100%' "$@" >$CF
	echo 'cache = memory' >>$CF
}

# --- what is said about a mistake ---

# The same one line from every command, with status 78.
assert_config_error() { # FILE REGEX
	local command
	for command in 'lookup plain.test' 'trace plain.test' check refresh; do
		# shellcheck disable=SC2086
		assert_status 78 mxhop -c "$1" $command
		assert_match "$OUTPUT" "^mxhop: $2$" "$command"
	done
}

# Text of a configuration with one mistake, and where it is.
assert_mistake() { # LINE REGEX < TEXT
	cat >"$SCRATCH/bad.cf"
	assert_config_error "$SCRATCH/bad.cf" "$SCRATCH/bad.cf:$1: $2"
}

case_mistakes_have_file_and_line() {
	assert_mistake 3 'max_hop: unknown parameter; expected .*, perhaps max_hops' \
		<<<$'# comment\n\nmax_hop = 3'
	assert_mistake 1 'max_hops: "101"; expected a whole number from 1 to 100' <<<'max_hops = 101'
	assert_mistake 1 'max_hops: "3 # three"; expected .*; a comment needs a line of its own' \
		<<<'max_hops = 3 # three'
	assert_mistake 1 'max_hops: .*; write the value without quotes' <<<'max_hops = "3"'
	assert_mistake 1 'max_hops: "-1"; expected .*' <<<'max_hops = -1'
	assert_mistake 1 'max_hops: ""; expected .*' <<<'max_hops ='
	assert_mistake 1 'answer: "yes"; expected one of auto, list, override' <<<'answer = yes'
	assert_mistake 2 'ttl_max: "2x"; expected a time from 1s to 30d' <<<$'\nttl_max = 2x'
	assert_mistake 1 'wait_share: "101%"; expected a percentage from 0% to 100%' <<<'wait_share=101%'
	assert_mistake 1 'dns_servers: "ns.test"; expected an IP address .*' <<<'dns_servers = ns.test'
	assert_mistake 1 'override_table: "relative"; expected the absolute path .*' <<<'override_table = relative'
	assert_mistake 1 'overrides: "ldap:x"; expected ldap .*' <<<'overrides = ldap:x'
	assert_mistake 1 'own_addresses: "192.0.2.300"; expected .*' <<<'own_addresses = 192.0.2.300'
	assert_mistake 2 'just: no equals sign; expected name = value' <<<$'max_hops = 3\njust text'
	assert_mistake 3 'max_hops: given again, after line 1; expected once' \
		<<<$'max_hops = 3\n\nmax_hops = 4'
	assert_mistake 1 'white space: continues nothing; .*' <<<' max_hops = 3'
	assert_mistake 2 'NUL byte: not text; .*' < <(printf '\nmax_hops = \0 3\n')
	# The line where the parameter begins, not the one with the bad word.
	assert_mistake 2 'dns_servers: "bad"; .*' <<<$'# x\ndns_servers = 127.0.0.1\n  # y\n  bad'
}

case_files_that_cannot_be_read() {
	assert_config_error "$SCRATCH/none.cf" "$SCRATCH/none.cf: cannot be opened: No such file or directory; expected a readable file"
	assert_config_error /etc "/etc: not a regular file; expected one"
	mkfifo "$SCRATCH/fifo.cf"
	assert_config_error "$SCRATCH/fifo.cf" "$SCRATCH/fifo.cf: not a regular file; expected one"
	head -c 1100000 /dev/zero | tr '\0' '#' >"$SCRATCH/large.cf"
	assert_config_error "$SCRATCH/large.cf" "$SCRATCH/large.cf: larger than 1 MiB; .*"
	install -m 600 /dev/null /etc/mxhop/private.cf
	assert_status 78 setpriv --reuid bob --regid bob --clear-groups \
		mxhop -c /etc/mxhop/private.cf lookup plain.test
	assert_match "$OUTPUT" '^mxhop: /etc/mxhop/private.cf: cannot be opened: Permission denied'
}

case_check_prints_what_is_in_force() {
	printf '%s\n' '# a comment' 'max_hops =' '  7' 'dns_servers = 127.0.0.1:53' \
		'    # in between' '    [::1]:53' '' >"$SCRATCH/x.cf"
	assert_status 0 mxhop -c "$SCRATCH/x.cf" check
	assert_eq "$OUTPUT" "$SCRATCH/x.cf: 0 errors, 0 warnings"
	assert_status 0 mxhop -c "$SCRATCH/x.cf" check -v
	assert_match "$OUTPUT" $'(^|\n)max_hops = 7(\n|$)'
	assert_match "$OUTPUT" $'(^|\n)dns_servers = 127.0.0.1:53 \\[::1\\]:53(\n|$)'
	assert_match "$OUTPUT" $'(^|\n)on_null_mx = reject(\n|$)'
	# What it prints is a configuration that says the same.
	mxhop -c "$SCRATCH/x.cf" check -v >"$SCRATCH/printed.cf"
	assert_status 0 mxhop -c "$SCRATCH/printed.cf" check --verbose
	assert_eq "$(sed 1d <<<"$OUTPUT")" "$(sed 1d "$SCRATCH/printed.cf")"
}

case_check_defaults() {
	echo nonsense >"$SCRATCH/bad.cf"
	# The defaults can be had whatever the file is like, and are valid.
	assert_status 0 mxhop -c "$SCRATCH/bad.cf" check --defaults
	assert_match "$OUTPUT" $'(^|\n)max_hops = 3(\n|$)'
	assert_match "$OUTPUT" $'(^|\n)override_shrink_limit = 50%(\n|$)'
	assert_match "$OUTPUT" $'(^|\n)overrides =(\n|$)'
	printf '%s\n' "$OUTPUT" >"$SCRATCH/defaults.cf"
	: >"$SCRATCH/empty.cf"
	assert_status 0 mxhop -c "$SCRATCH/defaults.cf" check -v
	assert_eq "$(sed 1d <<<"$OUTPUT")" \
		"$(mxhop -c "$SCRATCH/empty.cf" check -v | sed 1d)" "defaults"
	assert_eq "$(grep -c ' =' "$SCRATCH/defaults.cf")" "$(wc -l <"$SCRATCH/defaults.cf")"
}

case_usage_errors() {
	assert_status 64 mxhop
	assert_status 64 mxhop frobnicate
	assert_match "$OUTPUT" 'unknown command "frobnicate"'
	assert_status 64 mxhop check --frob
	assert_eq "$OUTPUT" 'mxhop: --frob: no such option, or its argument is missing
mxhop: see mxhop --help for the arguments of check'
	assert_status 64 mxhop warm --jobs
	assert_match "$OUTPUT" '^mxhop: --jobs: no such option, or its argument is missing'
	assert_status 64 mxhop check one two
	assert_status 64 mxhop check --defaults file
	assert_status 64 mxhop lookup
	assert_status 64 mxhop lookup --format xml plain.test
	assert_match "$OUTPUT" 'unknown format "xml"; expected text, json, postfix or exim'
	assert_status 0 mxhop --version
	assert_match "$OUTPUT" '^mxhop [0-9]'
}

# Exit statuses a script can tell apart, and the gravest of several.
case_exit_statuses() {
	assert_status 0 mxhop lookup plain.test
	assert_status 1 mxhop lookup nowhere.invalid
	assert_status 69 mxhop lookup reject.test
	assert_match "$OUTPUT" '5\.7\.1'
	assert_status 75 mxhop lookup defer.test
	assert_status 75 mxhop lookup plain.test reject.test defer.test
	assert_status 69 mxhop lookup plain.test reject.test nowhere.invalid
	assert_eq "$(printf 'plain.test\nreject.test\n\nnowhere.invalid\n' |
		mxhop lookup --format postfix - || true)" \
		$'plain.test\t:[mx1.test]\nreject.test\terror:5.7.1 This company is closed, try +49 30 123'
}

# --- a running Postfix ---

# What breaks the file, and the line about it in the log. Remote mail waits
# while it is broken, and all of it flows again when it is mended; nobody
# reloads Postfix. What is queued meanwhile is not lost or bounced.
assert_breaks_and_recovers() { # USER LOG-REGEX
	wait_for_log "table $M.* has changed -- restarting" 15
	send_mail alice@mta.mxhop.test "$1@plain.test"
	wait_for_log "error: $M: .*$2.*Until this is mended, mail to other systems waits"
	wait_for_log "to=<$1@plain.test>.*status=deferred \\(Routing configuration is not usable"
	assert_eq "$(maillog | grep -c 'Until this is mended')" \
		"$(maillog | grep 'Until this is mended' | grep -o 'rewrite\[[0-9]*' | sort -u | wc -l)" \
		"once a process"
	refute_log "to=<$1@plain.test>.*status=(sent|bounced)"
	good_config
	eventually 20 sent_after_flush "$1@plain.test" || fail "not sent after the file was mended: $(queued)"
	wait_queue_empty
	refute_log 'reload --|status=bounced|panic:'
}

# qmgr(8) remembers the last answer it got for half a minute: another address
# makes it ask again.
sent_after_flush() { # ADDRESS
	send_mail alice@mta.mxhop.test "flush$RANDOM@plain.test"
	sleep 0.5
	postqueue -f
	sleep 0.5
	log_has "$MAIL_LOG" "to=<$1>, relay=mx1.test.*status=sent"
}

assert_works() { # USER
	send_mail alice@mta.mxhop.test "$1@plain.test"
	wait_for_log "to=<$1@plain.test>, relay=mx1.test.*status=sent"
}

case_broken_and_mended_in_place() {
	assert_works one
	sleep 1.1 # file times as Postfix compares them are in seconds
	good_config 'max_hops = many'
	assert_breaks_and_recovers two "$CF:4: max_hops: \"many\"; expected a whole number"
}

# A change that the time of the file does not show, as it is of the same second.
case_broken_and_mended_within_a_second() {
	assert_works five
	mark
	good_config 'max_hops = many'
	reload_postfix
	send_mail alice@mta.mxhop.test six@plain.test
	wait_for_log "error: .*$CF:4: max_hops"
	touch -r "$CF" "$SCRATCH/time"
	good_config
	touch -r "$SCRATCH/time" "$CF"
	# A second trivial-rewrite, idle so far, may be asked when the first has left,
	# and looks after ten seconds more.
	eventually 40 sent_after_flush six@plain.test || fail "not sent: $(queued)"
	wait_queue_empty
}

# While a file is so young that a further change may not show, daemons do not
# start again and again.
case_broken_and_young_for_seconds() {
	local i restarts
	assert_works seven
	good_config 'max_hops = many'
	mark
	reload_postfix
	for i in {1..15}; do
		touch "$CF"
		[[ $i -ne 2 ]] || send_mail alice@mta.mxhop.test eight@plain.test
		sleep 0.2
	done
	restarts=$(maillog | grep -c 'has changed -- restarting' || true)
	[[ $restarts -lt 10 ]] || fail "$restarts restarts in 3 s"
	good_config
	eventually 20 sent_after_flush eight@plain.test || fail "not sent: $(queued)"
	wait_queue_empty
}

case_removed_and_put_back() {
	assert_works three
	rm $CF
	assert_breaks_and_recovers four "$CF.*: No such file or directory"
}

# A change that is not a mistake is in force after the restart that it causes.
case_changed_under_postfix() {
	assert_works five
	sleep 1.1
	good_config 'local_domains = plain.test' 'transport = other'
	wait_for_log "table $M.* has changed -- restarting" 15
	assert_eq "$(postmap -q plain.test "$M" || true)" ''
	sed -i '/local_domains/d' $CF
	assert_eq "$(postmap -q plain.test "$M")" 'other:[mx1.test]'
	good_config
}

# Nothing in the file is wrong, but what else a table needs is missing.
case_resolv_conf_that_cannot_be_read() {
	stop_postfix
	mv /etc/resolv.conf "$SCRATCH/resolv.conf"
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("/etc/resolv.conf")'
	start_postfix
	mark
	send_mail alice@mta.mxhop.test resolv@own.test
	wait_for_log "error: $M: /etc/resolv.conf cannot be read.*mail to other systems waits"
	wait_for_log 'to=<resolv@own.test>.*status=deferred \(.*not usable'
	assert_status 0 smtp_try someone@over.test bob@mta.mxhop.test
	refute_log 'has changed -- restarting'
	rm /etc/resolv.conf
	mv "$SCRATCH/resolv.conf" /etc/resolv.conf
	eventually 30 rejected_anew || fail "still queued: $(queued)"
}

# qmgr(8) remembers its last answer: another address makes it ask again.
rejected_anew() {
	local user=anew$RANDOM
	send_mail alice@mta.mxhop.test "$user@own.test"
	eventually 2 log_has "$MAIL_LOG" "to=<$user@own.test>.*status=bounced"
}

# Where nothing asks for overrides, none is broken: Postfix does as without us.
# What counts as nothing is in test_conf.
case_broken_without_overrides() {
	printf '%s\n' 'overrides =' 'max_hops = many' >$CF
	mark
	reload_postfix
	send_mail alice@mta.mxhop.test nine@plain.test
	wait_for_log "error: $M: .*$CF:2: max_hops.*as if there were no such table"
	wait_for_log 'to=<nine@plain.test>, relay=mx1.test.*status=sent'
	good_config
	reload_postfix
}

# Whoever is local gets mail, and from anybody.
case_broken_and_mail_from_outside() {
	good_config 'max_hops = many'
	postfix_set 'smtpd_reject_unlisted_sender = yes' \
		'virtual_alias_domains = valias.test' 'virtual_alias_maps = inline:{info@valias.test=alice}'
	send_mail someone@plain.test bob@mta.mxhop.test info@valias.test alice+x@localhost
	wait_for_log 'to=<bob@mta.mxhop.test>, relay=local.*status=sent'
	wait_for_log 'to=<alice@mta.mxhop.test>, orig_to=<info@valias.test>, relay=local.*status=sent'
	wait_for_log 'to=<alice\+x@localhost>, relay=local.*status=sent'
	assert_status 0 smtp_try someone@plain.test bob@mta.mxhop.test
	assert_status 0 smtp_try someone@Plain.Test. bob@MTA.mxhop.test
	assert_status 0 smtp_try "" bob@mta.mxhop.test
	assert_status 1 smtp_try someone@plain.test nobody-at-all@mta.mxhop.test
	assert_match "$OUTPUT" '^550 5\.1\.1'
	wait_queue_empty
	postfix_unset smtpd_reject_unlisted_sender virtual_alias_domains virtual_alias_maps
	refute_log 'warning: .*problem'
	good_config
	reload_postfix
}

case_link_turned_to_a_good_file() {
	good_config
	cp $CF "$SCRATCH/good.cf"
	echo 'overrides = x' >"$SCRATCH/bad.cf"
	ln -sf "$SCRATCH/bad.cf" $CF
	touch -d '1 minute ago' "$SCRATCH"/{good,bad}.cf
	mark
	reload_postfix
	send_mail alice@mta.mxhop.test eleven@plain.test
	wait_for_log 'to=<eleven@plain.test>, relay=none.*status=deferred'
	ln -s "$SCRATCH/good.cf" $CF.new
	mv $CF.new $CF
	eventually 30 sent_after_flush eleven@plain.test || fail "not sent: $(queued)"
	rm $CF
	good_config
	reload_postfix
	drain
}

case_postmap_with_a_broken_file() {
	good_config 'max_hops = many'
	assert_status 1 postmap -q plain.test "$M"
	assert_match "$OUTPUT" "fatal: $M: $CF:4: max_hops: \"many\"; expected"
	refute_match "$OUTPUT" retry
	good_config
	assert_status 0 postmap -q plain.test "$M"
}

# --- what senders see ---

case_rejected_over_smtp() {
	assert_status 1 smtp_try alice@mta.mxhop.test user@reject.test
	assert_match "$OUTPUT" '^550 5\.7\.1 <user@reject.test>: .*This company is closed, try \+49 30 123$'
	assert_status 1 smtp_try alice@mta.mxhop.test user@own.test
	assert_match "$OUTPUT" '^550 5\.7\.1 <user@own.test>: .*Mail to this domain is not accepted here$'
	# Neither as a sender: inbound mail is none of an override's business.
	assert_status 0 smtp_try someone@reject.test bob@mta.mxhop.test
	assert_status 0 smtp_try someone@defer.test bob@mta.mxhop.test
	assert_status 0 smtp_try alice@mta.mxhop.test user@plain.test
}

# Unless it is asked for: rcpt.t has the default.
case_deferred_over_smtp() {
	assert_status 0 smtp_try alice@mta.mxhop.test user@defer.test
	good_config 'defer_service = retry'
	reload_postfix
	assert_status 1 smtp_try alice@mta.mxhop.test user@defer.test
	assert_match "$OUTPUT" '^450 4\.3\.5 <user@defer.test>: .*Moving house until Monday$'
	good_config
	reload_postfix
}

# Submitted by a program, mail is bounced once, with code and text, and at once.
case_rejected_in_the_bounce() {
	local before
	before=$(grep -c '^From ' /var/mail/alice 2>/dev/null || true)
	send_mail alice@mta.mxhop.test user@reject.test
	wait_for_log 'to=<user@reject.test>, .*dsn=5.7.1, status=bounced \(This company is closed, try \+49 30 123\)'
	wait_for_log 'to=<alice@mta.mxhop.test>.*status=sent \(delivered to mailbox\)'
	wait_queue_empty
	assert_eq "$(grep -c '^From ' /var/mail/alice)" $((${before:-0} + 1)) "bounces"
	assert_match "$(</var/mail/alice)" 'Final-Recipient: rfc822; user@reject.test'
	assert_match "$(</var/mail/alice)" $'\nStatus: 5.7.1\n'
	assert_match "$(</var/mail/alice)" 'Diagnostic-Code: X-Postfix; This company is closed'
	refute_match "$(</var/mail/alice)" 'Final-Recipient: rfc822; bob'
}

case_deferred_in_the_queue() {
	send_mail alice@mta.mxhop.test user@defer.test
	wait_for_log 'to=<user@defer.test>, .*dsn=4.3.5, status=deferred \(Moving house until Monday\)'
	assert_match "$(queued)" 'Moving house until Monday'
	refute_log 'status=bounced'
	# The override goes, and with it the reason to wait.
	sed -i 's/defer.test/other.test/' /etc/mxhop/overrides.ldif
	mxhop refresh
	eventually 15 sent_after_flush user@defer.test || fail "still queued: $(queued)"
}
