# shellcheck shell=bash disable=SC2016
# The ground with a directory: that the words of ldap.sh do what they say, and
# that a real slapd takes the schema and the examples of contrib/ldap.

# shellcheck source=tests/integration/ldap.sh
. "$ROOT/tests/integration/ldap.sh"

search() { # URI [LDAPSEARCH-ARGUMENT...]
	local uri=$1
	shift
	ldapsearch -x -LLL -o ldif-wrap=no -o nettimeout=2 -H "$uri" -b "$BASE" "$@"
}

# The attribute types and classes that NAME publishes as ours.
published() { # NAME
	ldapsearch -x -LLL -o ldif-wrap=no -H "$(ldapi_uri "$1")" -s base \
		-b cn=Subschema attributeTypes objectClasses | grep "NAME 'mxhop" | sort
}

case_the_two_forms_of_the_schema_are_the_same() {
	local config=$SCRATCH/config.d of_schema
	start_slapd one
	of_schema=$(published one)
	assert_eq "$(grep -c . <<<"$of_schema")" 12 "attribute types and classes"
	stop one
	mkdir "$config"
	{
		printf '%s\n' 'dn: cn=config' 'objectClass: olcGlobal' 'cn: config' '' \
			'dn: cn=schema,cn=config' 'objectClass: olcSchemaConfig' 'cn: schema' ''
		cat /etc/ldap/schema/core.ldif
		echo
		cat "$ROOT/contrib/ldap/mxhop.ldif"
	} | slapadd -n 0 -F "$config"
	spawn one slapd -d none -h "$(ldapi_uri one)" -F "$config"
	eventually 5 slapd_answers one || fail "slapd: $(<"$SCRATCH/one.log")"
	assert_eq "$(published one)" "$of_schema"
	assert_eq "$("$ROOT/tests/support/schema2ldif" mxhop <"$ROOT/contrib/ldap/mxhop.schema")" \
		"$(<"$ROOT/contrib/ldap/mxhop.ldif")" "mxhop.ldif (make schema)"
}

case_examples_load() {
	local example=$SCRATCH/examples.ldif
	sed "s/dc=example,dc=net/$SUFFIX/" "$ROOT/contrib/ldap/examples.ldif" >"$example"
	start_slapd one
	ldap_add one <"$example"
	assert_eq "$(search ldap://127.0.0.1 '(objectClass=mxhopOverride)' 1.1 | grep -c ^dn:)" \
		"$(grep -c '^objectClass: mxhopOverride' "$example")"
	assert_match "$(search ldap://127.0.0.1 '(mxhopKey=ARCHIVE@example.com)' mxhopHop)" \
		'mxhopHop: \[archive.example.net\]:2525'
	wipe_slapd one
}

# And mxhop itself finds nothing wrong with them.
case_examples_are_valid() {
	use_mxhop
	echo "overrides = ldif:$ROOT/contrib/ldap/examples.ldif" >/etc/mxhop/mxhop.cf
	assert_status 0 mxhop refresh
	assert_match "$OUTPUT" ' 8 entries, id [0-9a-f]{8}, 0 skipped'
}

case_the_schema_refuses_what_is_no_value() {
	start_slapd one
	assert_status 21 ldap_add one < <(override bad bad.test '[192.0.2.1]' Enabled=perhaps)
	assert_status 21 ldap_add one < <(override bad bad.test '[192.0.2.1]' NotAfter=tomorrow)
	assert_status 21 ldap_add one < <(override bad $'b\xc3\xbccher.test' '[192.0.2.1]')
	assert_status 19 ldap_add one < <(override bad bad.test '[192.0.2.1]' Mode=pass Mode=replace)
	assert_status 20 ldap_add one < <(override bad bad.test '[mx.test]' '[MX.test]')
}

