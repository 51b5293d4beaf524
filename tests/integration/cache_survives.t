# shellcheck shell=bash disable=SC2016
# What the shared cache must survive: damaged files, foreign files, full and
# read-only file systems, a directory that goes away, killed and stopped
# processes, many at a time, clocks that step, jails. Whatever happens to it, each
# answer is right and mail flows; where the cache cannot be shared, somebody says
# why, and each process keeps one of its own.
#
# Only mxhop is told who knows the domains here: the machine's own resolver knows
# the mail hosts and nothing else. Mail that mxhop does not route is bounced.

ME=alice@mta.mxhop.test
C=/run/mxhop/mxhop
KEYS=$SCRATCH/keys
COUNT=5000

# --- names, and what is right about them ---

# d<n>.many.test has the one host m<n % 100>; anything.example.test has mx.
many_zone() {
	awk -v count="$COUNT" 'BEGIN {
		for (i = 0; i < count; i++) printf "d%d MX 10 m%d\n", i, i % 100
		for (i = 0; i < 100; i++) printf "m%d A 192.0.2.%d\n", i, i + 1
	}' | zone many.test
}

setup() {
	many_zone
	zone example.test <<-'END'
		*     MX 10 mx
		mx    A 192.0.2.1
		three MX 10 mx1
		three MX 10 mx2
		three MX 10 mx3
		mx1   A 192.0.2.1
		mx2   A 192.0.2.1
		mx3   A 192.0.2.1
	END
	start_nsd
	start_faultdns plain 127.0.0.54:53 <<<'mx.example.test A a 192.0.2.1'
	set_resolver 127.0.0.54
	seq -f 'd%.0f.many.test' 0 $((COUNT - 1)) >"$KEYS"
	use_mxhop_plugin < <(conf)
	start_postfix "transport_maps = $M" 'service_throttle_time = 1s' \
		'ipc_idle = 100s'
	start_sink 192.0.2.1
}

# Who is asked waits for the answer here, so that there is only one right one.
conf() { # LINE...
	printf '%s\n' "dns_servers = $NSD_ADDRESS" 'lookup_budget = 10s' \
		'wait_share = 100%' 'cache_size = 4M' "$@"
}

# Where there may be no answer, it should not take long.
quick() { sed -i 's/^lookup_budget.*/lookup_budget = 500ms/' /etc/mxhop/mxhop.cf; }

fresh() { echo "n${EPOCHREALTIME/./}.example.test"; }

# One process, one answer: the right one. What it said is in OUTPUT.
look() { # NAME
	assert_status 0 mxhop lookup --format json "$1"
	assert_match "$OUTPUT" '"hops":\[\{"host":"mx\.example\.test"[^]]*\}\]'
}

# Processes that come after one another share what they learn, or do not. What
# the first of them complained of is in SAID.
assert_cache_is() { # shared|private
	local name state=miss
	[[ $1 == private ]] || state=hit
	name=$(fresh)
	look "$name"
	SAID=$OUTPUT
	assert_match "$SAID" '"cache":"miss"'
	look "$name"
	assert_match "$OUTPUT" "\"cache\":\"$state\"" "the cache is not $1"
}

# Key and answer of names of many.test: each is right, and there are N of them.
assert_answers() { # N FILE
	local wrong
	wrong=$(awk '{ n = substr($1, 2) + 0
		if ($0 != "d" n ".many.test\t:[m" n % 100 ".many.test]" && bad++ < 3) print }' "$2")
	[[ -z $wrong ]] || fail "wrong answers: $wrong"
	[[ $1 -eq $(wc -l <"$2") ]] || fail "$(wc -l <"$2") answers, expected $1"
}

# By the command and by the plugin.
assert_all_answers() {
	mxhop lookup --format postfix - <"$KEYS" >"$SCRATCH/answers"
	assert_answers "$COUNT" "$SCRATCH/answers"
	as_postfix postmap -q - "$M" <"$KEYS" >"$SCRATCH/answers"
	assert_answers "$COUNT" "$SCRATCH/answers"
}

stat_of() { # NUMBER
	mxhop cache stats --format json | sed -nE "s/.*\"$1\":([0-9]+).*/\1/p"
}

# Everything can be learnt and is kept then; now and then one finds its place
# taken by others.
assert_warms() {
	local most=$((COUNT - COUNT / 500))
	assert_status 0 mxhop warm "$KEYS"
	refute_match "$OUTPUT" 'mxhop:'
	assert_match "$OUTPUT" 'failed +0'
	[[ $(stat_of domains) -ge $most ]] || fail "$(stat_of domains) are in the cache"
	assert_status 0 mxhop warm "$KEYS"
	[[ $OUTPUT =~ 'already cached'\ +([0-9]+) && ${BASH_REMATCH[1]} -ge $most ]] ||
		fail "$OUTPUT"
}

