# shellcheck shell=bash disable=SC2016
# lib.sh: what the cases in *.t are written with. Sourced inside the namespaces
# of tests/support/ground, once for every case; what outlives a case (daemons,
# marks, zones) is in files below $SCRATCH. Every wait is bounded.
#
# A file.t defines `setup` (optional, run once) and functions `case_NAME`, run
# in the order of the file, each in a process of its own with set -eu. A case
# ends at the first command that fails; `fail` and the assertions say why.

set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
MXHOP_BUILD=${MXHOP_BUILD:-$ROOT/build}
SCRATCH=${SCRATCH:-$ROOT/build/test/adhoc}
MAIL_LOG=$SCRATCH/mail.log
NSD_ADDRESS=127.0.0.53
FAULTDNS=$ROOT/build/test/faultdns
FAULTLINK=$ROOT/build/test/faultlink
M=mxhop:/etc/mxhop/mxhop.cf
mkdir -p "$SCRATCH"/{pids,marks,zones,forwards,rules,tmp}

# --- assertions ---

fail() { # REASON...
	echo "FAIL: $*" >&2
	exit 1
}

# Lists as people compare them, without what tells those apart for smtp(8) that
# begin with the same host: the case of its letters, or an element before it.
folded() { # < LISTS
	sed -E '/\](:[0-9]+)?, \[/ { s/.*/\L&/; s/:\[239[0-9.]*\]:1, /:/ }'
}

assert_eq() { # ACTUAL EXPECTED [WHAT]
	[[ $1 == "$2" ]] || fail "${3:-value}: got '$1', expected '$2'"
}

assert_match() { # TEXT REGEX [WHAT]
	[[ $1 =~ $2 ]] || fail "${3:-text}: '$1' does not match '$2'"
}

refute_match() { # TEXT REGEX [WHAT]
	[[ ! $1 =~ $2 ]] || fail "${3:-text}: '$1' matches '$2'"
}

# The output of COMMAND goes to $OUTPUT, for assertions that follow.
assert_status() { # STATUS COMMAND...
	local expected=$1 status=0
	shift
	OUTPUT=$("$@" 2>&1) || status=$?
	[[ $status -eq $expected ]] ||
		fail "status $status, expected $expected: $*: $OUTPUT"
}

# --- waiting ---

# True as soon as COMMAND is, false when SECONDS are over.
eventually() { # SECONDS COMMAND...
	local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
	shift
	until "$@"; do
		[[ ${EPOCHREALTIME/./} -lt $end ]] || return 1
		sleep 0.05
	done
}

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# --- processes and their logs ---

alive() { # NAME
	local pid
	pid=$(cat "$SCRATCH/pids/$1" 2>/dev/null) && kill -0 "$pid" 2>/dev/null
}

not_alive() { ! alive "$1"; }

# Runs COMMAND in the background, output to $SCRATCH/NAME.log, until `stop NAME`
# or the end of the case that started it (if `setup` did: of the file).
SPAWNED=()
spawn() { # NAME COMMAND...
	local name=$1
	shift
	alive "$name" || SPAWNED+=("$name")
	stop "$name"
	setsid "$@" </dev/null >>"$SCRATCH/$name.log" 2>&1 &
	echo $! >"$SCRATCH/pids/$name"
}

stop() { # NAME...
	local name
	for name; do
		if alive "$name"; then
			kill "$(cat "$SCRATCH/pids/$name")" || true
			kill -CONT "$(cat "$SCRATCH/pids/$name")" 2>/dev/null || true
			eventually 5 not_alive "$name" ||
				kill -KILL "$(cat "$SCRATCH/pids/$name")" || true
		fi
		rm -f "$SCRATCH/pids/$name"
	done
}

# The runner calls it after each case: what a case leaves is no other's trouble.
end_case() {
	stop "${SPAWNED[@]}"
	postfix_stopped || queue_empty || purge
}

# Logs count from here on for since_mark and all that builds on it (maillog,
# wait_for_log, dns_queries, sink_*). Every case starts with a mark.
mark() {
	local f
	for f in "$SCRATCH"/*.log; do
		[[ ! -e $f ]] || stat -c %s "$f" >"$SCRATCH/marks/${f##*/}"
	done
}

