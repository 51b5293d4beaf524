# shellcheck shell=bash disable=SC2016
# The cache that all processes of an MTA share, at work: what one of them learnt
# the others have, over restarts and outages; and strangers, slow and dead name
# servers cost those who are known nothing.
#
# What a case shows is counted where the name server is, not timed: a query more
# or less. Each case has a configuration, and so a cache, of its own. A lookup
# may wait for 20 s in most of them, so one that waits where it should not is
# far out of the bounds.

LDIF=/etc/mxhop/overrides.ldif
ME=alice@mta.mxhop.test
BOUND_MS=8000 # for what takes some milliseconds

setup() {
	use_mxhop_plugin </dev/null
	start_servers
	configure_all
	set_resolver 127.0.0.54
	printf '%s\n' 'options timeout:1 attempts:1' >>/etc/resolv.conf
	# smtp(8) must find hosts while there is no DNS.
	echo '192.0.2.1 mx.outage.test' >>/etc/hosts
	start_sink 192.0.2.1
	start_sink 192.0.2.10
	# Nor may a daemon leave in the middle of a case.
	start_postfix "transport_maps = $M" 'smtp_host_lookup = native' 'max_use = 100000' \
		"proxy_read_maps = $(printf 'proxy:mxhop:%s ' /etc/mxhop/*.cf)"
}

# Each of them answers for all names, as a resolver does.
start_servers() {
	start_faultdns dns 127.0.0.54:53 < <(good_rules)
	start_faultdns stale 127.0.0.55:53 < <(good_rules)
	start_faultdns first 127.0.0.56:53 < <(good_rules)
	start_faultdns second 127.0.0.57:53 < <(good_rules)
	start_faultdns dead 127.0.0.58:53 <<<'* * silence'
	start_faultdns third 127.0.0.59:53 < <(dead_rules)
	start_faultdns four 127.0.0.60:53 < <(good_rules)
	start_faultdns tls 127.0.0.61:53 < <(tls_rules 'txt v=STSv1;id=1')
}

good_rules() {
	cat <<-'END'
		*.silent.test    *    silence
		*.refused.test   *    rcode=servfail
		*.null.test      MX   mx 0 .
		*.implicit.test  MX   soa 300
		*.short.test     MX   ttl=1 mx 10 mx.good.test
		gone.invalid     *    rcode=nxdomain soa 300
		*.soon.test      MX   ttl=10 mx 10 mx.good.test
		*.slow.test      MX   delay=150 mx 10 mx.good.test
		*.outage.test    MX   mx 10 mx.outage.test
		*.alone.test     MX   mx 10 aspmx.l.google.com
		aspmx.l.google.com A  a 192.0.2.1
		aspmx.l.google.com AAAA soa 300
		*.four.test      MX   ttl=2 mx 10 mx4.four.test
		mx4.four.test    A    ttl=86400 a 192.0.2.1
		mx4.four.test    AAAA soa 2
		*.test           MX   mx 10 mx.good.test
		*.test           A    a 192.0.2.1
		*.test           AAAA soa 300
	END
}

dead_rules() { echo '* * silence'; }

tls_rules() { # TEXT
	echo '_mta-sts.long.tls.test TXT txt v=STSv1;id=7'
	echo "_mta-sts.one.tls.test TXT ttl=2 $1"
	good_rules
}

# A configuration; root makes the directory of its cache.
configure() { # NAME LINE...
	local file=/etc/mxhop/$1.cf
	shift
	printf '%s\n' 'answer = list' 'ttl_min = 1s' 'cache_owner = postfix' \
		"$@" >"$file"
	mxhop -c "$file" cache stats >/dev/null
}

# One whose lookups wait as long as it takes.
configure_patient() { # NAME [LINE...]
	configure "$@" 'lookup_budget = 20s' 'wait_share = 100%'
}

configure_all() {
	: >"$LDIF"
	configure_patient mxhop "overrides = ldif:$LDIF"
	mxhop refresh
	configure_patient single
	configure_patient prefetch 'prefetch = 50%'
	configure_patient stale 'dns_servers = 127.0.0.55' 'dns_timeout = 1s'
	configure_patient breaker 'dns_servers = 127.0.0.56 127.0.0.57'
	configure_patient commands 'dns_servers = 127.0.0.59'
	configure_patient second 'dns_servers = 127.0.0.58 127.0.0.54'
	configure_patient strangers 'cache_size = 1M'
	configure slots 'dns_timeout = 1m' 'dns_servers = 127.0.0.54'
	configure_patient show 'dns_timeout = 1s'
	configure_patient group
	configure_patient tls 'mta_sts = watch' 'prefetch = 0' 'dns_servers = 127.0.0.61'
	configure_patient four 'negative_ttl_max = 2s' 'dns_servers = 127.0.0.60'
}

# --- asking ---

as_postfix() {
	setpriv --reuid=postfix --regid=postfix --clear-groups -- "$@"
}

# By a process that is there for this answer only.
ask() { # CONFIGURATION KEY
	as_postfix postmap -q "$2" "mxhop:/etc/mxhop/$1.cf"
}