# --- Postfix ---

as_postfix() { # COMMAND...
	setpriv --reuid=postfix --regid=postfix --clear-groups -- "$@"
}

rewriters() { pgrep -x trivial-rewrite || true; }

none_alive() { # PID...
	local pid
	for pid; do
		[[ ! -d /proc/$pid ]] || return 1
	done
}

# No process of before lives on, with what it has open.
renew_postfix() {
	local old
	mapfile -t old < <(rewriters)
	reload_postfix
	eventually 10 none_alive "${old[@]}" || fail "old processes do not end"
}

# Mail to a name that nobody has asked for.
assert_mail_flows() {
	NAME=$(fresh)
	send_mail "$ME" "user@$NAME"
	wait_for_log "to=<user@$NAME>, relay=mx.example.test.*status=sent" 20
	refute_log 'panic:|fatal:|killed by signal|status=(bounced|deferred)'
}

in_shared_cache() { mxhop cache get "$1" >/dev/null 2>&1; }

assert_postfix_shares() {
	assert_mail_flows
	eventually 5 in_shared_cache "$NAME" ||
		fail "Postfix does not write to the shared cache"
}

refute_postfix_shares() {
	assert_mail_flows
	assert_cache_is private
}

# Each case begins with a cache that nobody has touched.
new_cache() {
	umount -l "$C" 2>/dev/null || true
	rm -rf /run/mxhop
	mkdir -m 0755 /run/mxhop
	conf "$@" >/etc/mxhop/mxhop.cf
	touch -d '10 seconds ago' /etc/mxhop/mxhop.cf
	if postfix_stopped; then start_postfix; else renew_postfix; fi
}

case_the_cache_is_shared() {
	new_cache
	assert_cache_is shared
	assert_postfix_shares
	assert_cache_is shared
	refute_match "$SAID" mxhop:
	refute_log 'mxhop.cf:'
}

# --- files that are not what they were ---

noise() { head -c "$1" /dev/urandom; } # BYTES

damage() { # KIND
	local file=$C/cache-2
	case $1 in
	empty) : >"$file" ;;
	cut-in-a-bucket) truncate -s 5000 "$file" ;;
	cut-after-the-header) truncate -s 4096 "$file" ;;
	noise-over-the-header) noise_at 0 200 ;;
	noise-over-buckets) noise_at 20000 100000 ;;
	zeroes) head -c "$(stat -c %s "$file")" /dev/zero |
		dd of="$file" bs=1M conv=notrunc status=none ;;
	noise) noise 300000 >"$file" ;;
	another-format) noise_at 0 8 ;;
	another-boot) noise_at 16 8 ;;
	other-numbers) noise_at 12 4 ;;
	removed) rm "$file" ;;
	no-lock) rm "$file.lock" ;;
	replaced) install -o postfix -g postfix -m 0600 "$SCRATCH/other" "$file" ;;
	esac
}

noise_at() { # OFFSET BYTES
	noise "$2" | dd of="$C/cache-2" bs=1M iflag=fullblock oflag=seek_bytes \
		seek="$1" conv=notrunc status=none
}

DAMAGES='empty cut-in-a-bucket cut-after-the-header noise-over-the-header
	noise-over-buckets zeroes noise another-format another-boot other-numbers
	removed no-lock replaced'

# Damage is a miss, and mended by whoever writes next.
case_damage_found_by_a_command() {
	local kind
	new_cache
	stop_postfix
	noise 200000 >"$SCRATCH/other"
	for kind in $DAMAGES; do
		mxhop warm "$KEYS"
		damage "$kind"
		head -n 200 "$KEYS" | mxhop lookup --format postfix - >"$SCRATCH/answers"
		assert_answers 200 "$SCRATCH/answers"
		assert_cache_is shared
		refute_match "$SAID" mxhop: "$kind"
	done
	assert_warms
	start_postfix
}

case_damage_found_by_postfix() {
	local kind
	new_cache
	noise 200000 >"$SCRATCH/other"
	assert_cache_is shared
	for kind in empty noise-over-the-header another-boot replaced; do
		stop_postfix
		damage "$kind"
		mark
		start_postfix
		assert_postfix_shares
		refute_log 'mxhop.cf:'
		assert_cache_is shared
	done
}

