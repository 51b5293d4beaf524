# shellcheck shell=bash disable=SC2016
# trust.t: no process of uid 0 maps, locks, opens for writing, or opens so that
# it could be held up or led astray, a file of mxhop's that another user owns
# or may write. The table belongs to a service's user here, the cache to
# Postfix's.

# shellcheck source=tests/integration/exim.sh
. "$ROOT/tests/integration/exim.sh"

LDIF=/etc/mxhop/overrides.ldif
SERVICE_UID=64301

setup() {
	zone test <<-'END'
		plain  MX 10 mx1
		over   MX 10 mx1
		mx1    A 192.0.2.1
		@      MX 10 mx1
	END
	start_dns
	use_mxhop_plugin <<<"overrides = ldif:$LDIF"
	echo "mxhop-service:x:$SERVICE_UID:$SERVICE_UID::/:/usr/sbin/nologin" \
		>>/etc/passwd
	echo "mxhop-service:x:$SERVICE_UID:" >>/etc/group
	install -d -m 0755 -o "$SERVICE_UID" -g "$SERVICE_UID" /var/lib/mxhop
	rm -f /var/lib/mxhop/*
	printf '%s\n' 'dn: cn=one,dc=test' 'objectClass: mxhopOverride' \
		'cn: one' 'mxhopKey: over.test' 'mxhopHop: [192.0.2.10]' '' >"$LDIF"
	mxhop refresh
	assert_eq "$(stat -c %u /var/lib/mxhop/overrides)" "$SERVICE_UID" owner
	postconf -e "transport_maps = $M"
	start_sink 192.0.2.1
	start_sink 192.0.2.10
}

strace_to() { # FILE STRACE-ARGUMENT...
	local file=$1
	shift
	strace -f -y -o "$file" -e trace=%process,openat,open,mmap,flock,fcntl,setuid,setreuid,setresuid "$@"
}

# What root did with the files of others.
faults_of() { # FILE
	awk -v dirs='/run/mxhop /var/lib/mxhop' \
		-f "$ROOT/tests/support/untrusted.awk" "$1"
}

# At least MINIMUM were opened, or the trace has missed what it is about.
assert_nobody_trusted() { # FILE MINIMUM
	local said
	said=$(faults_of "$1")
	refute_match "$said" 'fault:' trace
	[[ ${said##* } -ge $2 ]] || fail "only ${said##* } files were opened"
	echo "$said"
}

# The test itself finds what it is about.
case_a_careless_root_is_seen() {
	strace_to "$SCRATCH/trace" cat /var/lib/mxhop/overrides >/dev/null
	grep -q 'fault:.*openat' <(faults_of "$SCRATCH/trace") || fail "cat is not seen"
	strace_to "$SCRATCH/trace" flock -s /var/lib/mxhop/overrides true
	grep -q 'fault:.*flock' <(faults_of "$SCRATCH/trace") || fail "flock is not seen"
	strace_to "$SCRATCH/trace" setpriv --reuid "$SERVICE_UID" --clear-groups \
		cat /var/lib/mxhop/overrides >/dev/null
	assert_eq "$(faults_of "$SCRATCH/trace")" 'opened 0'
}

# Each command as an administrator calls it.
case_commands_of_root() {
	local command
	local -a commands=('lookup over.test plain.test' 'trace over.test' 'check'
		'refresh' 'refresh --force' 'overrides list' 'overrides export'
		"overrides diff $LDIF" 'cache stats' 'cache list' 'cache get plain.test'
		"warm $SCRATCH/keys" "survey $SCRATCH/keys" 'cache flush plain.test'
		'cache flush')
	echo plain.test >"$SCRATCH/keys"
	mxhop lookup plain.test
	for command in "${commands[@]}"; do
		# shellcheck disable=SC2086
		strace_to "$SCRATCH/trace" mxhop $command >/dev/null
		assert_nobody_trusted "$SCRATCH/trace" 0
	done
	strace_to "$SCRATCH/trace" mxhop overrides list >/dev/null
	assert_nobody_trusted "$SCRATCH/trace" 1
}

# From the start of all daemons until mail is delivered.
case_postfix_from_its_start() {
	stop_postfix
	/usr/lib/postfix/configure-instance.sh -
	cool_main_cf
	strace_to "$SCRATCH/trace" postfix start >/dev/null 2>&1 &
	eventually 90 smtp_listening 127.0.0.1 || fail "smtpd does not listen"
	send_mail root@mta.mxhop.test a@over.test b@plain.test
	wait_for_log 'to=<a@over.test>.*status=sent' 30
	wait_for_log 'to=<b@plain.test>.*status=sent' 30
	postmap -q over.test "$M"
	stop_postfix
	wait
	assert_nobody_trusted "$SCRATCH/trace" 0
	grep -q 'cache-2' "$SCRATCH/trace" || fail "nobody opened the cache"
	grep -q 'mxhop/overrides' "$SCRATCH/trace" || fail "nobody opened the table"
}

case_exim_delivers() {
	use_exim
	use_mxhop_for_exim <<<"overrides = ldif:$LDIF"
	exim_conf </dev/null
	printf 'Subject: test\n\ntest\n' |
		strace_to "$SCRATCH/trace" exim -odf -i a@over.test b@plain.test
	strace_to "$SCRATCH/trace-bt" exim -bt c@over.test
	assert_nobody_trusted "$SCRATCH/trace" 1
	assert_nobody_trusted "$SCRATCH/trace-bt" 1
}