since_mark() { # LOG-FILE
	local from=0
	[[ -e $1 ]] || return 0
	[[ ! -e $SCRATCH/marks/${1##*/} ]] || from=$(<"$SCRATCH/marks/${1##*/}")
	tail -c "+$((from + 1))" "$1"
}

# Not grep -q, which would end the pipe early and fail the writer. The first host
# of a list has its letters in upper and lower case.
log_has() { # LOG-FILE REGEX
	since_mark "$1" | grep -iE -- "$2" >/dev/null
}

# $SCRATCH/policies, which writes a TLS store in the place of mxhop-tls.
compile_policies() {
	cc -std=c11 -D_GNU_SOURCE -I"$ROOT/include" -I"$ROOT/src" \
		-o "$SCRATCH/policies" "$ROOT/tests/support/policies.c" \
		"$MXHOP_BUILD/lib/libmxhop.a" -lresolv
}

# --- DNS: NSD as authority, Unbound as resolver ---

# Writes a zone; start_dns (or start_nsd and start_unbound) loads it. SOA, NS
# and TTL are added unless the content has a SOA.
zone() { # NAME < RECORDS
	local file=$SCRATCH/zones/$1 content
	content=$(cat)
	{
		printf '$ORIGIN %s.\n$TTL 300\n' "${1#.}"
		[[ $content =~ [[:space:]]SOA[[:space:]] ]] ||
			printf '@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A %s\n' \
				"$NSD_ADDRESS"
		printf '%s\n' "$content"
	} >"$file"
}

# A private root, so that unknown names end in NXDOMAIN and nothing leaves.
private_root() {
	printf '%s\n' "\$TTL 300" ". SOA ns. hostmaster. 1 3600 600 86400 60" \
		". NS ns." "ns. A $NSD_ADDRESS"
}

nsd_conf() {
	local f
	printf '%s\n' server: "ip-address: $1" 'username: ""' 'chroot: ""' \
		'database: ""' 'zonesdir: "/"' "pidfile: $SCRATCH/nsd.pid" \
		"xfrdfile: $SCRATCH/nsd.xfrd" "zonelistfile: $SCRATCH/nsd.list" \
		"xfrdir: $SCRATCH/tmp" \
		'server-count: 1' 'hide-version: yes' 'rrl-ratelimit: 0' \
		remote-control: 'control-enable: no'
	printf 'zone:\n name: .\n zonefile: %s\n' "$SCRATCH/root.zone"
	for f in "$SCRATCH"/zones/*; do
		[[ ! -e $f ]] || printf 'zone:\n name: %s\n zonefile: %s\n' "${f##*/}" "$f"
	done
}

answers() { # ADDRESS NAME [PORT]
	dig +tries=1 +time=1 "@$1" -p "${3:-53}" "$2" SOA 2>/dev/null |
		grep -E 'status: (NOERROR|NXDOMAIN)' >/dev/null
}

start_nsd() {
	local f
	private_root >"$SCRATCH/root.zone"
	for f in "$SCRATCH"/zones/*; do
		[[ -e $f ]] || continue
		nsd-checkzone "${f##*/}" "$f" >&2 || fail "zone ${f##*/}"
	done
	nsd_conf "$NSD_ADDRESS" >"$SCRATCH/nsd.conf"
	spawn nsd nsd -d -c "$SCRATCH/nsd.conf"
	eventually 5 answers "$NSD_ADDRESS" . || fail "NSD does not answer"
}

# Unbound will ask ADDRESS about DOMAIN and all below it, as one asks a resolver.
forward_domain() { # DOMAIN ADDRESS[@PORT]
	echo "$2" >"$SCRATCH/forwards/$1"
}

unbound_conf() { # SERVER-OPTION...
	local f
	printf '%s\n' server: 'interface: 127.0.0.1' 'interface: ::1' 'chroot: ""' \
		'username: ""' "pidfile: $SCRATCH/unbound.pid" "directory: $SCRATCH" \
		'use-syslog: no' 'logfile: ""' 'log-queries: yes' 'verbosity: 1' \
		'num-threads: 1' 'module-config: "iterator"' 'qname-minimisation: no' \
		'do-not-query-localhost: no' 'unblock-lan-zones: yes' \
		'local-zone: "test." nodefault' 'local-zone: "invalid." nodefault' \
		'edns-buffer-size: 1232' 'access-control: 0.0.0.0/0 allow' \
		'access-control: ::/0 allow'
	[[ $# -eq 0 ]] || printf '%s\n' "$@"
	printf '%s\n' remote-control: 'control-enable: yes' 'control-use-cert: no' \
		"control-interface: $SCRATCH/unbound.ctl"
	printf 'stub-zone:\n name: .\n stub-addr: %s\n' "$NSD_ADDRESS"
	for f in "$SCRATCH"/zones/*; do
		[[ ! -e $f ]] || printf 'stub-zone:\n name: %s\n stub-addr: %s\n' \
			"${f##*/}" "$NSD_ADDRESS"
	done
	for f in "$SCRATCH"/forwards/*; do
		[[ ! -e $f ]] || printf 'forward-zone:\n name: %s\n forward-addr: %s\n' \
			"${f##*/}" "$(<"$f")"
	done
}

# Arguments are lines of the server: section, such as 'cache-max-ttl: 0'.
start_unbound() { # [SERVER-OPTION...]
	unbound_conf "$@" >"$SCRATCH/unbound.conf"
	spawn unbound unbound -d -c "$SCRATCH/unbound.conf"
	eventually 5 answers 127.0.0.1 . || fail "Unbound does not answer"
}

start_dns() { # [UNBOUND-SERVER-OPTION...]
	start_nsd
	start_unbound "$@"
}

# Forget what Unbound has cached; `. `is everything.
dns_flush() { # [DOMAIN]
	unbound-control -q -c "$SCRATCH/unbound.conf" flush_zone "${1:-.}"
	unbound-control -q -c "$SCRATCH/unbound.conf" flush_infra all
}

# The faulty server: rules from stdin, see tests/support/faultdns.c. Calling
# faultdns_rules again changes the rules of a running one.
faultdns_rules() { # NAME < RULES
	cat >"$SCRATCH/rules/$1.new"
	mv "$SCRATCH/rules/$1.new" "$SCRATCH/rules/$1"
}

udp_bound() { # ADDRESS PORT
	ss -Hlun "src $1" "sport = $2" | grep . >/dev/null
}

start_faultdns() { # NAME ADDRESS:PORT [-T] < RULES
	local name=$1 where=$2
	shift 2
	faultdns_rules "$name"
	spawn "$name" "$FAULTDNS" "$@" -l "$where" "$SCRATCH/rules/$name"
	eventually 5 udp_bound "${where%:*}" "${where##*:}" ||
		fail "$name: $(tail -n 3 "$SCRATCH/$name.log")"
}

# How many queries for NAME and TYPE reached SERVER since the mark: unbound (from
# its clients) or the NAME of a faultdns. `.*` may stand for either.
dns_queries() { # NAME TYPE [SERVER]
	local server=${3:-unbound} name=${1%.} regex
	if [[ $server == unbound ]]; then
		regex="info: [0-9a-f.:]+ $name\\. $2 IN"
	else
		regex="^[0-9.]+ (udp|tcp) $name $2 "
	fi
	since_mark "$SCRATCH/$server.log" | grep -ciE "$regex" || true
}

# Whom the machine and the jailed daemons ask from now on (they read the file
# when they start).
set_resolver() { # ADDRESS...
	printf 'nameserver %s\n' "$@" >/etc/resolv.conf
	[[ ! -d /var/spool/postfix/etc ]] ||
		cp /etc/resolv.conf /var/spool/postfix/etc/resolv.conf
}

# --- Postfix ---

# Every Postfix program waits until a main.cf written a moment ago is older.
cool_main_cf() { touch -d '10 seconds ago' /etc/postfix/main.cf; }

# As Debian's postinst leaves it: daemons jailed, hash aliases, dynamic maps.
configure_postfix() {
	cp /usr/share/postfix/main.cf.debian /etc/postfix/main.cf
	cp /usr/share/postfix/master.cf.dist /etc/postfix/master.cf
	grep -E '^(#|cdb|lmdb)' /usr/share/postfix/dynamicmaps.cf \
		>/etc/postfix/dynamicmaps.cf
	postconf -e 'smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination' \
		'alias_maps = hash:/etc/aliases' 'alias_database = hash:/etc/aliases' \
		'myorigin = /etc/mailname' 'myhostname = mta.mxhop.test' \
		'mydestination = $myhostname, localhost' 'recipient_delimiter = +' \
		'mynetworks = 127.0.0.0/8 [::1]/128' \
		'inet_interfaces = 127.0.0.1, 192.0.2.250, [2001:db8::250]' "maillog_file = $MAIL_LOG" \
		"maillog_file_prefixes = $SCRATCH"
	cool_main_cf
	newaliases
}

# From now on Postfix is that of SUITE (trixie, sid), until the end of the file.
# The packages are copied over the memory of the ground. Programs that run keep
# the C library that they have.
use_release() { # SUITE
	local tree=${MXHOP_MTA:-$ROOT/build/mta}/postfix-$1
	[[ -e $tree/.complete ]] || fail "no $tree: run tests/support/deps.sh test"
	stop_postfix
	cp -a --remove-destination "$tree/usr/." /usr/
	chgrp postdrop /usr/sbin/post{drop,queue}
	chmod 2555 /usr/sbin/post{drop,queue}
	rm -f /etc/postfix/main.cf
}

smtp_listening() { # ADDRESS [PORT]
	ss -Hltn "src $1" "sport = ${2:-25}" | grep . >/dev/null
}

start_postfix() { # [NAME=VALUE...]
	[[ -e /etc/postfix/main.cf ]] || configure_postfix
	stop_postfix
	[[ $# -eq 0 ]] || postconf -e "$@"
	cool_main_cf
	# Newer packages do that by themselves.
	grep -q configure-instance /usr/lib/postfix/sbin/post-install ||
		/usr/lib/postfix/configure-instance.sh -
	postfix start 2>>"$SCRATCH/postfix-command.log" ||
		fail "postfix start: $(tail -n 3 "$MAIL_LOG" "$SCRATCH/postfix-command.log")"
	eventually 10 smtp_listening 127.0.0.1 || fail "smtpd does not listen"
}

postfix_stopped() {
	[[ ! -e /etc/postfix/main.cf ]] || /usr/lib/postfix/sbin/master -t 2>/dev/null
}

stop_postfix() {
	postfix_stopped && return
	postfix stop 2>/dev/null || true
	eventually 10 postfix_stopped || fail "Postfix does not stop"
}

reload_count() { grep -c 'reload -- version' "$MAIL_LOG" || true; }
reloaded() { [[ $(reload_count) -gt $1 ]]; }

reload_postfix() {
	local before
	cool_main_cf
	before=$(reload_count)
	postfix reload 2>>"$SCRATCH/postfix-command.log"
	eventually 10 reloaded "$before" || fail "Postfix does not reload"
}

# inet_interfaces and inet_protocols take a start_postfix.
postfix_set() { # NAME=VALUE...
	postconf -e "$@"
	reload_postfix
}

postfix_unset() { # NAME...
	postconf -X "$@"
	reload_postfix
}

maillog() { since_mark "$MAIL_LOG"; }

wait_for_log() { # REGEX [SECONDS]
	eventually "${2:-10}" log_has "$MAIL_LOG" "$1" ||
		fail "not in the mail log within ${2:-10} s: $1"
}

refute_log() { # REGEX
	local line
	line=$(maillog | grep -iE -m 1 -- "$1") && fail "in the mail log: $line"
	return 0
}

queued() { postqueue -j; }
queue_empty() { [[ -z $(queued) ]]; }

wait_queue_empty() { # [SECONDS]
	eventually "${1:-15}" queue_empty || fail "still queued: $(queued)"
}

# Delivers what can be delivered now; what is left in the queue is a failure.
drain() { # [SECONDS]
	postqueue -f
	wait_queue_empty "$@"
}

# Empties the queue whatever is in it.
purge() { postsuper -d ALL 2>/dev/null; }

# --- mail ---

# An SMTP server on ADDRESS (port 25) that takes everything, or what smtp-sink(1)
# options say: -f rcpt (5xx), -r rcpt (4xx), -q connect (hang up), -h hostname.
# Mail is in $SCRATCH/sink-ADDRESS.mail, the dialogue in sink-ADDRESS.log.
start_sink() { # ADDRESS[:PORT] [SMTP-SINK-OPTION...]
	local address=$1 port=25 name=sink-$1 where
	shift
	if [[ $address =~ ^(\[.*\]|[0-9.]+):([0-9]+)$ ]]; then
		address=${BASH_REMATCH[1]} port=${BASH_REMATCH[2]}
	fi
	address=${address#[} address=${address%]}
	where=$address:$port
	[[ $address != *:* ]] || where=[$address]:$port
	spawn "$name" smtp-sink -v -u root -D "$SCRATCH/$name.mail" "$@" "$where" 100
	eventually 5 smtp_listening "${where%:*}" "$port" ||
		fail "$name: $(tail -n 3 "$SCRATCH/$name.log")"
}

stop_sink() { # ADDRESS[:PORT]...
	stop "${@/#/sink-}"
}

sink_lines() { # ADDRESS REGEX
	since_mark "$SCRATCH/sink-$1.log" | grep -cE "^smtp-sink: $2" || true
}

sink_connections() { sink_lines "$1" 'connect \('; } # ADDRESS[:PORT]
sink_messages() { sink_lines "$1" '\.$'; }           # ADDRESS[:PORT]

sink_recipients() { # ADDRESS[:PORT]
	since_mark "$SCRATCH/sink-$1.log" | sed -nE 's/^smtp-sink: RCPT TO:<(.*)>.*/\1/p'
}

send_mail() { # FROM TO...
	local from=$1
	shift
	printf 'Subject: test\nTo: %s\n\ntest\n' "$1" | sendmail -i -f "$from" -- "$@"
}

# Reads one SMTP reply of any number of lines from descriptor 7.
smtp_reply() {
	local line
	while IFS= read -r -t 30 -u 7 line; do
		printf '%s\n' "${line%$'\r'}"
		[[ $line == ???-* ]] || return 0
	done
	echo "000 no reply"
}

smtp_say() { # COMMAND
	printf '%s\r\n' "$1" >&7
	smtp_reply
}

# A session on descriptor 7, up to RCPT or what fails before it: sets SMTP_REPLY.
smtp_until_rcpt() { # FROM RCPT [ADDRESS [PORT]]
	local command
	exec 7<>"/dev/tcp/${3:-127.0.0.1}/${4:-25}"
	SMTP_REPLY=$(smtp_reply)
	for command in "EHLO client.mxhop.test" "MAIL FROM:<$1>" "RCPT TO:<$2>"; do
		[[ $SMTP_REPLY == 2* ]] || break
		SMTP_REPLY=$(smtp_say "$command")
	done
}

smtp_quit() {
	printf 'QUIT\r\n' >&7
	exec 7>&-
}

# Prints the reply at RCPT (or at what failed before it); true if it is 2xx.
smtp_try() { # FROM RCPT [ADDRESS [PORT]]
	smtp_until_rcpt "$@"
	smtp_quit
	printf '%s\n' "$SMTP_REPLY"
	[[ $SMTP_REPLY == 2* ]]
}

# --- mxhop ---

# Our command and library, where an installation puts them.
use_mxhop() {
	[[ -x $MXHOP_BUILD/bin/mxhop ]] || fail "no $MXHOP_BUILD/bin/mxhop: run make"
	cp "$MXHOP_BUILD/bin/mxhop" /usr/bin/mxhop
	cp -a "$MXHOP_BUILD"/lib/libmxhop.so* /usr/lib/ 2>/dev/null || true
}

# The plugin where Debian's Postfix looks for table types, and its configuration.
use_mxhop_plugin() { # < MXHOP.CF
	local plugin=$MXHOP_BUILD/plugins/postfix-mxhop.so
	[[ -e $plugin ]] || fail "no $plugin: run make"
	[[ -e /etc/postfix/main.cf ]] || configure_postfix
	use_mxhop
	cp "$plugin" /usr/lib/postfix/
	printf '%s\tpostfix-mxhop.so\tdict_%s_open\n' mxhop mxhop mxhop_tls mxhop_tls \
		>/etc/postfix/dynamicmaps.cf.d/mxhop.cf
	cat >/etc/mxhop/mxhop.cf
}

refresh_overrides() { # < LDIF
	cat >/etc/mxhop/overrides.ldif
	mxhop refresh
}

# --- overrides ---

# LDIF from lines `NAME Attribute value; Attribute value; ...`, where Attribute
# is without its mxhop.
ldif_table() {
	awk 'NF {
		name = $1
		sub(/^[ \t]*[^ \t]+[ \t]+/, "")
		printf "dn: cn=%s,ou=mxhop,dc=test\nobjectClass: mxhopOverride\ncn: %s\n", name, name
		n = split($0, part, /; */)
		for (i = 1; i <= n; i++) {
			attribute = part[i]
			sub(/ .*/, "", attribute)
			sub(/^[^ ]+ /, "", part[i])
			printf "mxhop%s: %s\n", attribute, part[i]
		}
		print ""
	}'
}
