# shellcheck shell=bash disable=SC2016
# `mxhop overrides` and `mxhop check`: what is in the table, back to LDIF, what
# a file would change, and what is wrong with a set before it is in force.

TABLE=/var/lib/mxhop/overrides
LDIF=/etc/mxhop/overrides.ldif
cd "$SCRATCH" || exit

setup() {
	zone test <<-'END'
		same   MX 10 mx1
		same   MX 20 mx2
		other  MX 10 mx1
		mx1    A 192.0.2.1
		mx2    A 192.0.2.2
	END
	start_dns
	use_mxhop
	cat >/etc/mxhop/mxhop.cf <<-END
		overrides = ldif:$LDIF
		cache = none
		lookup_budget = 2s
	END
}

# Names, values and times that need care on their way through LDIF.
hostile_set() {
	cat <<-'END'
		dn: cn=plain,dc=test
		objectClass: mxhopOverride
		cn: plain
		mxhopKey: b.test
		mxhopKey: a.test
		mxhopKey: .a.test
		mxhopHop: 10 [mx1.test]:587
		mxhopHop: [IPv6:2001:db8::1]

		dn: cn=Smith\, Jones & S\C3\B6hne\2C #1,ou=a b,dc=test
		objectClass: mxhopOverride
		cn: x
		mxhopKey: *
		mxhopExchange: .prov.test
		mxhopMode: prepend
		mxhopHop: splice.test
		mxhopTransport: slow
		mxhopGroup: domain
		mxhopEnabled: FALSE

		dn:: Y249Y2Fmw6ksZGM9dGVzdA==
		objectClass: mxhopOverride
		cn: x
		mxhopKey: user@bücher.test
		mxhopMode: reject
		mxhopReason:: IDogbGVhZGluZyBzcGFjZSwgdHJhaWxpbmcgdG9vIA==
		mxhopNotBefore: 20200101000000Z
		mxhopNotAfter: 99991231235959Z

		dn: cn=long,dc=test
		objectClass: mxhopOverride
		cn: long
		mxhopKey: long.test
		mxhopMode: exclude
		mxhopExclude: a-very-long-host-name-that-makes-a-line-of-ldif-be-folded
		 .in-the-middle-of-the-value.test
	END
}

table_of() { # < LDIF
	rm -f "$TABLE"*
	cat >"$LDIF"
	mxhop refresh
}

entry() { # NAME ATTRIBUTE-LINE...
	printf '%s\n' "dn: cn=$1,dc=test" 'objectClass: mxhopOverride' "cn: $1" \
		"${@:2}" ''
}

case_export_is_read_back_to_the_same_set() {
	hostile_set | table_of
	mxhop overrides export >exported.ldif
	assert_status 0 mxhop overrides diff exported.ldif
	cp exported.ldif "$LDIF"
	assert_match "$(mxhop refresh)" ': 4 entries \(unchanged\), id [0-9a-f]{8}, 0 skipped'
	# Into a table of its own it makes the same again.
	table_of <exported.ldif
	mxhop overrides export | cmp - exported.ldif
}

case_list_as_text() {
	hostile_set | table_of
	mxhop overrides list >list
	assert_eq "$(head -n 1 list)" $'# DN\tKEYS\tMODE\tHOPS\tSTATE\tFROM\tUNTIL'
	sed -i 1d list
	assert_eq "$(wc -l <list)" 4
	assert_eq "$(grep '^cn=plain' list)" \
		$'cn=plain,dc=test\tb.test a.test .a.test\treplace\t10 [mx1.test]:587, [IPv6:2001:db8::1]\tactive\t-\t-'
	assert_eq "$(grep Smith list | cut -f 2,3,5)" $'* mx=.prov.test\tprepend\tdisabled'
	assert_eq "$(cut -f 1 list | LC_ALL=C sort -c && echo sorted)" sorted
}

