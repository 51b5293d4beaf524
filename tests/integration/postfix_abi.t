# shellcheck shell=bash disable=SC2016
# The table type mxhop as Postfix sees it: open, ask, close, broken and mended
# configuration, what is local, and what makes `answer = auto` hold back.

setup() {
	local d
	for d in example other sub.example v1 v2 v3 w1 relayed u.relayed multi; do
		zone "$d.test" <<-'END'
			@  MX 10 mx
			mx A 192.0.2.1
		END
	done
	zone xn--lcal-5qa.test <<-'END'
		@  MX 10 mx
		mx A 192.0.2.1
	END
	start_dns
	good_config
	use_mxhop_plugin </etc/mxhop/mxhop.cf
	postconf -e "transport_maps = $M"
	touch -d '1 minute ago' /etc/postfix/main.cf
	cp -p /etc/postfix/main.cf "$SCRATCH/main.cf.good"
	cp /etc/postfix/master.cf "$SCRATCH/master.cf.good"
}

good_config() {
	cat >/etc/mxhop/mxhop.cf <<-'END'
		cache = memory
		lookup_budget = 2000
	END
}

# What earlier cases did to Postfix's own configuration, undone.
fresh() {
	cp -p "$SCRATCH/main.cf.good" /etc/postfix/main.cf
	cp "$SCRATCH/master.cf.good" /etc/postfix/master.cf
	good_config
}

# Postfix would wait for a main.cf that was changed this second.
main_cf() { # NAME=VALUE...
	postconf -e "$@"
	touch -d '1 minute ago' /etc/postfix/main.cf
}

ask() { # KEY [TABLE]
	postmap -q "$1" "${2:-$M}" 2>"$SCRATCH/stderr"
}

assert_routed() { # DOMAIN...
	local d
	for d; do
		assert_eq "$(ask "$d" || true)" ":[mx.$d]" "$d ($(<"$SCRATCH/stderr"))"
	done
}

assert_passed() { # DOMAIN...
	local d
	for d; do
		assert_eq "$(ask "$d" || true)" '' "$d ($(<"$SCRATCH/stderr"))"
		refute_match "$(<"$SCRATCH/stderr")" 'fatal:' "$d"
	done
}

# --- the table type ---

case_postconf_lists_the_types() {
	assert_match "$(postconf -m)" $'(^|\n)mxhop(\n|$)'
	assert_match "$(postconf -m)" $'(^|\n)mxhop_tls(\n|$)'
}

case_plugin_exports_two_symbols() {
	local symbols
	symbols=$(nm -D --defined-only "$MXHOP_BUILD/plugins/postfix-mxhop.so" |
		awk '$2 ~ /^[TDBRVW]$/ { print $3 }')
	assert_eq "$symbols" $'dict_mxhop_open\ndict_mxhop_tls_open'
}

case_postmap_q() {
	fresh
	assert_routed example.test
	assert_status 1 postmap -q '' "$M"
	assert_status 1 postmap -q '*' "$M"
	assert_status 1 postmap -q '[192.0.2.1]' "$M"
	assert_status 1 postmap -q .example.test "$M"
	assert_status 1 postmap -q user+ext@example.test "$M"
}

case_postmap_q_stdin_writes_answers_only() {
	local answers
	answers=$(printf '%s\n' example.test user@example.test '*' .test EXAMPLE.Test \
		other.test | postmap -q - "$M" 2>/dev/null)
	assert_eq "$answers" "$(printf '%s\t:[mx.%s.test]\n' example.test example \
		EXAMPLE.Test example other.test other)"
}

case_postmap_s_is_refused_cleanly() {
	assert_status 1 postmap -s "$M"
	assert_match "$OUTPUT" 'fatal: .*sequence operation is not supported'
}

# None of these may harm the configuration file, which is the table's name.
case_postmap_cannot_write() {
	fresh
	assert_status 1 postmap "$M"
	assert_status 1 postmap -d example.test "$M"
	assert_match "$OUTPUT" "fatal: $M: .*only be read"
	assert_status 1 postmap -i "$M" </dev/null
	assert_status 1 postmap -r "$M" </dev/null
	assert_match "$(</etc/mxhop/mxhop.cf)" 'cache = memory'
}

case_broken_configuration_ends_postmap() {
	echo 'broken_parameter = 1' >/etc/mxhop/mxhop.cf
	assert_status 1 postmap -q example.test "$M"
	assert_match "$OUTPUT" "fatal: $M: .*broken_parameter"
	rm /etc/mxhop/mxhop.cf
	assert_status 1 postmap -q example.test "$M"
	assert_match "$OUTPUT" "fatal: $M: "
	good_config
}