# By proxymap(8), which stays. Keys from stdin.
ask_daemon_all() { # CONFIGURATION
	python3 "$ROOT/tests/support/ask_postfix.py" proxymap \
		/var/spool/postfix/private/proxymap "mxhop:/etc/mxhop/$1.cf"
}

ask_daemon() { # CONFIGURATION KEY
	ask_daemon_all "$1" <<<"$2" | cut -f 2
}

# Keys from stdin, by one process.
ask_all() { # CONFIGURATION
	as_postfix postmap -q - "mxhop:/etc/mxhop/$1.cf"
}

cache_of() { # CONFIGURATION ACTION...
	local file=/etc/mxhop/$1.cf
	shift
	mxhop -c "$file" cache "$@"
}

# What a member of `cache get` is, of a domain.
entry() { # CONFIGURATION DOMAIN MEMBER
	cache_of "$1" get --format json "$2" | jq -r ".$3 | values"
}

entry_is() { # CONFIGURATION DOMAIN STATE
	[[ $(entry "$1" "$2" state) == "$3" ]]
}

asked() { # NAME-REGEX COUNT [SERVER]
	[[ $(dns_queries "$1" MX "${3:-dns}") -ge $2 ]]
}

assert_asked() { # NAME-REGEX COUNT [SERVER]
	assert_eq "$(dns_queries "$1" MX "${3:-dns}")" "$2" "MX queries for $1"
}

assert_quick() { # SINCE-MS WHAT
	local ms=$(($(now_ms) - $1))
	[[ $ms -lt $BOUND_MS ]] || fail "$2 took $ms ms"
}

# --- what one process learnt ---

assert_sent() { # ADDRESS HOST
	send_mail "$ME" "$1"
	wait_for_log "to=<$1>, relay=$2.*status=sent"
}

case_what_one_process_learnt_another_has() {
	assert_eq "$(ask mxhop one.test)" ':[mx.good.test]'
	assert_asked one.test 1
	assert_eq "$(mxhop lookup --format json one.test | jq -r .cache)" hit
	assert_sent user@one.test mx.good.test
	assert_asked one.test 1
	# And the other way round: the daemon in its jail is the first.
	assert_sent user@two.test mx.good.test
	assert_asked two.test 1
	assert_eq "$(ask mxhop two.test)" ':[mx.good.test]'
	assert_eq "$(mxhop lookup --format postfix two.test)" ':[mx.good.test]'
	assert_asked two.test 1
	# The command is the first.
	mxhop lookup three.test
	assert_sent user@three.test mx.good.test
	assert_asked three.test 1
}

case_it_survives_reload_and_restart() {
	assert_sent before@lasting.test mx.good.test
	reload_postfix
	assert_sent reloaded@lasting.test mx.good.test
	start_postfix
	assert_sent restarted@lasting.test mx.good.test
	assert_asked lasting.test 1
}