# UTF-8 is shown, what would move a terminal's cursor is not.
case_dns_of_others_on_a_terminal() {
	local dn=$'cn=b\303\274cher\033[31m,dc=test' shown=$'cn=b\303\274cher?[31m,dc=test'
	printf '%s\n' "dn:: $(printf %s "$dn" | base64 -w 0)" \
		'objectClass: mxhopOverride' 'cn: x' 'mxhopKey: a.test' \
		'mxhopHop: [192.0.2.1]' | table_of
	assert_eq "$(mxhop overrides list | sed 1d | cut -f 1)" "$shown"
	mxhop trace a.test | grep -F "$shown" || fail "$(mxhop trace a.test)"
	mxhop lookup a.test | grep -F "override: $shown" || fail "$(mxhop lookup a.test)"
	entry other 'mxhopKey: b.test' 'mxhopHop: [192.0.2.2]' >other.ldif
	assert_status 1 mxhop overrides diff other.ldif
	grep -F -e "- $shown" <<<"$OUTPUT" || fail "$OUTPUT"
	refute_match "$OUTPUT$(mxhop lookup a.test; mxhop check)" $'\033'
}

case_list_by_key() {
	hostile_set | table_of
	assert_eq "$(mxhop overrides list A.test. | cut -f 1)" cn=plain,dc=test
	assert_eq "$(mxhop overrides list .a.test | cut -f 1)" cn=plain,dc=test
	assert_match "$(mxhop overrides list '*')" '^cn=Smith'
	assert_match "$(mxhop overrides list .prov.test)" '^cn=Smith'
	assert_match "$(mxhop overrides list user@bücher.test)" '^cn=caf'
	assert_status 1 mxhop overrides list nobody.test
	assert_match "$OUTPUT" 'nobody.test: no override has this key'
	assert_status 1 mxhop overrides list 'not a key'
}

case_json_is_one_object_a_line() {
	hostile_set | table_of
	mxhop overrides list --format json >list
	mxhop overrides export --format json >exported
	assert_eq "$(grep -c '^{"dn":".*}$' list)" 4
	assert_eq "$(grep '^{"dn":"cn=plain' list)" \
		'{"dn":"cn=plain,dc=test","keys":["b.test","a.test",".a.test"],"exchanges":[],"mode":"replace","hops":["10 [mx1.test]:587","[IPv6:2001:db8::1]"],"excludes":[],"transport":null,"group":null,"reason":null,"enabled":true,"not_before":null,"not_after":null,"state":"active"}'
	assert_eq "$(grep '^{"dn":"cn=caf' exported)" \
		'{"dn":"cn=caf\u00e9,dc=test","keys":["user@xn--bcher-kva.test"],"exchanges":[],"mode":"reject","hops":[],"excludes":[],"transport":null,"group":null,"reason":" : leading space, trailing too ","enabled":true,"not_before":"20200101000000Z","not_after":"99991231235959Z"}'
}

case_states() {
	{
		entry past 'mxhopKey: a.test' 'mxhopHop: [mx1.test]' 'mxhopNotAfter: 20200101000000Z'
		entry future 'mxhopKey: a.test' 'mxhopHop: [mx1.test]' 'mxhopNotBefore: 99990101000000Z'
		entry off 'mxhopKey: a.test' 'mxhopHop: [mx1.test]' 'mxhopEnabled: FALSE'
		entry on 'mxhopKey: a.test' 'mxhopHop: [mx1.test]'
	} | table_of
	assert_eq "$(mxhop overrides list | sed 1d | cut -f 1,5- | tr '\t,' '  ')" \
		"cn=future dc=test pending 9999-01-01T00:00:00Z -
cn=off dc=test disabled - -
cn=on dc=test active - -
cn=past dc=test past - 2020-01-01T00:00:00Z"
	assert_eq "$(mxhop overrides list a.test 2>/dev/null | head -c 3)" cn=
	sed '/^overrides/d' /etc/mxhop/mxhop.cf >other.cf
	assert_match "$(mxhop -c other.cf overrides list 2>&1)" 'lookups ignore this table'
}

