# shellcheck shell=bash disable=SC2016
# What smtpd(8) says about mail that has to wait, on the Postfix of Debian 12,
# 13 and sid: yes. A stranger's mail is not turned away because of the route to
# its sender, nor a relay domain's or a customer's because of their recipient's;
# it lies in the queue, with the reason.
#
# Each situation has a domain for everybody (KIND.test), which may also be a
# sender's, and one that this system relays to (r-KIND.test).

CF=/etc/mxhop/mxhop.cf
OUTSIDE=192.0.2.250 # who connects to it comes from it, not from mynetworks
RESTRICTED=2525     # a port where recipients are verified

setup() {
	zone hosts.test <<<'mx A 192.0.2.1'
	zone down.test <<-'END'
		@  MX 10 mx
		mx A 192.0.2.99
	END
	local d
	for d in excluded r-excluded slow; do
		forward_domain $d.test 127.0.0.58
	done
	start_faultdns failing 127.0.0.58:53 <<<'* * rcode=servfail'
	start_dns
	use_mxhop_plugin <<<''
	good_config
	override defer 'mxhopMode: defer' 'mxhopReason: Moving house until Monday'
	override unusable 'mxhopHop: [none.hosts.test]'
	override excluded 'mxhopMode: exclude' 'mxhopExclude: mx.hosts.test'
	override unknown 'mxhopHop: [mx.slow.test]'
	override port 'mxhopHop: [mx.slow.test]:26'
	refresh_overrides <"$SCRATCH/ldif"
	cp /var/lib/mxhop/overrides "$SCRATCH/table"
}

override() { # KIND LINE...
	printf '%s\n' "dn: cn=$1,dc=test" 'objectClass: mxhopOverride' "cn: $1" \
		"mxhopKey: $1.test" "mxhopKey: r-$1.test" "${@:2}" '' >>"$SCRATCH/ldif"
}

good_config() { # [LINE...]
	printf '%s\n' 'overrides = ldif:/etc/mxhop/overrides.ldif' \
		'lookup_budget = 2s' 'wait_share = 100%' 'cache = memory' "$@" >$CF
}

# --- releases ---

start_release() { # VERSION
	good_config
	cp "$SCRATCH/table" /var/lib/mxhop/overrides
	[[ -e /etc/postfix/main.cf ]] || configure_postfix
	postconf -F rewrite/unix/chroot=y
	cp -n /etc/postfix/dynamicmaps.cf.d/mxhop.cf \
		"$(postconf -h meta_directory)/dynamicmaps.cf.d/"
	printf '%s inet n - n - - smtpd\n  -o %s=%s\n' $RESTRICTED \
		smtpd_recipient_restrictions reject_unverified_recipient \
		>>/etc/postfix/master.cf
	start_postfix "transport_maps = $M" 'smtpd_reject_unlisted_sender = yes' \
		'smtpd_sender_restrictions = reject_unlisted_sender' \
		"relay_domains = $(printf 'r-%s.test ' defer unusable excluded unknown port) $M" \
		'address_verify_map =' 'address_verify_poll_count = 1'
	assert_match "$(postconf -h mail_version)" "^$1\\." release
}

# --- mail over SMTP ---

# Prints the reply at RCPT (or at what failed before it). If it is 2xx, the
# message is sent, and that must work.
smtp_mail() { # FROM RCPT [ADDRESS [PORT]]
	local reply
	smtp_until_rcpt "$@"
	reply=$SMTP_REPLY
	if [[ $reply == 2* ]]; then
		smtp_say DATA >/dev/null
		reply=$(smtp_say $'Subject: test\r\n\r\ntest\r\n.')
	fi
	smtp_quit
	printf '%s\n' "$SMTP_REPLY"
	[[ $reply == 2* ]]
}

# Everybody may send to KIND's domains, and from them.
assert_taken() { # KIND...
	local d
	for d; do
		d=$d.test
		assert_status 0 smtp_mail "someone@$d" bob@mta.mxhop.test $OUTSIDE
		assert_status 0 smtp_mail "someone@$d" "relayed@r-$d" $OUTSIDE
		assert_status 0 smtp_mail alice@mta.mxhop.test "sent@$d"
		smtp_mail alice@mta.mxhop.test "probe@$d" 127.0.0.1 $RESTRICTED || true
	done
}

# What waits says why. A probe finds what it would if the domain's host were
# down; smtpd(8) knows by now.
assert_waits() { # KIND REASON
	local d=$1.test
	wait_for_log "to=<relayed@r-$d>, .*status=deferred \\($2"
	wait_for_log "to=<sent@$d>, .*status=deferred \\($2"
	wait_for_log "to=<probe@$d>, .*status=undeliverable \\($2"
	assert_status 1 smtp_mail alice@mta.mxhop.test "probe@$d" 127.0.0.1 $RESTRICTED
	assert_match "$OUTPUT" "^$DOWN .*unverified address: "
}

# So far nothing was returned, and all inbound mail has come in.
assert_well() { # INBOUND-MESSAGES
	wait_for_log 'to=<bob@mta.mxhop.test>, .*status=sent \(delivered to mailbox'
	assert_eq "$(maillog | grep -c 'to=<bob@.*status=sent')" "$1" inbound
	refute_log 'status=bounced|panic|fatal|killed by signal'
}

# --- cases ---

assert_deferrals() {
	smtp_mail alice@mta.mxhop.test probe@down.test 127.0.0.1 $RESTRICTED || true
	assert_taken defer unusable excluded unknown port
	assert_status 1 smtp_mail alice@mta.mxhop.test probe@down.test 127.0.0.1 $RESTRICTED
	assert_match "$OUTPUT" '^450 4\.1\.1 .*unverified address: connect to'
	DOWN=${OUTPUT:0:9}
	assert_waits defer 'Moving house until Monday'
	assert_waits unusable 'No usable next hop in the routing override'
	assert_waits excluded 'No usable next hop in the routing override'
	assert_waits unknown 'Addresses of the routing override are not known yet'
	assert_waits port 'connect to 224.0.0.0\[224.0.0.0\]:1: Network is unreachable'
	assert_well 5

	# The table makes nothing a relay domain, and is for transport_maps only.
	assert_status 1 smtp_mail someone@down.test user@down.test $OUTSIDE
	assert_match "$OUTPUT" '^454 4\.7\.1 .*Relay access denied'
	wait_for_log "error: $M: not answered"

	mv /var/lib/mxhop/overrides "$SCRATCH/away"
	mark
	reload_postfix
	assert_taken unusable
	assert_waits unusable 'Routing overrides are not available'
	assert_well 1

	mv "$SCRATCH/away" /var/lib/mxhop/overrides
	good_config 'max_hops = many'
	mark
	reload_postfix
	assert_taken excluded
	assert_waits excluded 'Routing configuration is not usable'
	assert_well 1

	# Commands are no daemons, and end.
	assert_status 1 postmap -q defer.test "$M"
	assert_match "$OUTPUT" "^postmap: fatal: $M: $CF:5: max_hops"
	good_config
	assert_eq "$(postmap -q defer.test "$M")" './retry:4.3.5 Moving house until Monday'
}

case_debian_12() {
	start_release 3.7
	assert_deferrals
}

case_debian_13() {
	use_release trixie
	start_release 3.10
	assert_deferrals
}

case_debian_sid() {
	use_release sid
	start_release 3.11
	assert_deferrals
}
