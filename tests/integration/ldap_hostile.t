# shellcheck shell=bash disable=SC2016
# A directory that holds, or sends, what nobody should. What is valid in it
# holds; the rest is reported and reaches neither mail nor a terminal.

# shellcheck source=tests/integration/ldap.sh
. "$ROOT/tests/integration/ldap.sh"

TABLE=/var/lib/mxhop/overrides
LAX=$SCRATCH/lax.schema

# Our schema with octet strings in place of IA5 strings: any value goes in.
setup() {
	zone test <<-'END'
		good   MX 10 mx
		loop   MX 10 mx
		mx     A 192.0.2.1
	END
	start_dns
	sed 's/caseIgnoreIA5Match\|caseExactIA5Match/octetStringMatch/
		/caseIgnoreIA5SubstringsMatch/d
		s/1466.115.121.1.26/1466.115.121.1.40/; s/ SINGLE-VALUE//' \
		"$ROOT/contrib/ldap/mxhop.schema" >"$LAX"
	use_mxhop_plugin </dev/null
	configure 127.0.0.1
}

configure() { # ADDRESS-OF-DIRECTORY
	printf '%s\n' 'overrides = ldap' "ldap_server_host = ldap://$1" \
		"ldap_search_base = $BASE" 'ldap_timeout = 5s' >/etc/mxhop/mxhop.cf
}

# An empty directory, stopped, then with the LDIF of standard input and one
# good entry.
hostile_directory() { # < LDIF
	wipe_slapd dir
	start_slapd dir "schema=$LAX"
	stop dir
	{
		cat
		override good good.test '[192.0.2.10]'
	} | slapd_load dir
	restart_slapd dir
	rm -f $TABLE
}

# Refresh goes through, the good entry holds, and what is printed is printable.
refresh_and_look() {
	local status=0
	OUTPUT=$(timeout 60 mxhop refresh 2>&1) || status=$?
	[[ $status == 0 || $status == 65 ]] || fail "status $status: $OUTPUT"
	printf '%s\n' "$OUTPUT" >"$SCRATCH/said"
	! LC_ALL=C grep -n '[^ -~]' "$SCRATCH/said" || fail "bytes for a terminal"
	assert_eq "$(postmap -q good.test $M)" ':[192.0.2.10]'
}

base64_of() { base64 -w 0; }

# LDIF: NAME with its values as they are on standard input, one each NUL.
hostile_entry() { # CN ATTRIBUTE < VALUES
	local value
	printf '%s\n' "dn: cn=$1,$BASE" 'objectClass: mxhopOverride' "cn: $1"
	while IFS= read -r -d '' value; do
		printf '%s:: %s\n' "$2" "$value"
	done
}

byte() { printf '%b' "\\x$(printf %02x "$1")"; }

# ATTRIBUTE of otherwise good entries, with each byte in the middle once.
entries_with_each_byte() { # ATTRIBUTE BEFORE AFTER [LINE...]
	python3 -c '
import binascii, sys

base, attribute, before, after, *lines = sys.argv[1:]
for b in range(256):
    value = before.encode() + bytes([b]) + after.encode()
    print("dn: cn=%s-%d,%s" % (attribute, b, base))
    print("objectClass: mxhopOverride\ncn: %s-%d" % (attribute, b))
    for line in lines:
        print(line.replace("%", str(b)))
    print("%s:: %s" % (attribute, binascii.b2a_base64(value).decode()))
' "$BASE" "$@"
}

# Whatever is answered for a key of the table is made of these.
only_clean_answers() {
	mxhop overrides export --format json >"$SCRATCH/export"
	LC_ALL=C grep -n '[^ -~]' "$SCRATCH/export" && fail "bytes in the export"
	for b in {0..255}; do
		echo "h$b.test"
		echo "x.k$b.test"
	done | postmap -q - $M >"$SCRATCH/answers"
	! cut -f 2 "$SCRATCH/answers" | LC_ALL=C grep -nvE '^([a-z]*:[][A-Za-z0-9._:, -]+|\./retry:4\.3\.5 [A-Za-z ]+)$' ||
		fail "answers"
}

case_every_byte_in_every_attribute() {
	{
		entries_with_each_byte mxhopKey 'x.k' '.test' 'mxhopHop: [192.0.2.1]'
		entries_with_each_byte mxhopHop '[a' 'b.test]' 'mxhopKey: h%.test'
		entries_with_each_byte mxhopExchange 'mx' '.test' 'mxhopHop: [192.0.2.1]'
		entries_with_each_byte mxhopMode 'pre' 'pend' 'mxhopKey: m%.test' \
			'mxhopHop: [192.0.2.1]'
		entries_with_each_byte mxhopTransport 'sm' 'tp' 'mxhopKey: t%.test' \
			'mxhopHop: [192.0.2.1]'
		entries_with_each_byte mxhopReason 'be' 'cause' 'mxhopKey: r%.test' \
			'mxhopMode: reject'
	} | hostile_directory
	refresh_and_look
	only_clean_answers
	grep -q '\[aab.test\]' "$SCRATCH/export" || fail "what is good is not there"
	assert_eq "$(postmap -q h97.test $M)" \
		'./retry:4.3.5 No usable next hop in the routing override' # no such host
	assert_eq "$(postmap -q r33.test $M)" 'error:5.7.1 be!cause'
	assert_eq "$(postmap -q r10.test $M || true)" ''
}