case_diff_by_dn_and_attribute() {
	{
		entry gone 'mxhopKey: gone.test' 'mxhopMode: pass'
		entry changed 'mxhopKey: a.test' 'mxhopHop: [mx1.test]' 'mxhopHop: [mx2.test]'
		entry same 'mxhopKey: same.test' 'mxhopHop: [mx1.test]' 'mxhopHop: [mx2.test]'
	} | table_of
	{
		entry added 'mxhopKey: new.test' 'mxhopMode: defer'
		entry changed 'mxhopKey: a.test' 'mxhopHop: [mx1.test]' 'mxhopHop: 5 [mx2.test]'
		entry same 'mxhopKey: same.test' 'mxhopHop: [mx2.test]' 'mxhopHop: [mx1.test]'
	} >new.ldif
	assert_status 1 mxhop overrides diff new.ldif
	diff <(echo "$OUTPUT") - <<-'END'
		+ cn=added,dc=test
		    + mxhopKey: new.test
		    + mxhopMode: defer
		! cn=changed,dc=test
		    + mxhopHop: 5 [mx2.test]
		    - mxhopHop: [mx2.test]
		- cn=gone,dc=test
		    - mxhopKey: gone.test
		    - mxhopMode: pass
	END
	assert_status 0 mxhop overrides diff "$LDIF"
	assert_eq "$OUTPUT" ""
	# A refresh from it then leaves nothing to tell.
	cp new.ldif "$LDIF"
	mxhop refresh
	assert_status 0 mxhop overrides diff new.ldif
}

case_diff_says_what_refresh_would_skip() {
	entry a 'mxhopKey: a.test' 'mxhopHop: [mx1.test]' | table_of
	{
		cat "$LDIF"
		entry bad 'mxhopKey: b.test' 'mxhopHop: [mx1.test]:99999'
	} >new.ldif
	assert_status 0 mxhop overrides diff new.ldif
	assert_match "$OUTPUT" 'new.ldif:[0-9]+: cn=bad,dc=test: mxhopHop: .*skipped'
	assert_status 74 mxhop overrides diff /etc/mxhop/nothing.ldif
}

# What check says of new.ldif, which is not in place; in $OUTPUT.
check_new() { # STATUS
	assert_status "$1" mxhop check new.ldif
}

case_diff_says_what_refresh_would_report() {
	entry one 'mxhopKey: a.test' 'mxhopHop: [mx1.test]' | table_of
	{
		entry one 'mxhopKey: a.test' 'mxhopHop: [mx1.test]'
		entry one 'mxhopKey: b.test' 'mxhopHop: [mx1.test]'
	} >new.ldif
	assert_status 0 mxhop overrides diff new.ldif
	assert_match "$OUTPUT" 'new.ldif:7: cn=one,dc=test: the entry in line 1 has the same DN'
}

case_check_a_file_that_is_not_in_place() {
	entry a 'mxhopKey: a.test' 'mxhopHop: [mx1.test]' | table_of
	entry b 'mxhopKey: b.test' 'mxhopHop: [mx1.test]:0' >new.ldif
	check_new 1
	assert_match "$OUTPUT" 'warning: new.ldif:5: cn=b,dc=test: mxhopHop: .*skipped'
	assert_match "$OUTPUT" 'ldif:new.ldif: 0 valid entries, 0 errors, 1 warning$'
	refute_match "$OUTPUT" 'cn=a,dc=test'
	refute_match "$OUTPUT" 'override_table ='
	entry b 'mxhopKey: b.test' 'mxhopHop: [mx1.test]' >new.ldif
	check_new 0
	assert_match "$OUTPUT" '1 valid entry, 0 errors, 0 warnings'
	assert_eq "$(mxhop overrides list | sed 1d | cut -f 1)" cn=a,dc=test "the table"
	assert_status 74 mxhop check nothing.ldif
}

case_check_an_entry_that_never_applies() {
	{
		entry a 'mxhopKey: one.test' 'mxhopKey: .two.test' 'mxhopMode: pass'
		entry b 'mxhopKey: one.test' 'mxhopKey: .two.test' 'mxhopMode: defer'
		entry c 'mxhopKey: one.test' 'mxhopKey: three.test' 'mxhopMode: defer'
		entry d 'mxhopKey: four.test' 'mxhopMode: pass' 'mxhopNotAfter: 20990101000000Z'
		entry e 'mxhopKey: four.test' 'mxhopMode: defer'
	} >new.ldif
	check_new 1
	assert_eq "$(grep 'the entry never applies' <<<"$OUTPUT" | grep -c ': cn=b,dc=test: ')" 2
	assert_eq "$(grep -c 'the entry never applies' <<<"$OUTPUT")" 2
	assert_match "$OUTPUT" 'cn=c,dc=test: mxhopKey: one.test is taken by cn=b,dc=test'
	assert_match "$OUTPUT" 'cn=e,dc=test: mxhopKey: four.test is taken'
}