case_data_is_replaced_under_postfix() {
	new_cache
	noise 200000 >"$SCRATCH/other"
	assert_postfix_shares
	install -o postfix -g postfix -m 0600 "$SCRATCH/other" "$C/new"
	mv "$C/new" "$C/cache-2"
	assert_mail_flows
	assert_cache_is shared
	assert_postfix_shares
	refute_log 'mxhop.cf:'
}

# --- files that others have their hands on ---

link_to() { # TARGET FILE
	rm -rf "$2"
	ln -s "$1" "$2"
}

spoil() { # KIND
	case $1 in
	directory-of-another) chown alice "$C" ;;
	file-of-another) chown alice "$C/cache-2" && chmod 0666 "$C/cache-2" ;;
	directory-of-a-group) chmod 0770 "$C" ;;
	file-for-everybody) chmod 0666 "$C/cache-2" ;;
	parent-of-another) chown alice /run/mxhop ;;
	parent-for-everybody) chmod 0777 /run/mxhop ;;
	link-data) link_to /run/victim "$C/cache-2" ;;
	link-to-nothing) link_to /run/nothing "$C/cache-2" ;;
	link-directory) mv "$C" /run/moved && link_to /run/moved "$C" ;;
	second-name) ln "$C/cache-2" /run/mxhop/second ;;
	fifo) rm "$C/cache-2" && as_postfix mkfifo -m 0600 "$C/cache-2" ;;
	read-only) mount --bind "$C" "$C" && mount -o remount,bind,ro "$C" ;;
	esac
}

spoilt() {
	printf '%s\n' \
		"directory-of-another $C: belongs to uid .*chown" \
		"file-of-another $C/cache-2: (belongs to uid|others may write)" \
		"directory-of-a-group $C: others may write to this .*chmod 0700" \
		"file-for-everybody $C/cache-2: others may write" \
		"parent-of-another $C: the directory above it belongs to uid" \
		"parent-for-everybody $C: others may write to the directory above" \
		"link-data $C/cache-2: is a symbolic link; remove it" \
		"link-to-nothing $C/cache-2: is a symbolic link" \
		"link-directory $C: (is a symbolic link|Not a directory)" \
		"second-name $C/cache-2: is not a regular file with one name" \
		"fifo $C/cache-2: is not a regular file" \
		"read-only $C/cache-2: Read-only file system"
}

# As before anybody spoilt it, but with entries in it.
make_cache() {
	umount -l "$C" 2>/dev/null || true
	rm -rf /run/mxhop /run/moved
	mkdir -m 0755 /run/mxhop
	assert_cache_is shared
}

NOT_SHARED='; the cache is kept in memory, not shared'

case_a_cache_that_a_command_may_not_trust() {
	local kind message
	new_cache 'cache_owner = postfix'
	stop_postfix
	echo precious >/run/victim
	chown postfix /run/victim
	while read -r kind message; do
		make_cache
		spoil "$kind"
		assert_cache_is private
		assert_match "$SAID" "warning: $message.*$NOT_SHARED" "$kind"
		assert_status 78 mxhop cache stats
		assert_match "$OUTPUT" 'the shared cache cannot be used' "$kind"
	done < <(spoilt)
	# Whoever cannot have the lock reads, and writes nothing.
	make_cache
	link_to /run/victim "$C/cache-2.lock"
	assert_cache_is private
	assert_status 75 mxhop cache flush
	assert_eq "$(</run/victim)" precious "the target of the links"
	[[ ! -e /run/nothing ]] || fail "a link was followed"
	make_cache
}

case_a_cache_that_postfix_may_not_trust() {
	local kind message
	new_cache 'cache_owner = postfix'
	while read -r kind message; do
		case $kind in file-for* | parent-for* | second* | link-to*) continue ;; esac
		make_cache
		spoil "$kind"
		renew_postfix
		mark
		refute_postfix_shares
		wait_for_log "trivial-rewrite.*warning: .*$message.*$NOT_SHARED" 5
	done < <(spoilt)
	make_cache
	renew_postfix
	assert_postfix_shares
}

# --- full file systems ---

on_tmpfs() { # MOUNT-OPTION...
	umount -l "$C" 2>/dev/null || true
	rm -rf "$C"
	mkdir -m 0700 "$C"
	mount -t tmpfs -o "mode=700,uid=$(id -u postfix),gid=$(id -g postfix)$(printf ',%s' "$@")" full "$C"
}

fill() { # FILE
	dd if=/dev/zero of="$1" bs=4k status=none 2>/dev/null || true
	[[ $(stat -f -c %a "$C") -eq 0 ]] || fail "$C is not full"
}