case_another_instance() {
	fresh
	rm -rf /etc/postfix-b
	cp -a /etc/postfix /etc/postfix-b
	postconf -c /etc/postfix-b -e 'mydestination = multi.test'
	assert_routed multi.test
	assert_status 1 postmap -c /etc/postfix-b -q multi.test "$M"
	refute_match "$OUTPUT" fatal
	# Its master.cf too, not the first instance's.
	printf 'x unix - - n - - smtp\n -o smtp_enforce_tls=yes\n' \
		>>/etc/postfix-b/master.cf
	assert_match "$(postmap -c /etc/postfix-b -q example.test "$M" 2>&1)" smtp_enforce_tls
	refute_match "$(postmap -q example.test "$M" 2>&1)" smtp_enforce_tls
}

# --- local domains ---

case_local_from_literal_values() {
	fresh
	assert_routed example.test
	main_cf 'mydestination = $myhostname, example.test' \
		'virtual_alias_domains = V1.test' 'virtual_mailbox_domains = v2.test'
	assert_passed mta.mxhop.test example.test EXAMPLE.test v1.test v2.test
	assert_routed other.test sub.example.test
}

case_local_with_negation_and_file() {
	fresh
	echo v1.test >/etc/postfix/names
	main_cf 'mydestination = !example.test, /etc/postfix/names, example.test'
	assert_passed v1.test
	assert_routed example.test
}

case_local_from_tables() {
	local type
	fresh
	printf '%s\n' 'v1.test any' 'user@v2.test any' >/etc/postfix/names
	for type in hash lmdb proxy:hash; do
		postmap "${type#proxy:}:/etc/postfix/names"
		main_cf "virtual_alias_domains = $type:/etc/postfix/names"
		assert_passed v1.test
		assert_routed v2.test
	done
}

# virtual_alias_domains is $virtual_alias_maps, virtual_mailbox_domains is
# $virtual_mailbox_maps; postmap(1) does not know either.
case_local_by_default_values() {
	fresh
	assert_passed mta.mxhop.test localhost
	echo 'v1.test any' >/etc/postfix/names
	postmap hash:/etc/postfix/names
	main_cf 'virtual_alias_maps = hash:/etc/postfix/names'
	assert_passed v1.test
	postconf -X virtual_alias_maps
	touch -d '1 minute ago' /etc/postfix/main.cf
	assert_routed v1.test
	main_cf 'virtual_mailbox_maps = hash:/etc/postfix/names'
	assert_passed v1.test
}

# Since 3.11 they have a process_name and a service_name, too. No proxymap(8)
# runs that they could ask, and the table would not answer if it took them for
# daemons.
case_commands_are_no_daemons() {
	fresh
	echo 'v1.test any' >/etc/postfix/names
	postmap hash:/etc/postfix/names
	main_cf 'process_name = postmap' 'service_name = postmap' \
		'virtual_alias_domains = proxy:hash:/etc/postfix/names'
	assert_passed v1.test
	assert_routed v2.test
	echo 'broken_parameter = 1' >/etc/mxhop/mxhop.cf
	assert_status 1 postmap -q v2.test "$M"
	assert_match "$OUTPUT" fatal:
	fresh
}

case_table_that_fails_means_pass() {
	fresh
	main_cf 'virtual_alias_domains = hash:/etc/postfix/nonexistent'
	assert_passed example.test
	main_cf 'virtual_alias_domains = /etc/postfix/nonexistent'
	assert_passed example.test
}

case_relay_domains_only_with_a_transport_of_their_own() {
	local t
	fresh
	main_cf 'relay_domains = relayed.test'
	for t in relay smtp relay: smtp:; do
		main_cf "relay_transport = $t"
		assert_routed relayed.test
	done
	for t in 'relay:[192.0.2.7]' lmtp:unix:private/x; do
		main_cf "relay_transport = $t"
		assert_passed relayed.test u.relayed.test
	done
	main_cf 'parent_domain_matches_subdomains ='
	assert_passed relayed.test
	assert_routed u.relayed.test
}

case_list_that_leads_back_to_us() {
	fresh
	main_cf 'relay_transport = relay:[192.0.2.7]' \
		'relay_domains = $transport_maps relayed.test'
	assert_passed relayed.test
	assert_routed example.test
	assert_match "$(<"$SCRATCH/stderr")" 'in relay_domains is not asked'
}

case_local_unicode_name() {
	fresh
	assert_routed xn--lcal-5qa.test
	main_cf 'mydestination = löcal.test'
	assert_passed xn--lcal-5qa.test
}

# --- answer = auto ---