case_check_an_entry_that_dns_makes_useless() {
	{
		entry same 'mxhopKey: same.test' 'mxhopHop: 1 [mx1.test]' 'mxhopHop: 2 [mx2.test]:25'
		entry order 'mxhopKey: same.test' 'mxhopHop: 2 [mx1.test]' 'mxhopHop: 1 [mx2.test]'
		entry equal 'mxhopKey: same.test' 'mxhopHop: [mx1.test]' 'mxhopHop: [mx2.test]'
		entry port 'mxhopKey: other.test' 'mxhopHop: [mx1.test]:587'
		entry queue 'mxhopKey: other.test' 'mxhopHop: [mx1.test]' 'mxhopGroup: domain'
		entry less 'mxhopKey: same.test' 'mxhopHop: [mx1.test]'
		entry parent 'mxhopKey: .other.test' 'mxhopHop: [mx1.test]'
		entry none 'mxhopKey: nothing.test' 'mxhopHop: [mx1.test]'
	} >new.ldif
	check_new 1
	assert_eq "$(grep 'can go' <<<"$OUTPUT")" \
		'mxhop: warning: new.ldif:1: cn=same,dc=test: mxhopHop: says for same.test what its MX records say; the entry can go'
}

# Whoever may write an entry chooses its name, but not what a terminal does.
case_a_name_that_moves_the_cursor() {
	local shown bad
	{
		entry x 'mxhopKey: same.test' 'mxhopHop: 1 [mx1.test]' 'mxhopHop: 2 [mx2.test]'
		entry y 'mxhopKey: y.test' 'mxhopHop: [nowhere.test]'
	} | sed -e "s/^dn: cn=x.*/dn:: $(printf 'cn=caf\xc3\xa9\e[31m\rx\xc2\x9b31m,dc=test' | base64 -w 0)/" \
		-e "s/^dn: cn=y.*/dn:: $(printf 'cn=y\e[31m,dc=test' | base64 -w 0)/" >"$LDIF"
	assert_status 2 mxhop check
	shown=$OUTPUT
	rm -f "$TABLE"*
	assert_status 0 mxhop refresh
	shown+=$OUTPUT$(mxhop trace same.test)
	for bad in $'\e' $'\r' $'\xc2\x9b'; do
		[[ $shown != *$bad* ]] || fail "$(cat -v <<<"$shown")"
	done
	assert_match "$shown" 'cn=caf..?\?\[31m\?x\?\?31m,dc=test: mxhopHop: says for same.test'
	assert_match "$shown" 'cn=y\?\[31m,dc=test: mxhopHop: nowhere.test has no address'
}

case_check_the_source() {
	{
		entry same 'mxhopKey: other.test' 'mxhopHop: [mx1.test]'
		entry typo 'mxhopKey: b.test' 'mxhopHop: [mx9.test]'
		entry past 'mxhopKey: c.test' 'mxhopMode: pass' 'mxhopNotAfter: 20200101000000Z'
	} >"$LDIF"
	mxhop refresh
	assert_status 2 mxhop check -v # the entry with the misspelt host
	assert_match "$OUTPUT" "override_table = $TABLE"
	assert_match "$OUTPUT" 'cn=same,dc=test: .*other.test .*can go'
	assert_match "$OUTPUT" 'cn=typo,dc=test: mxhopHop: mx9.test has no address'
	assert_match "$OUTPUT" 'cn=past,dc=test: mxhopNotAfter: the window is past'
	assert_match "$OUTPUT" '3 valid entries, 1 error, 3 warnings'
}

case_no_table() {
	rm -f "$TABLE"*
	assert_status 74 mxhop overrides list
	assert_match "$OUTPUT" "$TABLE.*mxhop refresh"
}

case_usage() {
	assert_status 64 mxhop overrides
	assert_status 64 mxhop overrides export --format text
	assert_status 64 mxhop overrides export something
	assert_status 64 mxhop overrides diff
	assert_status 64 mxhop overrides diff --format json x
}