# What a thread did from the first miss, which starts the worker, to the last
# key, of calls that write, lock or make room.
changing_calls() { # PID
	awk -v main="$TRACED" '
		$1 == main && / clone3?\(/ { on = 1 }
		$1 == main && /read\(0, ""/ { exit }
		on && /^[0-9]+ +(pwrite|fdatasync|fsync|msync|ftruncate|fallocate|flock|fcntl\(.*F_(OFD_)?SETLK)/ { print }
	' "$SCRATCH/thread.trace" | awk -v pid="$1" "$2"
}

# Cold names, and known ones that are noted as used: all of it by the worker.
case_the_thread_of_the_mta_neither_writes_nor_locks() {
	local ours workers
	printf '%s\n' w{1..50}.test w{1..50}.test |
		strace -f -o "$SCRATCH/thread.trace" setpriv --reuid=postfix \
			--regid=postfix --clear-groups -- postmap -q - "$M" >"$SCRATCH/w.out"
	assert_eq "$(grep -c ':\[mx.good.test\]' "$SCRATCH/w.out")" 100
	read -r TRACED _ <"$SCRATCH/thread.trace"
	ours=$(changing_calls "$TRACED" '$1 == pid')
	workers=$(changing_calls "$TRACED" '$1 != pid')
	assert_eq "$ours" '' "calls of the thread that looks up"
	assert_match "$workers" 'flock' "calls of the worker"
	assert_match "$workers" 'pwrite' "calls of the worker"
}

# --- one asks, all are answered ---

# A process that reads keys for as long as its input is open: `exec {fd}>&-`.
start_asker() { # NAME CONFIGURATION: its pid is $pid, its input $fd
	mkfifo "$SCRATCH/$1.in"
	(exec setpriv --reuid=postfix --regid=postfix --clear-groups -- postmap \
		-q - "mxhop:/etc/mxhop/$2.cf") <"$SCRATCH/$1.in" >"$SCRATCH/$1.out" 2>&1 &
	pid=$!
	exec {fd}>"$SCRATCH/$1.in"
}

case_three_processes_ask_for_the_same_cold_names() {
	local pid fd one two keys expected
	keys=$(printf '%s\n' {1..5}.slow.test)
	expected=$(printf '%s\t:[mx.good.test]\n' {1..5}.slow.test)
	start_asker one single
	one=$fd
	start_asker two single
	two=$fd
	# They are up, all three.
	echo up1.test >&"$one"
	echo up2.test >&"$two"
	ask_daemon single up3.test
	eventually 10 asked 'up[12].test' 2 || fail "they do not ask"
	echo "$keys" >&"$one"
	echo "$keys" >&"$two"
	assert_eq "$(ask_daemon_all single <<<"$keys")" "$expected"
	exec {one}>&- {two}>&-
	wait
	assert_eq "$(grep slow "$SCRATCH/one.out")" "$expected"
	assert_eq "$(grep slow "$SCRATCH/two.out")" "$expected"
	assert_asked '[1-5].slow.test' 5
}

# Whose query it was is gone; the other does not wait for it for ever.
case_who_asks_is_killed() {
	local pid fd victim first second
	{
		echo 'killed.test MX silence'
		good_rules
	} | faultdns_rules dns
	start_asker victim single
	victim=$pid first=$fd
	start_asker heir single
	second=$fd
	echo up4.test >&"$second"
	eventually 10 asked up4.test 1 || fail "it does not ask"
	echo killed.test >&"$first"
	eventually 10 asked killed.test 1 || fail "it does not ask"
	echo killed.test >&"$second"
	sleep 0.2
	kill -KILL "$victim"
	mark
	good_rules | faultdns_rules dns
	exec {second}>&- {first}>&-
	wait
	assert_match "$(<"$SCRATCH/heir.out")" $'killed.test\t:\[mx.good.test\]'
	assert_eq "$(<"$SCRATCH/victim.out")" ''
}

# --- before the end, and after it ---

# Of the MX queries for a name since the mark, in ms since the epoch.
asked_at_ms() { # NAME [SERVER]
	since_mark "$SCRATCH/${2:-dns}.log" |
		sed -nE "s/^([0-9]+)\.([0-9]{3}) [a-z]+ $1 MX .*/\1\2/p"
}

still_known_until_asked_again() { # CONFIGURATION NAME
	assert_eq "$(ask_daemon "$1" "$2")" ':[mx.good.test]'
	asked "$2" 2
}

fresh_for() { # CONFIGURATION NAME SECONDS
	[[ $(entry "$1" "$2" ttl) -ge $3 ]]
}

# The answer holds for ten seconds. In the second half somebody asks, and goes
# on at once, although the server says nothing; it does before the end.
case_refreshed_before_it_ends() {
	local from at_ms
	{
		echo '*.soon.test MX times=1 ttl=10 mx 10 mx.good.test'
		echo '*.soon.test MX silence'
		good_rules
	} | faultdns_rules dns
	from=$(now_ms)
	assert_eq "$(ask_daemon prefetch mail.soon.test)" ':[mx.good.test]'
	eventually 10 still_known_until_asked_again prefetch mail.soon.test ||
		fail "not asked again"
	good_rules | faultdns_rules dns
	eventually 5 fresh_for prefetch mail.soon.test 6 || fail "not refreshed"
	mapfile -t at_ms < <(asked_at_ms mail.soon.test)
	[[ $((at_ms[1] - at_ms[0])) -gt 4500 ]] || fail "asked again too early"
	[[ $((at_ms[1] - at_ms[0])) -lt 10000 ]] || fail "asked again too late"
	assert_quick "$((from + 5000))" "asking while the server is silent"
}

# A host with an address for a day, and for two seconds the knowledge that it
# has no IPv6 address. Then the server knows nothing of that any more: who asks
# waits for nothing, and the IPv4 address is not asked for again.
case_a_host_without_ipv6() {
	local from i
	assert_eq "$(ask_daemon four one.four.test)" ':[mx4.four.test]'
	assert_eq "$(dns_queries mx4.four.test 'A+' four)" 2
	{
		echo 'mx4.four.test AAAA silence'
		good_rules
	} | faultdns_rules four
	sleep 5
	mark
	from=$(now_ms)
	for i in {1..3}; do
		assert_eq "$(ask_daemon four one.four.test)" ':[mx4.four.test]'
		assert_eq "$(ask_daemon four "$i.four.test")" ':[mx4.four.test]'
		assert_eq "$(mxhop -c /etc/mxhop/four.cf lookup --format postfix one.four.test)" \
			':[mx4.four.test]'
		sleep 1
	done
	assert_quick "$((from + 3000))" "asking while nothing is said of IPv6"
	assert_eq "$(dns_queries mx4.four.test A four)" 0
	eventually 20 asked_ipv6 || fail "IPv6 is not asked for again"
	assert_eq "$(dns_queries mx4.four.test A four)" 0
	good_rules | faultdns_rules four
}

# In the background, by whoever makes the answer anew.
asked_ipv6() {
	assert_eq "$(ask_daemon four one.four.test)" ':[mx4.four.test]'
	[[ $(dns_queries mx4.four.test AAAA four) -ge 1 ]]
}

# A text of two seconds beside an MX set of five minutes. Another one is learnt in
# the background, and nobody waits for a server that is silent about it.
case_a_text_with_an_end_of_its_own() {
	local from i
	assert_eq "$(ask tls long.tls.test)" ':[mx.good.test]'
	assert_eq "$(ask_daemon tls long.tls.test)" ':[mx.good.test]'
	assert_eq "$(dns_queries _mta-sts.long.tls.test TXT tls)" 1
	assert_eq "$(entry tls long.tls.test sts.id)" 7

	assert_eq "$(ask_daemon tls one.tls.test)" ':[mx.good.test]'
	assert_eq "$(entry tls one.tls.test sts.id)" 1
	tls_rules 'txt v=STSv1;id=2' | faultdns_rules tls
	eventually 20 learns_text one.tls.test 2 || fail "another text is not learnt"

	tls_rules silence | faultdns_rules tls
	sleep 3
	from=$(now_ms)
	for i in {1..5}; do
		assert_eq "$(ask_daemon tls one.tls.test)" ':[mx.good.test]'
		assert_eq "$(entry tls one.tls.test sts.id)" 2
	done
	assert_quick "$from" "asking while nothing is said of the text"
	assert_eq "$(entry tls one.tls.test state)" fresh
}

learns_text() { # DOMAIN ID
	assert_eq "$(ask_daemon tls "$1")" ':[mx.good.test]'
	[[ $(entry tls "$1" sts.id) == "$2" ]]
}

# Begins what the last case ends: half a minute lies between two attempts.
case_stale_while_the_server_is_dead() {
	local from i
	assert_eq "$(ask_daemon stale old.short.test)" ':[mx.good.test]'
	dead_rules | faultdns_rules stale
	eventually 10 entry_is stale old.short.test stale || fail "it does not expire"
	mark
	from=$(now_ms)
	assert_eq "$(ask_daemon stale old.short.test)" ':[mx.good.test]'
	assert_quick "$from" "the stale answer"
	eventually 10 asked old.short.test 1 stale || fail "not asked again"
	asked_at_ms old.short.test stale >"$SCRATCH/stale.since"
	# That attempt fails, within dns_timeout; there is none for every lookup.
	eventually 10 failed_before stale old.short.test || fail "no failure noted"
	mark
	from=$(now_ms)
	for i in {1..5}; do
		assert_eq "$(ask stale old.short.test)" ':[mx.good.test]'
		assert_eq "$(ask_daemon stale old.short.test)" ':[mx.good.test]'
	done
	assert_quick "$from" "stale answers"
	assert_asked old.short.test 0 stale
	assert_eq "$(mxhop -c /etc/mxhop/stale.cf lookup --format json old.short.test |
		jq -c '[.cache, .hops[0].host]')" '["stale","mx.good.test"]'
	good_rules | faultdns_rules stale
}

failed_before() { # CONFIGURATION DOMAIN
	[[ $(entry "$1" "$2" failed_before) == true ]]
}

# --- outages ---

# What `cache stats` says of a name server: the word after its address.
server_state() { # CONFIGURATION ADDRESS
	cache_of "$1" stats --format json | jq -r "select(.server == \"$2\").state"
}

server_is() { # CONFIGURATION ADDRESS STATE
	[[ $(server_state "$1" "$2") == "$3" ]]
}

server_is_not() { ! server_is "$@"; }

# Mail goes on, with answers whose time has come and with others.
case_an_outage_with_a_restart_in_it() {
	{
		echo 'old.outage.test MX ttl=1 mx 10 mx.outage.test'
		good_rules
	} | faultdns_rules dns
	assert_sent before@new.outage.test mx.outage.test
	assert_sent before@old.outage.test mx.outage.test
	eventually 10 entry_is mxhop old.outage.test stale || fail "it does not expire"
	dead_rules | faultdns_rules dns
	stop_postfix
	start_postfix
	assert_sent during@new.outage.test mx.outage.test
	assert_sent during@old.outage.test mx.outage.test
	assert_eq "$(ask mxhop new.outage.test)" ':[mx.outage.test]'
	good_rules | faultdns_rules dns
	eventually 10 server_is_not mxhop 127.0.0.54 open || fail "it stays open"
	assert_sent after@other.outage.test mx.outage.test
}

both_are() { # STATE
	server_is breaker 127.0.0.56 "$1" && server_is breaker 127.0.0.57 "$1"
}

answered_by_daemon() { # CONFIGURATION NAME
	[[ $(ask_daemon "$1" "$2") == ':[mx.good.test]' ]]
}

answered_by_command() { # CONFIGURATION NAME
	[[ $(mxhop -c "/etc/mxhop/$1.cf" lookup --format postfix "$2") == ':[mx.good.test]' ]]
}

# One process finds out; a new one knows it from the cache. What it means is
# that nobody waits for what is not known, and all else goes on.
case_breaker_opens_and_closes() {
	local from i
	assert_eq "$(ask_daemon breaker known.test)" ':[mx.good.test]'
	dead_rules | faultdns_rules first
	dead_rules | faultdns_rules second
	from=$(now_ms)
	assert_status 1 ask_daemon breaker unknown0.test
	both_are open || fail "both are dead, and: $(cache_of breaker stats)"
	assert_match "$(cache_of breaker stats)" \
		$'name server +127.0.0.56 +open for [0-9]+ s, opened 1 times'
	assert_status 0 mxhop -c /etc/mxhop/breaker.cf trace known.test
	assert_match "$OUTPUT" 'name server 127.0.0.56: breaker open, since [0-9]+ s in process'
	from=$(now_ms)
	for i in {1..5}; do
		assert_status 1 ask_daemon breaker "gone$i.test"
		assert_eq "$(ask_daemon breaker known.test)" ':[mx.good.test]'
	done
	assert_status 1 ask breaker gone6.test
	assert_eq "$(ask breaker known.test)" ':[mx.good.test]'
	assert_quick "$from" "asking while both are dead"
	good_rules | faultdns_rules first
	good_rules | faultdns_rules second
	eventually 10 both_are closed || fail "still open: $(cache_of breaker stats)"
	eventually 10 answered_by_daemon breaker back.test || fail "not answered"
}

# Nor does it take a worker thread: commands, like deliveries of Exim, end after
# an answer. The first of them waits, the next do not even ask, and one of them
# sees that the server is back, and says so.
case_breaker_without_a_worker() {
	local i
	assert_status 1 mxhop -c /etc/mxhop/commands.cf lookup first.test
	server_is commands 127.0.0.59 open || fail "$(cache_of commands stats)"
	mark
	for i in {1..5}; do
		assert_status 1 mxhop -c /etc/mxhop/commands.cf lookup "next$i.test"
	done
	assert_asked 'next[0-9].test' 0 third
	[[ $(dns_queries '[.]' NS third) -ge 5 ]] || fail "no probes"
	assert_status 1 mxhop -c /etc/mxhop/commands.cf trace next1.test
	assert_match "$OUTPUT" 'name server 127.0.0.59: breaker open, since [0-9]+ s in process'
	good_rules | faultdns_rules third
	eventually 10 answered_by_command commands next1.test || fail "not answered"
	server_is commands 127.0.0.59 closed || fail "$(cache_of commands stats)"
}

# A thousand domains that strangers chose, asked for in one process that serves
# others too. The server is well: it answers about everything else. Default
# waiting, and a name may take a minute.
case_a_thousand_silent_domains() {
	local from
	assert_eq "$(ask slots known.test)" ':[mx.good.test]'
	from=$(now_ms)
	printf '%s\n' d{1..1000}.silent.test |
		ask_daemon_all slots >"$SCRATCH/silent.out" || true
	assert_eq "$(<"$SCRATCH/silent.out")" ''
	assert_eq "$(ask_daemon slots known.test)" ':[mx.good.test]'
	assert_quick "$from" "asking for silent domains"
	eventually 30 answered_by_daemon slots quick.test || fail "no place for others"
	# All of them were asked for, long enough to open a breaker that believes them.
	eventually 30 all_silent_asked || fail "not asked"
	until [[ $(now_ms) -gt $((from + 6000)) ]]; do
		sleep 0.2
	done
	refute_match "$(cache_of slots stats)" 'name server'
	[[ $(dns_queries '[.]' NS dns) -ge 1 ]] || fail "no probe was needed"
}

all_silent_asked() {
	[[ $(since_mark "$SCRATCH/dns.log" | grep -oE 'd[0-9]+\.silent' | sort -u | wc -l) -eq 1000 ]]
}

# One name finds it out, or a few: not each of them waits for it.
case_the_first_of_two_servers_is_dead() {
	local from keys
	keys=$(printf '%s\n' s{1..100}.test)
	from=$(now_ms)
	assert_eq "$(ask_all second <<<"$keys" | grep -c ':\[mx.good.test\]$')" 100
	assert_quick "$from" "a hundred names"
	assert_asked 's[0-9]+.test' 100
	[[ $(dns_queries 's[0-9]+.test' MX dead) -le 10 ]] ||
		fail "asked $(dns_queries 's[0-9]+.test' MX dead) times"
}

# --- strangers choose the domains ---

# Domains of 200 that took a query, of any type.
useful_asked() {
	since_mark "$SCRATCH/dns.log" |
		sed -nE 's/.* (mx-)?u([0-9]+)\.useful\.test .*/\2/p' | sort -u | wc -l
}

ask_useful() {
	assert_eq "$(ask_daemon_all strangers <"$SCRATCH/useful" | grep -c '\[mx-u')" 200
}

none_is_new() {
	ask_useful
	[[ $(cache_of strangers stats --format json | jq -r 'select(.once).once') -eq 0 ]]
}

# What is really there, of files with holes.
allocated_kib() { # CONFIGURATION
	du -sk "/run/mxhop/$1" | cut -f 1
}

case_a_flood_of_strangers() {
	local i kept
	printf 'u%d.useful.test\n' {1..200} >"$SCRATCH/useful"
	{
		for i in {1..200}; do
			echo "u$i.useful.test MX mx 10 mx-u$i.useful.test"
		done
		good_rules
	} | faultdns_rules dns
	ask_useful
	eventually 10 none_is_new || fail "that they are used is not noted"
	mark
	ask_useful
	assert_eq "$(useful_asked)" 0 "asked for again before the flood"
	# Half of them exist, each with a host of its own.
	for i in {1..10000}; do
		echo "$RANDOM-$i.nowhere.invalid"
		echo "$RANDOM-$i.once.test"
	done | ask_all strangers >"$SCRATCH/flood.out"
	assert_eq "$(grep -c ':\[' "$SCRATCH/flood.out")" 10000
	mark
	ask_useful
	kept=$((200 - $(useful_asked)))
	echo "$kept of 200 are still known"
	[[ $kept -ge 190 ]] || fail "only $kept of 200 useful ones are still known"
	# It could not all be kept.
	[[ $(cache_of strangers stats --format json | jq -r '.domains // empty') -lt 15000 ]] ||
		fail "nothing was evicted"
	[[ $(allocated_kib strangers) -le 2048 ]] ||
		fail "$(allocated_kib strangers) KiB for a cache_size of 1024"
	cache_of strangers stats
}

# --- the commands ---

show() { # COMMAND...
	mxhop -c /etc/mxhop/show.cf "$@"
}

# One domain of each outcome, twice the one with hosts, and what is no domain.
write_list() {
	printf '%s\n' '# a list' '' a.test '  B.TEST.  ' user@c.test e.implicit.test \
		f.null.test gone.invalid g.refused.test bad..name >"$SCRATCH/list"
}

# The number before or after these words, in the output of a command.
counted() { # WORDS
	sed -nE "s/^$1 +([0-9]+)$/\1/p; s/^ +([0-9]+)  $1$/\1/p" <<<"$OUTPUT"
}

assert_counts() { # NUMBER... by outcome, in the order of the summary
	local words
	for words in 'hosts' 'implicit MX' 'null MX' 'no such domain' 'failed' \
		'not a domain' 'already cached'; do
		[[ $# -gt 0 ]] || return 0
		assert_eq "$(counted "$words")" "$1" "$words"
		shift
	done
}

case_warm_counts_by_outcome() {
	write_list
	show cache flush
	assert_status 0 show warm "$SCRATCH/list"
	assert_counts 3 1 1 1 1 1 0
	assert_match "$OUTPUT" $'\n8 domains in [0-9]+\.[0-9] s, [0-9]+/s$'
	assert_asked '[abc].test' 3
	# Again: all of it is known, what failed too, and nobody is asked.
	mark
	assert_status 0 show warm --jobs 1 - <"$SCRATCH/list"
	assert_counts 0 0 0 0 0 1 7
	# The MTA has it.
	assert_eq "$(ask show a.test)" ':[mx.good.test]'
	assert_eq "$(ask show f.null.test)" 'error:5.1.10 Domain f.null.test does not accept mail (null MX)'
	assert_asked '([abc]|[efg]\.[a-z]+)\.test' 0
	assert_asked gone.invalid 0
}

# Not where the summary goes to a file or to another program.
case_a_progress_bar_on_a_terminal_only() {
	printf '%s\n' bar{1..8}.slow.test >"$SCRATCH/bar"
	script -qec "mxhop -c /etc/mxhop/show.cf warm --jobs 1 $SCRATCH/bar" \
		"$SCRATCH/typescript" </dev/null >/dev/null
	assert_match "$(<"$SCRATCH/typescript")" '\[#+ +\] +[0-9]+ %  [1-7] of 8 domains'
	assert_match "$(<"$SCRATCH/typescript")" 'hosts +8'
	show cache flush
	assert_status 0 show warm --jobs 1 "$SCRATCH/bar"
	refute_match "$OUTPUT" '\['
	assert_match "$OUTPUT" 'hosts +8'
}

case_cache_list_and_get() {
	write_list
	show cache flush
	show warm "$SCRATCH/list" >/dev/null
	assert_eq "$(show cache list | sort | cut -f 1,2,4,5)" \
		"$(printf '%s\t%s\t%s\t%s\n' a.test fresh hosts '10 mx.good.test' \
			b.test fresh hosts '10 mx.good.test' \
			c.test fresh hosts '10 mx.good.test' \
			e.implicit.test fresh 'implicit MX' '0 e.implicit.test' \
			f.null.test fresh 'null MX' '' \
			g.refused.test failing failed '' \
			gone.invalid fresh 'no such domain' '')"
	assert_eq "$(show cache list --format json | jq -r '[.domain, .outcome] | join(" ")' |
		sort | tr '\n' ,)" \
		'a.test hosts,b.test hosts,c.test hosts,e.implicit.test implicit,f.null.test null,g.refused.test failure,gone.invalid nxdomain,'
	assert_status 0 show cache get A.test.
	assert_match "$OUTPUT" '^a.test: fresh for [0-9]+ s: hosts(, asked for once)?
   10  mx.good.test  192.0.2.1 \(fresh for [0-9]+ s\)$'
	assert_status 0 show cache get --format json a.test e.implicit.test
	assert_eq "$(jq -c '[.domain, .state, .outcome, .secure, .refresh_due, .failed_before,
		(.ttl > 250 and .ttl <= 300), [.hosts[] | [.host, .preference, .state, .addresses]]]' <<<"$OUTPUT")" \
		'["a.test","fresh","hosts",false,false,false,true,[["mx.good.test",10,"fresh",["192.0.2.1"]]]]
["e.implicit.test","fresh","implicit",false,false,false,true,[["e.implicit.test",0,"fresh",["192.0.2.1"]]]]'
	assert_status 0 show cache get g.refused.test
	assert_match "$OUTPUT" '^g.refused.test: failing, next attempt in [0-9]+ s: failed: .*SERVFAIL'
	assert_status 1 show cache get a.test never.test bad..name
	assert_match "$OUTPUT" 'a.test: fresh for .*never.test: not in the cache.*bad..name: empty label'
}

stat_of() { # MEMBER
	show cache stats --format json | jq -r "select(.directory).$1"
}

case_cache_stats_and_flush() {
	write_list
	show cache flush
	show warm "$SCRATCH/list" >/dev/null
	assert_eq "$(stat_of directory) $(stat_of owner) $(stat_of size)" \
		'/run/mxhop/show postfix 67108864'
	assert_eq "$(stat_of domains) $(stat_of fresh) $(stat_of stale) $(stat_of failing)" '7 6 0 1'
	assert_eq "$(stat_of negative) $(stat_of hosts)" '1 2'
	[[ $(stat_of used) -gt 0 && $(stat_of file) -ge $(stat_of used) ]] || fail "$(show cache stats)"
	assert_match "$(show cache stats)" $'^directory +/run/mxhop/show\nowner +postfix\nsize +67108864\n.*\ndomains +7\n'
	# Its host goes with it: two queries more.
	mark
	assert_status 0 show cache flush a.test
	assert_status 1 show cache get a.test
	assert_status 0 show cache get b.test
	assert_match "$OUTPUT" 'mx.good.test  address not known'
	show lookup a.test
	assert_asked a.test 1
	assert_eq "$(dns_queries mx.good.test A dns)" 1
	assert_status 0 show cache flush a.test never.test
	assert_match "$OUTPUT" '^mxhop: never.test: not in the cache$'
	assert_status 1 show cache flush never.test
	assert_status 1 show cache flush bad..name
	assert_status 0 show cache flush
	assert_eq "$(stat_of domains) $(stat_of hosts) $(stat_of sites)" '0 0 0'
	assert_eq "$(show cache list)" ''
}

# What is called one provider is what the Public Suffix List says.
case_survey_counts_by_site_and_provider() {
	{
		cat <<-'END'
			one.survey.test   MX  mx 10 mx1.provider.co.uk mx 20 mx2.provider.co.uk
			two.survey.test   MX  mx 20 mx2.provider.co.uk mx 10 MX1.provider.co.uk
			three.survey.test MX  mx 10 mx3.provider.co.uk
			four.survey.test  MX  mx 10 mx.other.co.uk
			five.survey.test  MX  mx 20 mx1.provider.co.uk mx 10 in.example.com
		END
		good_rules
	} | faultdns_rules dns
	write_list
	printf '%s\n' {one,two,three,four,five}.survey.test >>"$SCRATCH/list"
	assert_status 0 show survey "$SCRATCH/list"
	assert_counts 8 1 1 1 1 1
	assert_eq "$(sed '/^13 domains/,$d' <<<"$OUTPUT")" "5 providers
         3  33.3 %  good.test
         3  33.3 %  provider.co.uk
         1  11.1 %  example.com
         1  11.1 %  implicit.test
         1  11.1 %  other.co.uk

6 sites
         3  33.3 %  10 mx.good.test
         2  22.2 %  10 mx1.provider.co.uk, 20 mx2.provider.co.uk
         1  11.1 %  0 e.implicit.test
         1  11.1 %  10 in.example.com, 20 mx1.provider.co.uk
         1  11.1 %  10 mx.other.co.uk
         1  11.1 %  10 mx3.provider.co.uk"
	assert_status 0 show survey --limit 2 --format json "$SCRATCH/list"
	assert_eq "$(jq -c . <<<"$OUTPUT" | head -n 4)" '{"suffix":"good.test","domains":3}
{"suffix":"provider.co.uk","domains":3}
{"site":[{"host":"mx.good.test","preference":10}],"domains":3}
{"site":[{"host":"mx1.provider.co.uk","preference":10},{"host":"mx2.provider.co.uk","preference":20}],"domains":2}'
	assert_eq "$(jq -r 'select(.outcome) | .domains' <<<"$OUTPUT" | xargs)" '8 1 1 1 1 1'
}

case_commands_say_what_is_wrong() {
	assert_status 66 show warm "$SCRATCH/missing"
	assert_eq "$OUTPUT" "mxhop: $SCRATCH/missing: No such file or directory"
	assert_status 66 show survey "$SCRATCH/missing"
	echo 'cache = memory' >"$SCRATCH/memory.cf"
	assert_status 78 mxhop -c "$SCRATCH/memory.cf" warm /dev/null
	assert_eq "$OUTPUT" 'mxhop: cache = memory: there is no shared cache to warm'
	assert_status 78 mxhop -c "$SCRATCH/memory.cf" cache stats
	assert_status 78 mxhop -c "$SCRATCH/memory.cf" cache flush
	assert_status 0 mxhop -c "$SCRATCH/memory.cf" survey - <<<a.test
	assert_counts 1 0 0 0 0 0
	# One that is refused: others could write to it.
	printf '%s\n' "cache = $SCRATCH/open" >"$SCRATCH/open.cf"
	install -d -m 777 "$SCRATCH/open"
	assert_status 78 mxhop -c "$SCRATCH/open.cf" cache list
	assert_match "$OUTPUT" 'the shared cache cannot be used: nothing to list'
	assert_status 64 show cache
	assert_status 64 show cache get
	assert_status 64 show cache list a.test
	assert_status 64 show cache stats --format xml
	assert_status 64 show warm
	assert_status 64 show warm --jobs 0 /dev/null
	assert_status 64 show survey --limit -1 /dev/null
}

# --- what a finished answer was made from ---

# One entry: ATTRIBUTE VALUE HOP.
# In force within a second in a daemon that is being asked.
override() {
	printf '%s\n' 'dn: cn=o,dc=test' 'objectClass: mxhopOverride' 'cn: o' \
		"$1: $2" "mxhopHop: $3" >"$LDIF"
	mxhop refresh --force
	sleep 1.1
}

no_override() {
	: >"$LDIF"
	mxhop refresh --force
	sleep 1.1
}

# The finished answer is in the cache and is used by the daemon.
make_hot() { # DOMAIN
	local i
	for i in {1..3}; do
		assert_sent "hot$i-$RANDOM@$1" mx.good.test
	done
	mark
}

case_refresh_overrules_a_hot_answer() {
	local pids pid
	make_hot over.test
	mapfile -t pids < <(pgrep -x trivial-rewrite)
	[[ ${#pids[@]} -gt 0 ]] || fail "no trivial-rewrite"
	override mxhopKey over.test '[192.0.2.10]'
	assert_sent key@over.test 192.0.2.10
	assert_eq "$(ask mxhop over.test)" ':[192.0.2.10]'
	no_override
	assert_sent back@over.test mx.good.test
	override mxhopExchange mx.good.test '[192.0.2.10]'
	assert_sent exchange@over.test 192.0.2.10
	assert_sent exchange2@over.test 192.0.2.10
	override mxhopExchange mx.other.test '[192.0.2.10]'
	assert_sent other@over.test mx.good.test
	override mxhopKey .test '[192.0.2.10]'
	assert_sent parent@over.test 192.0.2.10
	no_override
	assert_sent last@over.test mx.good.test
	assert_asked over.test 0
	for pid in "${pids[@]}"; do
		kill -0 "$pid" || fail "process $pid has ended"
	done
}

# Hosts that want a queue for each domain; and others, which do not.
case_marks_of_domains_in_hot_answers() {
	local i one two
	one=$(ask group one.alone.test)
	two=$(ask group two.alone.test)
	assert_match "$one" '^:\[aspmx.l.google.com\][, ]+$'
	assert_match "$two" '^:\[aspmx.l.google.com\][, ]+$'
	[[ $one != "$two" ]] || fail "the same string for both"
	assert_eq "$(ask group one.test)" "$(ask group two.test)"
	for i in {1..4}; do
		assert_eq "$(ask_daemon group two.alone.test)" "$two"
		assert_eq "$(ask_daemon group one.alone.test)" "$one"
		assert_eq "$(ask_daemon group one.test)" ':[mx.good.test]'
	done
	assert_eq "$(ask group one.alone.test)" "$one"
	assert_eq "$(mxhop -c /etc/mxhop/group.cf lookup --format postfix two.alone.test)" "$two"
	# Never asked for before, but its site is known.
	[[ $(ask_daemon group three.alone.test) != @("$one"|"$two") ]] || fail "another's mark"
	assert_asked '[a-z]+.alone.test' 3
	[[ $(cache_of group stats --format json | jq -r 'select(.routes).routes') -ge 2 ]] ||
		fail "no finished answers are kept"
}

# --- the end of what began above ---

asked_again_daemon() { # CONFIGURATION NAME
	assert_eq "$(ask_daemon "$1" "$2")" ':[mx.good.test]'
	asked "$2" 1 stale
}

case_stale_is_refreshed_after_a_while() {
	local at_ms since
	read -r since <"$SCRATCH/stale.since"
	eventually 35 asked_again_daemon stale old.short.test || fail "not asked again"
	mapfile -t at_ms < <(asked_at_ms old.short.test stale)
	[[ $((at_ms[0] - since)) -gt 29000 ]] || fail "asked again too early"
	# The server is well again.
	eventually 5 entry_is stale old.short.test fresh || fail "not refreshed"
}

case_postfix_is_well() {
	refute_match "$(<"$MAIL_LOG")" 'panic|fatal|killed by signal|exit status'
}