# Of every size between nothing and enough: kept or not, never half.
case_a_full_tmpfs_when_the_cache_is_opened() {
	local pages
	new_cache
	stop_postfix
	for pages in {1..24} 64; do
		on_tmpfs "size=$((4 * pages))k"
		look "$(fresh)"
		look "$(fresh)"
		head -n 100 "$KEYS" | mxhop lookup --format postfix - >"$SCRATCH/answers"
		assert_answers 100 "$SCRATCH/answers"
	done
	assert_cache_is shared
	on_tmpfs nr_inodes=1
	assert_cache_is private
	assert_match "$SAID" "warning: $C/cache-2: No space left on device$NOT_SHARED"
	on_tmpfs nr_inodes=1
	start_postfix
	refute_postfix_shares
	wait_for_log "trivial-rewrite.*warning: .*No space left on device$NOT_SHARED" 5
}

case_a_tmpfs_that_fills_while_in_use() {
	local before after
	new_cache
	on_tmpfs size=3M
	renew_postfix
	head -n 1000 "$KEYS" | mxhop warm -
	assert_postfix_shares
	before=$(stat_of domains)
	fill "$C/filler"
	# What there is room for is kept, in the place of something else.
	assert_status 0 mxhop warm "$KEYS"
	assert_match "$OUTPUT" 'warning: the cache could not be written'
	after=$(stat_of domains)
	[[ $after -ge $((before / 2)) ]] || fail "$before domains before, $after after"
	assert_all_answers
	assert_mail_flows
	rm "$C/filler"
	assert_cache_is shared
	assert_postfix_shares
	assert_warms
	refute_log 'mxhop.cf:'
}

# --- a directory that goes away ---

case_the_directory_is_removed_while_in_use() {
	new_cache
	assert_postfix_shares
	rm -rf "$C"
	in_shared_cache "$NAME" && fail "it is still there"
	rm -rf "$C"
	assert_mail_flows
	look "$NAME"
	assert_cache_is shared
	assert_mail_flows
	refute_log 'mxhop.cf:'
	renew_postfix
	assert_postfix_shares
	rm -rf /run/mxhop
	assert_mail_flows
	assert_cache_is shared
	assert_mail_flows
	renew_postfix
	assert_postfix_shares
}

# --- processes that are killed ---

# Background loops run while this file is there, and say what went wrong.
LOOPING=$SCRATCH/looping

start_loops() { # FUNCTION...
	local f i=0
	LOOPS=()
	mxhop cache stats >/dev/null # root makes the directory, and then the others come
	: >"$LOOPING"
	for f; do
		i=$((i + 1))
		"$f" "$i" 2>"$SCRATCH/loop$i.err" >"$SCRATCH/loop$i.out" &
		LOOPS+=($!)
	done
}

end_loops() {
	local i
	rm "$LOOPING"
	for i in "${!LOOPS[@]}"; do
		wait "${LOOPS[i]}" ||
			fail "loop $((i + 1)): $(tail -n 3 "$SCRATCH/loop$((i + 1)).err")"
	done
}

looping() { [[ -e $LOOPING ]]; }

# What a loop of that number works on.
some_keys() { # NUMBER COUNT
	shuf -n "$2" "$KEYS" >"$SCRATCH/loop$1.keys"
	rm -f "$SCRATCH/loop$1.answers"
}

loop_lookup() { # NUMBER
	while looping; do
		some_keys "$1" 300
		mxhop lookup --format postfix - <"$SCRATCH/loop$1.keys" \
			>"$SCRATCH/loop$1.answers"
		assert_answers 300 "$SCRATCH/loop$1.answers"
		echo round
	done
}

loop_postmap() { # NUMBER
	while looping; do
		some_keys "$1" 300
		as_postfix postmap -q - "$M" <"$SCRATCH/loop$1.keys" \
			>"$SCRATCH/loop$1.answers"
		assert_answers 300 "$SCRATCH/loop$1.answers"
		echo round
	done
}

random_ms() { # BELOW
	printf '0.%03d' $((RANDOM % $1))
}

assert_loops_said() { # REGEX
	local said
	said=$(cat "$SCRATCH"/loop*.err | grep -m 1 -vE -- "$1") || true
	[[ -z $said ]] || fail "a loop said: $said"
}

