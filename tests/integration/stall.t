# shellcheck shell=bash disable=SC2016
# Postfix asks us while it can do nothing else: slow and silent name servers,
# chosen by strangers, must not hold up other people's mail. The bounds are far
# from what is measured (a second at most) and farther from what a table that
# waits would need (half a minute), so that a busy machine does not matter.

ME=alice@mta.mxhop.test
BOUND_MS=4000

# Everything by default: what is tried here is what an administrator gets.
setup() {
	start_faultdns slow 127.0.0.54:53 <<-'END'
		*.cold.test    MX    delay=100 mx 10 mx.example.test
		*.silent.test  *     silence
		example.test   MX    mx 10 mx.example.test
		mx.example.test A    a 192.0.2.1
		mx.example.test AAAA
	END
	set_resolver 127.0.0.54
	printf '%s\n' 'options timeout:1 attempts:1' >>/etc/resolv.conf
	use_mxhop_plugin <<<'# all by default'
	start_postfix "transport_maps = $M"
	start_sink 192.0.2.1
}

cold_asked() { # N
	[[ $(dns_queries '[a-z0-9]+.cold.test' MX slow) -ge $1 ]]
}

all_sent() { # N
	[[ $(maillog | grep -c 'to=<user@[a-z0-9]*\.cold\.test>.*status=sent') -ge $1 ]]
}

case_the_plugin_asks_this_server() {
	assert_eq "$(postmap -q example.test "$M")" ':[mx.example.test]'
	assert_eq "$(dns_queries example.test MX slow)" 1
}

# One message to 300 domains that nobody has asked for, 100 ms each; then one to
# a domain that has nothing to do with them.
case_three_hundred_cold_domains() {
	local from ms
	send_mail "$ME" user@d{1..300}.cold.test
	eventually 10 cold_asked 5 || fail "the cold domains are not asked for"
	from=$(now_ms)
	send_mail "$ME" user@example.test
	wait_for_log 'to=<user@example.test>, relay=mx.example.test.*status=sent' 60
	ms=$(($(now_ms) - from))
	[[ $ms -lt $BOUND_MS ]] || fail "the unrelated message took $ms ms"
	eventually 40 all_sent 300 || fail "not all of the 300 were sent"
	refute_log 'status=(bounced|deferred)|panic|fatal'
	echo "the unrelated message took $ms ms"
}

# Sessions one after another with senders in domains that never answer.
stranger() { # NAME
	local i
	for i in {1..200}; do
		smtp_try "x@$1-$i.silent.test" "$ME" || true
		sleep 0.1
	done
}

strangers_asked() { # N
	[[ $(dns_queries '[a-z0-9-]+.silent.test' MX slow) -ge $1 ]]
}

# Postfix itself takes up to a second for a session while many are coming in.
assert_honest_ones_are_served() {
	local i ms from worst=0 strangers=()
	for i in {1..5}; do
		stranger "s$i-$1" >"$SCRATCH/stranger$i.out" 2>&1 &
		strangers+=($!)
	done
	eventually 10 strangers_asked 5 || fail "their domains are not asked for"
	for i in {1..6}; do
		from=$(now_ms)
		assert_status 0 smtp_try bob@mta.mxhop.test "$ME"
		ms=$(($(now_ms) - from))
		[[ $ms -le $worst ]] || worst=$ms
	done
	from=$(now_ms)
	send_mail "$ME" "$1@example.test"
	wait_for_log "to=<$1@example.test>, relay=mx.example.test.*status=sent" 60
	ms=$(($(now_ms) - from))
	kill "${strangers[@]}" 2>/dev/null || true
	echo "the slowest honest session took $worst ms, the message $ms ms"
	[[ $worst -lt $BOUND_MS ]] || fail "an honest session took $worst ms"
	[[ $ms -lt $BOUND_MS ]] || fail "an honest message took $ms ms"
	refute_log 'status=bounced|panic|fatal'
	# No stranger is turned away because of us: without us they are not.
	refute_match "$(cat "$SCRATCH"/stranger*.out)" '(^|[^0-9])[45][0-9][0-9][ -]'
}

case_five_silent_strangers() {
	assert_honest_ones_are_served five
}

# Where one trivial-rewrite(8) serves everybody, as it does in the end when all
# of them are asked something slow.
case_five_silent_strangers_and_one_trivial_rewrite() {
	postconf -F rewrite/unix/process_limit=1
	reload_postfix
	assert_honest_ones_are_served one
	assert_eq "$(pgrep -cx trivial-rewrite)" 1 "trivial-rewrite processes"
	postconf -F rewrite/unix/process_limit=-
	reload_postfix
}

dead_ones_asked() {
	[[ $(dns_queries 'dead[0-9]+.example.org' MX slow) -ge 1 ]]
}

twenty_sessions() { # NAME; sets ELAPSED_MS
	local i from
	from=$(now_ms)
	for i in {1..20}; do
		assert_status 0 smtp_try "x@$1$i.example.org" "$ME"
	done
	ELAPSED_MS=$(($(now_ms) - from))
}

# Nothing answers at all. Twenty senders would be waited for for four seconds;
# what the sessions cost besides is known from twenty whose answers are there. On
# a slow machine the breaker opens before all of them were asked for.
case_a_dead_resolver() {
	local known
	twenty_sessions known
	twenty_sessions known
	known=$ELAPSED_MS
	printf '%s\n' '* * silence' | faultdns_rules slow
	twenty_sessions dead
	[[ $ELAPSED_MS -lt $((2 * known + 1500)) ]] ||
		fail "twenty sessions took $ELAPSED_MS ms, $known ms with answers"
	eventually 5 dead_ones_asked || fail "their domains are not asked for"
	echo "twenty sessions took $ELAPSED_MS ms, $known ms with answers"
}

case_postfix_is_well() {
	refute_match "$(<"$MAIL_LOG")" 'panic|fatal|killed by signal|exit status'
}