case_entries_are_changed_and_data_outlive_the_server() {
	start_slapd one
	{ override a a.test '[192.0.2.1]' && override b b.test '10 [192.0.2.2]' Mode=append; } |
		ldap_add one
	ldap_set one a mxhopHop '[192.0.2.3]' '[192.0.2.4]:26'
	ldap_rename one b c
	restart_slapd one
	assert_match "$(search ldap://127.0.0.1 '(cn=a)')" '192.0.2.3\]'$'\n''.*192.0.2.4\]:26'
	assert_match "$(search ldap://127.0.0.1 '(mxhopKey=b.test)')" \
		"dn: cn=c,$BASE"$'\n'
	ldap_delete one a c
	assert_eq "$(search ldap://127.0.0.1 '(objectClass=mxhopOverride)')" ''
	wipe_slapd one
}

case_bulk_and_limits() {
	start_slapd one
	stop one
	bulk_overrides 1 1200 | slapd_load one
	start_slapd one limits='users size=500' syncprov=100
	assert_status 4 search ldap://127.0.0.1 1.1
	start_slapd one syncprov=100
	assert_eq "$(search ldap://127.0.0.1 '(mxhopKey=*)' 1.1 | grep -c ^dn:)" 1200
	assert_match "$(search ldap://127.0.0.1 -s base -b '' supportedControl)" \
		'1.3.6.1.4.1.4203.1.9.1.1'
	assert_match "$(search ldap://127.0.0.1 -E sync=ro '(cn=n7)')" 'mxhopKey: d7.bulk.test'
	wipe_slapd one
}

case_frozen_and_thawed() {
	start_slapd one
	freeze one
	assert_status 124 timeout 2 ldapsearch -x -H ldap://127.0.0.1 -s base -b ''
	thaw one
	eventually 5 slapd_answers one || fail "still frozen"
	freeze one
	stop one
	refute_match "$(ss -Hltn 'sport = 389')" ':389'
}

case_a_link_that_breaks() {
	start_slapd one
	start_faultlink link 127.0.0.1:3890 127.0.0.1:389 pass
	search ldap://127.0.0.1:3890 -s base 1.1
	eventually 5 log_has "$SCRATCH/link.log" '^end [0-9]{2,}$' || fail "no line"
	fault_rule link 'cut 20'
	assert_status 255 search ldap://127.0.0.1:3890 -s base 1.1
	eventually 5 log_has "$SCRATCH/link.log" '^end 20$' || fail "not cut"
	fault_rule link 'stall 20'
	assert_status 124 timeout 1 ldapsearch -x -H ldap://127.0.0.1:3890 -s base -b "$BASE"
	fault_rule link 'flip 0'
	assert_status 254 search ldap://127.0.0.1:3890 -s base 1.1
}

case_certificates() {
	ldap_certificate good
	ldap_certificate old '3 days ago' '1 day ago'
	start_slapd one tls=good tls_port=636
	export LDAPTLS_CACERT=$CA
	search ldap://127.0.0.1 -ZZ -s base 1.1
	search ldaps://localhost -s base 1.1
	assert_status 255 search ldaps://127.0.0.2 -s base 1.1
	start_slapd one tls=old tls_port=636
	assert_status 255 search ldaps://localhost -s base 1.1
	LDAPTLS_REQCERT=never search ldaps://localhost -s base 1.1
}

case_access() {
	start_slapd one access="to dn.subtree=$BASE by dn.exact=$READER read by * none"
	assert_status 32 search ldap://127.0.0.1
	search ldap://127.0.0.1 -D "$READER" -w "$READER_PW" -s base 1.1
	assert_status 49 search ldap://127.0.0.1 -D "$READER" -w wrong
}

has() { # NAME CN
	search "$(ldapi_uri "$1")" "(cn=$2)" 1.1 | grep ^dn: >/dev/null
}

case_two_providers() {
	start_slapd one port=3891 syncprov=100 id=1 \
		peer=ldap://127.0.0.1:3891 peer=ldap://127.0.0.1:3892
	override first first.test '[192.0.2.1]' | ldap_add one
	start_slapd two port=3892 syncprov=100 id=2 empty=yes \
		peer=ldap://127.0.0.1:3891 peer=ldap://127.0.0.1:3892
	eventually 10 has two first || fail "not at the second"
	override second second.test '[192.0.2.1]' | ldap_add two
	eventually 10 has one second || fail "not at the first"
}