case_writers_are_killed() {
	local i pid killed=0
	new_cache
	start_loops loop_lookup loop_postmap
	for i in {1..30}; do
		assert_status 0 mxhop cache flush
		mxhop warm "$KEYS" >/dev/null &
		pid=$!
		sleep "$(random_ms 200)"
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || killed=$((killed + 1))
		look "$(fresh)"
		refute_match "$OUTPUT" mxhop:
	done
	end_loops
	assert_loops_said '^$'
	[[ $killed -ge 10 ]] || fail "only $killed were killed before their end"
	assert_cache_is shared
	refute_match "$SAID" mxhop:
	assert_warms
	assert_all_answers
}

all_sent() { # REGEX N
	[[ $(maillog | grep -cE "to=<user@$1>.*relay=mx.example.test.*status=sent") -ge $2 ]]
}

a_rewriter() { [[ -n $(rewriters) ]]; }

case_trivial_rewrite_is_killed() {
	local i pid
	new_cache
	for i in {1..6}; do
		send_mail "$ME" "user@k$i-"{1..20}.example.test
		eventually 10 a_rewriter || fail "nobody asks"
		sleep "$(random_ms 40)"
		for pid in $(rewriters); do
			kill -KILL "$pid" || true
		done
	done
	eventually 30 all_sent 'k[0-9-]+.example.test' 120 || fail "not all were sent"
	refute_log 'panic:|status=(bounced|deferred)|signal (7|11)|mxhop.cf:'
	i=$(maillog | grep -c 'trivial-rewrite pid [0-9]* killed by signal 9')
	[[ $i -ge 3 ]] || fail "only $i were killed"
	assert_cache_is shared
	refute_match "$SAID" mxhop:
	mark
	assert_postfix_shares
	assert_warms
}

# --- many at a time ---

loop_warm() { # NUMBER
	while looping; do
		mxhop warm "$KEYS"
		echo round
	done
}

# One in the cache or none of them: 0 or 1, and nothing else.
loop_flush() { # NUMBER
	local keys status
	while looping; do
		mapfile -t keys < <(shuf -n 40 "$KEYS")
		status=0
		mxhop cache flush "${keys[@]}" || status=$?
		[[ $status -le 1 ]] || fail "cache flush: status $status"
		echo round
	done
}

loop_list() { # NUMBER
	local wrong
	while looping; do
		mxhop cache list >"$SCRATCH/loop$1.list"
		wrong=$(awk -F '\t' '$1 !~ /example.test$/ { n = substr($1, 2) + 0
			if ($1 != "d" n ".many.test" || $2 != "fresh" ||
				$0 !~ "m" n % 100 "[.]many[.]test") { print; exit } }' \
			"$SCRATCH/loop$1.list")
		[[ -z $wrong ]] || fail "wrong in the list: $wrong"
		mxhop cache stats >/dev/null
		echo round
	done
}

case_eight_processes_for_thirty_seconds() {
	local i rounds
	new_cache
	start_loops loop_lookup loop_lookup loop_lookup loop_postmap loop_postmap \
		loop_warm loop_flush loop_list
	for i in {1..30}; do
		sleep 1
		[[ $i -ne 15 ]] || assert_postfix_shares
	done
	end_loops
	assert_loops_said 'mxhop: d[0-9]+\.many\.test: not in the cache$'
	for i in {1..8}; do
		rounds=$(grep -c '^round' "$SCRATCH/loop$i.out")
		echo "loop $i: $rounds rounds"
		[[ $rounds -ge 3 ]] || fail "loop $i: $rounds rounds"
	done
	refute_log 'mxhop.cf:'
	assert_cache_is shared
	assert_warms
	assert_all_answers
	mxhop cache stats
}

# --- processes that are stopped ---

state_locked() {
	grep -E "FLOCK +ADVISORY +WRITE .*:$(stat -c %i "$C/cache-2.lock") " \
		/proc/locks >/dev/null
}

state_of() { ps -o state= -p "$1" || true; } # PID
at_rest() { [[ $(state_of "$1") != [RSD] ]]; } # PID

# The signal alone does not stop it: what it is just doing comes first.
stop_process() { # PID
	kill -STOP "$1" 2>/dev/null && eventually 10 at_rest "$1" &&
		[[ $(state_of "$1") == T ]]
}

# True if the process was caught with the lock: it is stopped then.
caught() { # PID
	while stop_process "$1"; do
		if state_locked; then
			sleep 0.1 # it may be another's, who goes on
			state_locked && return
		fi
		kill -CONT "$1"
		sleep 0.002
	done
	return 1
}