# The log line names what it is; then no list is given.
assert_guard() { # REGEX
	local answer
	answer=$(ask example.test || true)
	assert_match "$(<"$SCRATCH/stderr")" "$M: .*$1" "log"
	assert_eq "$answer" '' "$1"
}

case_guards_in_main_cf() {
	local setting
	for setting in smtp_tls_policy_maps=hash:/x smtp_tls_per_site=hash:/x \
		smtp_enforce_tls=yes smtp_tls_security_level={dane,dane-only,secure} \
		'relayhost=[192.0.2.9]' sender_dependent_relayhost_maps=hash:/x \
		sender_dependent_default_transport_maps=hash:/x \
		smtp_sasl_password_maps=hash:/x smtp_requiretls_policy=hash:/x,enforce \
		smtp_tls_servername=nexthop \
		smtp_dns_support_level=disabled disable_dns_lookups=yes \
		'default_transport=smtp:[192.0.2.9]' default_transport=uucp \
		"transport_maps=hash:/x,$M" "transport_maps=$M proxy:hash:/x" \
		parent_domain_matches_subdomains=transport_maps; do
		fresh
		main_cf "$setting"
		assert_guard "${setting%%=*} = "
	done
	fresh
	main_cf smtp_tls_security_level=verify smtp_tls_verify_cert_match=hostname,nexthop
	assert_guard 'smtp_tls_verify_cert_match = '
	fresh
}

case_no_guard_without_need() {
	local setting
	for setting in smtp_tls_security_level={may,encrypt,verify,fingerprint} smtp_enforce_tls=no \
		smtp_requiretls_policy={,enforce} smtp_tls_servername={,hostname,NextHop,mx.example.test} \
		smtp_dns_support_level={enabled,dnssec} disable_dns_lookups=no \
		smtp_tls_policy_maps= smtp_sasl_password_maps= relayhost= default_transport=smtp \
		"transport_maps=proxy:$M"; do
		fresh
		main_cf "$setting"
		assert_routed example.test
	done
	fresh
}

add_service() { # COMMAND-AND-OPTIONS
	cp "$SCRATCH/master.cf.good" /etc/postfix/master.cf
	printf 'extra unix - - n - - %s\n' "$1" >>/etc/postfix/master.cf
}

case_guards_in_master_cf() {
	fresh
	add_service $'smtp -v\n# a comment\n\n  -o { smtp_tls_security_level = dane }'
	assert_guard 'extra.*smtp_tls_security_level'
	add_service 'smtp -o smtp_tls_policy_maps=hash:/x'
	assert_guard smtp_tls_policy_maps
	add_service 'trivial-rewrite -o relayhost=[192.0.2.9]'
	assert_guard relayhost
	add_service $'smtp -o smtp_tls_policy_maps=$relayhost\n -o relayhost=[192.0.2.9]'
	assert_routed example.test
	add_service $'smtp\n#-o smtp_enforce_tls=yes'
	assert_routed example.test
	add_service 'smtp -o disable_dns_lookups=yes' # a content filter's
	assert_routed example.test
	fresh
}

case_answer_list_overrules_the_guards() {
	fresh
	main_cf 'relayhost=[192.0.2.9]'
	assert_passed example.test
	echo 'answer = list' >>/etc/mxhop/mxhop.cf
	assert_routed example.test
	fresh
}

# --- a running Postfix ---

jailed() {
	local pid
	for pid in $(pgrep -x trivial-rewrite); do
		[[ $(readlink "/proc/$pid/root") == /var/spool/postfix ]] && return
	done
	return 1
}

case_in_the_jail() {
	fresh
	start_sink 192.0.2.1
	start_postfix
	send_mail alice@mta.mxhop.test user@example.test
	wait_for_log 'to=<user@example.test>, relay=mx.example.test\[192.0.2.1\]:25.*status=sent'
	jailed || fail "trivial-rewrite is not jailed"
	refute_log 'panic|fatal|killed by signal'
	wait_queue_empty
}

restarts() {
	wait_for_log 'trivial-rewrite.*mxhop.*has changed -- restarting' 25
}

# Each to a recipient of its own, as qmgr(8) remembers the last resolution.
send_to() { # LOCALPART
	send_mail alice@mta.mxhop.test "$1@example.test"
}

sent_to() { # LOCALPART
	wait_for_log "to=<$1@example.test>, relay=mx.example.test.*status=sent"
}