case_values_of_a_mebibyte() {
	local attribute
	head -c 1048576 /dev/zero | tr '\0' a >"$SCRATCH/big"
	for attribute in Key Hop Exclude Reason Exchange; do
		printf '%s\n' "dn: cn=big$attribute,$BASE" 'objectClass: mxhopOverride' \
			"cn: big$attribute" "mxhopKey: big.$attribute.test" \
			"mxhop$attribute:: $(base64_of <"$SCRATCH/big")" ''
	done | hostile_directory
	refresh_and_look
	assert_match "$OUTPUT" "cn=bigHop,$BASE"
	[[ ${#OUTPUT} -lt 10000 ]] || fail "${#OUTPUT} octets of output"
	! grep -qa 'a\{5000\}' $TABLE || fail "it is in the table"
}

# A lookup looks at all hops of an entry, and so there is an end to them.
case_ten_thousand_hops() {
	local from n
	{
		for n in 1000 10000; do
			printf '%s\n' "dn: cn=many$n,$BASE" 'objectClass: mxhopOverride' "cn: many$n" \
				"mxhopKey: many$n.test"
			seq -f 'mxhopHop: 10 [h%g.test]' 1 "$n"
			echo
		done
	} | hostile_directory
	refresh_and_look
	assert_match "$(mxhop refresh --force 2>&1)" 'many10000.*more than 1000 hops; the entry is skipped'
	from=$(now_ms)
	postmap -q many1000.test $M >"$SCRATCH/answer" || true
	[[ $(($(now_ms) - from)) -lt 2000 ]] || fail "a lookup of $(($(now_ms) - from)) ms"
	[[ $(stat -c %s "$SCRATCH/answer") -lt 1000 ]] || fail "$(<"$SCRATCH/answer")"
}

# Bare names: that name's own MX set, whatever it is.
case_names_that_lead_to_each_other() {
	{
		override a a.test b.test
		override b b.test a.test
		override self loop.test loop.test Mode=append
		override nowhere nowhere.test nowhere.test
	} | hostile_directory
	refresh_and_look
	start_postfix "transport_maps = $M"
	send_mail alice@mta.mxhop.test x@a.test x@b.test x@loop.test x@nowhere.test
	wait_for_log 'to=<x@loop.test>.*mx.test'
	wait_for_log 'to=<x@a.test>'
	wait_for_log 'to=<x@nowhere.test>'
	refute_log 'panic|fatal|killed by signal'
	stop_postfix
}

# A name is UTF-8, so slapd takes half of these.
case_names_of_every_byte() {
	local b
	wipe_slapd dir
	start_slapd dir "schema=$LAX"
	for b in {1..255}; do
		printf 'dn:: %s\n' "$(printf 'cn=n\\%02x,%s' "$b" "$BASE" | base64_of)"
		printf '%s\n' 'objectClass: mxhopOverride' \
			"cn:: $({ printf n && byte "$b"; } | base64_of)" "mxhopKey: n$b.test" \
			'mxhopHop: bad hop' ''
	done >"$SCRATCH/names"
	ldap_as_admin ldapadd dir -c <"$SCRATCH/names" >/dev/null 2>&1 || true
	override good good.test '[192.0.2.10]' | ldap_add dir
	rm -f $TABLE
	refresh_and_look
	assert_match "$OUTPUT" '101 skipped'
}

case_a_server_that_sends_garbage() {
	local at status
	override one one.test '[192.0.2.1]' | hostile_directory
	refresh_and_look
	start_faultlink link 127.0.0.2:389 127.0.0.1:389 pass
	configure 127.0.0.2
	for at in {0..40} $(seq 50 13 900); do
		fault_rule link "flip $at"
		rm -f $TABLE
		status=0
		timeout 20 mxhop refresh >"$SCRATCH/said" 2>&1 || status=$?
		[[ $status -lt 100 ]] || fail "octet $at: status $status: $(<"$SCRATCH/said")"
	done
}

case_a_hundred_thousand() {
	configure 127.0.0.1
	sed -i 's/^ldap_timeout = .*/ldap_timeout = 50s/' /etc/mxhop/mxhop.cf
	bulk_overrides 1 100000 | hostile_directory
	refresh_and_look
	assert_eq "$(postmap -q d100000.bulk.test $M)" ':[192.0.2.0]'
	assert_eq "$(postmap -q d1.bulk.test $M)" ':[192.0.2.1]'
}