# A `mxhop warm` that was stopped while it had the lock: WRITER.
stop_a_writer() {
	local i
	for i in {1..50}; do
		mxhop cache flush
		mxhop warm "$KEYS" >"$SCRATCH/warm.out" 2>&1 &
		WRITER=$!
		if caught "$WRITER"; then
			return
		fi
		wait "$WRITER" || fail "warm: $(<"$SCRATCH/warm.out")"
	done
	fail "no writer was caught with the lock"
}

# The next process has to open the cache, too.
assert_all_goes_on() {
	local from
	from=$(now_ms)
	look "$(fresh)"
	assert_status 0 timeout 20 mxhop lookup --format postfix d1.many.test
	assert_match "$OUTPUT" ':\[m1\.many\.test\]$'
	assert_status 0 timeout 20 mxhop cache stats
	assert_mail_flows
	[[ $(($(now_ms) - from)) -lt 15000 ]] || fail "all that took $(($(now_ms) - from)) ms"
}

case_a_stopped_writer() {
	local status=0
	new_cache
	assert_cache_is shared
	stop_a_writer
	assert_all_goes_on
	renew_postfix
	assert_all_goes_on
	state_locked || fail "the writer has lost its lock"
	kill -CONT "$WRITER"
	wait "$WRITER" || status=$?
	assert_eq "$status $(<"$SCRATCH/warm.out")" \
		"0 $(grep -v mxhop: "$SCRATCH/warm.out")" "the writer"
	assert_cache_is shared
	assert_warms
	assert_postfix_shares
}

# It writes, too: that domains were asked for again. Not then.
stop_a_reader() { # PID
	local i
	for i in {1..100}; do
		sleep "$(random_ms 20)"
		stop_process "$1"
		state_locked || return 0
		kill -CONT "$1"
	done
	fail "a reader has the lock all the time"
}

case_stopped_readers() {
	local i readers=()
	new_cache
	assert_warms
	for i in {1..8}; do
		while cat "$KEYS" 2>/dev/null; do :; done |
			mxhop lookup - >/dev/null 2>&1 &
		readers+=($!)
	done
	eventually 10 all_read "${readers[@]}" || fail "they do not begin"
	for i in "${readers[@]}"; do
		stop_a_reader "$i"
	done
	for i in "${readers[@]}"; do
		assert_match "$(<"/proc/$i/status")" 'State:.T' "reader $i"
	done
	# They cost nobody anything.
	for i in {1..12}; do
		seq -f "r$i-%.0f.example.test" 1000 >"$SCRATCH/more"
		assert_status 0 mxhop warm "$SCRATCH/more"
		look "$(fresh)"
	done
	assert_status 0 mxhop cache flush
	assert_warms
	assert_all_goes_on
	renew_postfix
	assert_all_goes_on
	assert_all_answers
	kill -KILL "${readers[@]}"
	assert_status 0 mxhop cache flush
	assert_warms
	assert_cache_is shared
	refute_match "$SAID" mxhop:
}

all_read() { # PID...
	local pid
	for pid; do
		grep -q cache-2 "/proc/$pid/maps" || return 1
	done
}

# --- descriptors, jails ---

# Whatever cannot be opened: the right answer, none in time, or a reason.
case_a_command_without_descriptors() {
	local n key status out answered=0
	new_cache 'cache_owner = postfix'
	quick
	assert_warms
	for n in {3..24}; do
		for key in d1 "d$((RANDOM % COUNT))"; do
			status=0
			out=$(prlimit --nofile="$n" mxhop lookup --format postfix \
				"$key.many.test" 2>&1) || status=$?
			[[ $status -lt 128 ]] || fail "$n descriptors: status $status: $out"
			if [[ $status -eq 0 ]]; then
				assert_match "$out" ":\[m$((${key#d} % 100))\.many\.test\]$" "$n"
				answered=$((answered + 1))
			elif [[ $status -ne 1 ]]; then
				assert_match "$out" 'Too many open files|Error 24' "$n descriptors"
			fi
		done
		mxhop cache flush d1.many.test || true
	done
	[[ $answered -ge 32 ]] || fail "$answered answered"
	assert_cache_is shared
	assert_warms
}