case_broken_and_mended_while_running() {
	start_sink 192.0.2.1
	send_to before
	sent_to before
	sleep 1.1 # Postfix sees whole seconds; less shows at the next lookup only
	printf '%s\n' 'overrides = ldif:/x' 'broken_parameter = 1' >/etc/mxhop/mxhop.cf
	restarts
	send_to meanwhile
	wait_for_log "trivial-rewrite.*error: $M: .*broken_parameter"
	wait_for_log 'to=<meanwhile@.*status=deferred \(Routing configuration is not usable'
	refute_log 'status=bounced'
	mark
	good_config
	restarts
	send_to after
	sent_to after
	drain
	sent_to meanwhile
	refute_log 'panic|fatal|killed by signal'
}

# The same where the file is not there at all: its directory is watched.
case_missing_and_installed_while_running() {
	start_sink 192.0.2.1
	send_to here
	sent_to here
	rm /etc/mxhop/mxhop.cf
	restarts
	send_to gone
	wait_for_log 'to=<gone@.*status=deferred \(Routing configuration is not usable'
	mark
	good_config
	restarts
	send_to back
	sent_to back
	drain
	sent_to gone
}

# True if Postfix opened the table within a second of its last change.
opened_hot() { # LOCALPART
	reload_postfix
	good_config
	changed=$(stat -c %Y /etc/mxhop/mxhop.cf)
	send_to "$1"
	sent_to "$1"
	[[ $(date +%s) -le $((changed + 1)) ]]
}

# Postfix compares whole seconds, so it would not see this second change; the
# first lookup after it does.
case_changed_again_in_the_same_second() {
	local i changed
	start_sink 192.0.2.1
	for i in 1 2 3 4 5; do
		! opened_hot "try$i" || break
	done
	mark
	echo 'broken_parameter = 1' >/etc/mxhop/mxhop.cf
	touch -d "@$changed" /etc/mxhop/mxhop.cf
	sleep 2
	send_to again
	restarts
	good_config
}

# Whoever names the table where a domain in it means "ours" must not become an
# open relay.
case_relay_domains_is_no_open_relay() {
	local table
	fresh
	start_sink 192.0.2.1
	for table in "$M" "proxy:$M"; do
		mark
		postfix_set "relay_domains = $table" 'mynetworks ='
		assert_status 1 smtp_try someone@other.test user@example.test
		assert_match "$OUTPUT" '^454 4\.7\.1 .*Relay access denied'
		assert_status 1 smtp_try someone@other.test user2@example.test
		wait_for_log "error: $M: not answered: a parameter other than transport_maps"
		assert_eq "$(maillog | grep -c 'not answered')" 1 "log lines"
	done
	postfix_unset relay_domains mynetworks
	send_to relayed
	sent_to relayed
	fresh
	reload_postfix
}

# These ask in the way of transport_maps.
case_transport_maps_of_local_are_refused() {
	fresh
	start_sink 192.0.2.1
	postfix_set "mailbox_transport_maps = $M"
	send_mail someone@other.test bob@mta.mxhop.test
	wait_for_log 'to=<bob@mta.mxhop.test>, relay=local.*delivered to mailbox'
	wait_for_log "local.*error: $M: not answered: mailbox_transport_maps or"
	postfix_unset mailbox_transport_maps
	mark
	postfix_set "fallback_transport_maps = $M" 'local_recipient_maps ='
	send_mail alice@mta.mxhop.test user@mta.mxhop.test
	wait_for_log 'to=<user@mta.mxhop.test>, relay=local.*status=bounced \(unknown user'
	wait_for_log "local.*error: $M: not answered: mailbox_transport_maps or"
	wait_for_log "trivial-rewrite.*warning: $M: fallback_transport_maps names"
	postfix_unset fallback_transport_maps local_recipient_maps
	mark
	postfix_set "sender_dependent_relayhost_maps = inline:{a=b}, proxy:$M"
	send_to plain
	sent_to plain
	wait_for_log "trivial-rewrite.*warning: $M: sender_dependent_relayhost_maps names"
	refute_log 'not answered'
	fresh
	reload_postfix
}

# The second table is of a kind that Postfix watches too, and proxymap(8) must
# not wait for itself.
case_through_proxymap() {
	fresh
	echo 'v1.test any' >/etc/postfix/names
	postmap hash:/etc/postfix/names
	start_sink 192.0.2.1
	postfix_set "transport_maps = proxy:$M" \
		'virtual_alias_domains = proxy:hash:/etc/postfix/names'
	assert_eq "$(ask v1.test "proxy:$M" || true)" ''
	send_mail alice@mta.mxhop.test user@example.test
	wait_for_log 'relay=mx.example.test\[192.0.2.1\]:25.*status=sent'
	refute_log 'panic|fatal|killed by signal'
	wait_queue_empty
	stop_postfix
}