# It has not one left; what it asks DNS for needs one.
case_trivial_rewrite_without_descriptors() {
	local pid name
	postconf -F rewrite/unix/process_limit=1
	new_cache
	quick
	renew_postfix
	assert_postfix_shares
	name=$NAME
	pid=$(rewriters)
	assert_eq "$(wc -w <<<"$pid")" 1 "rewriters"
	as_postfix prlimit --pid "$pid" --nofile="$(lowest_free_fd "$pid"):"
	send_mail "$ME" "again@$name"
	wait_for_log "to=<again@$name>, relay=mx.example.test.*status=sent" 20
	mxhop lookup known.example.test
	send_mail "$ME" "user@known.example.test"
	wait_for_log "to=<user@known.example.test>, relay=mx.example.test.*status=sent" 20
	send_mail "$ME" user@cold.example.test
	# Not by us: Postfix's own routing, which does not know the domain.
	wait_for_log 'to=<user@cold.example.test>, relay=none.*status=bounced' 20
	assert_eq "$(rewriters)" "$pid" "trivial-rewrite has ended"
	as_postfix prlimit --pid "$pid" --nofile=1024:
	refute_log 'panic:|fatal:|killed by signal'
	mark
	assert_postfix_shares
	assert_eq "$(rewriters)" "$pid" "trivial-rewrite has ended"
	postconf -F rewrite/unix/process_limit=-
}

lowest_free_fd() { # PID
	local n=0
	while [[ -e /proc/$1/fd/$n ]]; do
		n=$((n + 1))
	done
	echo "$n"
}

# Who asks DNS was told whom to ask before the jail.
case_a_jail_without_resolv_conf() {
	new_cache
	sed -i '/^dns_servers/d' /etc/mxhop/mxhop.cf
	set_resolver "$NSD_ADDRESS"
	rm /var/spool/postfix/etc/resolv.conf
	postconf -F smtp/unix/chroot=n # which would miss it, too
	renew_postfix
	assert_postfix_shares
	assert_match "$(readlink "/proc/$(rewriters | head -n 1)/root")" /var/spool/postfix
	refute_log 'mxhop.cf:'
	postconf -F smtp/unix/chroot=y
	set_resolver 127.0.0.54
}

# --- installation ---

as_tmpfiles_says() { # FILE
	local type path mode user group
	while read -r type path mode user group _; do
		[[ $type == d ]] || continue
		install -d -m "${mode#:}" -o "${user#:}" -g "${group#:}" "$path"
	done <"$1"
}

ask_as_postfix() { # -> OUTPUT
	assert_status 0 as_postfix postmap -q "$(fresh)" "$M"
	assert_match "$OUTPUT" ':\[mx\.example\.test\]$'
}

case_the_installed_directory() {
	local tmpfiles=$SCRATCH/inst/usr/local/lib/tmpfiles.d/mxhop.conf remedy
	make -C "$ROOT" install DESTDIR="$SCRATCH/inst" >"$SCRATCH/install.log"
	new_cache
	stop_postfix
	rm -rf /run/mxhop
	ask_as_postfix
	assert_match "$OUTPUT" "as root: .(install [^\`]*)..*$NOT_SHARED"
	remedy=${BASH_REMATCH[1]}
	as_tmpfiles_says "$tmpfiles"
	assert_eq "$(stat -c '%U %a' /run/mxhop "$C" | xargs)" 'root 755 postfix 700'
	ask_as_postfix
	refute_match "$OUTPUT" mxhop:/
	assert_cache_is shared
	rm -rf /run/mxhop
	$remedy
	ask_as_postfix
	refute_match "$OUTPUT" warning
	assert_cache_is shared
}

# Before anybody else, by commands that stay root: the cache is not root's then.
case_commands_that_stay_root() {
	new_cache 'overrides = ldif:/etc/mxhop/overrides.ldif'
	refresh_overrides <<-'END' >"$SCRATCH/refresh.out" 2>&1
		dn: cn=o
		objectClass: mxhopOverride
		cn: o
		mxhopKey: o.example.test
		mxhopHop: [mx1.example.test]
	END
	refute_match "$(<"$SCRATCH/refresh.out")" mxhop:
	assert_status 0 mxhop check
	refute_match "$OUTPUT" mxhop:
	assert_cache_is shared
	refute_match "$SAID" mxhop:
	assert_status 0 mxhop refresh
	refute_match "$OUTPUT" mxhop:
	assert_postfix_shares
	refute_log 'mxhop.cf:'
}

# Who is neither root nor Postfix is told so, and answered.
case_an_ordinary_user() {
	new_cache
	assert_cache_is shared
	assert_status 0 setpriv --reuid=alice --regid=alice --clear-groups -- \
		mxhop lookup --format postfix d1.many.test
	refute_match "$OUTPUT" 'warning'
	assert_match "$OUTPUT" "the cache $C is for uid .*kept in memory"
	assert_match "$OUTPUT" ':\[m1\.many\.test\]$'
}

# proxymap(8) is never root.
case_proxymap() {
	new_cache
	rm -rf /run/mxhop
	mark
	postfix_set "transport_maps = proxy:$M"
	assert_mail_flows
	wait_for_log "proxymap.*warning: .*$C: cannot make this directory.*$NOT_SHARED" 5
	assert_cache_is shared
	renew_postfix
	mark
	assert_postfix_shares
	refute_log 'mxhop.cf:'
	postfix_set "transport_maps = $M"
}

# --- one process for long ---

# Its words are at the top of tests/support/asker.c.
build_asker() {
	local source=$ROOT/tests/support/asker.c
	cc -std=c11 -O1 -g -Wall -Wextra -Werror -I"$ROOT/include" \
		-o /usr/bin/mxhop-asker "$source" -L"$MXHOP_BUILD/lib" -lmxhop
	[[ -e /usr/lib/libmxhop.so.0 ]] || fail "no /usr/lib/libmxhop.so.0"
}

# Asker number N reads from descriptor 30 + N, and writes to 40 + N.
start_asker() { # N CONFIG
	local pipe=$SCRATCH/asker$1
	rm -f "$pipe.in" "$pipe.out"
	mkfifo "$pipe.in" "$pipe.out"
	as_postfix mxhop-asker "$2" <"$pipe.in" >"$pipe.out" 2>"$pipe.err" &
	eval "exec 3$1>'$pipe.in' 4$1<'$pipe.out'"
}

tell() { # N COMMAND -> SAID
	echo "$2" >&"3$1"
	IFS= read -r -t 30 -u "4$1" SAID || fail "asker $1 does not answer: $2"
}

end_asker() { # N
	eval "exec 3$1>&- 4$1<&-"
}

case_fork_after_open() {
	local i
	new_cache
	build_asker
	assert_cache_is shared
	start_asker 1 /etc/mxhop/mxhop.cf
	tell 1 'ask d1.many.test'
	assert_eq "$SAID" ':[m1.many.test]'
	for i in {2..6}; do
		tell 1 "fork d$i.many.test"
		assert_match "$SAID" "^(-|:\[m$i\.many\.test\]) :\[m$i\.many\.test\]$"
		tell 1 "ask d$i.many.test"
		assert_eq "$SAID" ":[m$i.many.test]"
		assert_status 0 mxhop lookup --format json "d$i.many.test"
		assert_match "$OUTPUT" '"cache":"hit"'
	done
	tell 1 "ask $(fresh)"
	assert_eq "$SAID" ':[mx.example.test]'
	assert_eq "$(<"$SCRATCH/asker1.err")" ''
	end_asker 1
	assert_warms
}

# The same as a process that knows no cache says, whatever the clock does.
case_the_clock_steps() {
	local step key before now=${EPOCHSECONDS} asked
	new_cache 'overrides = ldif:/etc/mxhop/overrides.ldif'
	refresh_overrides <<-END
		dn: cn=window
		objectClass: mxhopOverride
		cn: window
		mxhopKey: window.example.test
		mxhopHop: [mx1.example.test]
		mxhopNotBefore: $(date -u -d "@$((now - 7200))" +%Y%m%d%H%M%SZ)
		mxhopNotAfter: $(date -u -d "@$((now + 7200))" +%Y%m%d%H%M%SZ)
	END
	{
		cat /etc/mxhop/mxhop.cf
		echo 'cache = none'
	} >/etc/mxhop/none.cf
	build_asker
	assert_cache_is shared
	start_asker 1 /etc/mxhop/mxhop.cf
	start_asker 3 /etc/mxhop/none.cf
	for step in 0 86400 0 -86400 0 700 86400 -86400 0; do
		start_asker 2 /etc/mxhop/mxhop.cf
		for asked in 1 2 3; do tell "$asked" "step $step"; done
		for key in three window d7; do
			[[ $key == d7 ]] && key=d7.many.test || key=$key.example.test
			tell 3 "ask $key"
			before=$SAID
			for asked in 1 2 1; do
				tell "$asked" "ask $key"
				assert_eq "$SAID" "$before" "$key at $step s from asker $asked"
			done
			[[ $key != window* ]] || assert_eq "$SAID" \
				":[mx$([[ ${step#-} -gt 7200 ]] || echo 1).example.test]" "at $step s"
		done
		end_asker 2
	done
	end_asker 1
	end_asker 3
	assert_eq "$(cat "$SCRATCH"/asker?.err)" ''
	assert_status 0 mxhop lookup --format json three.example.test
	assert_match "$OUTPUT" '"cache":"hit"'
	assert_eq "$(stat_of stale)" 0
}
