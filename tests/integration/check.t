# shellcheck shell=bash disable=SC2016
# `mxhop check`: what costs mail is an error and ends with status 2, what
# somebody should look at is a warning and ends with 1. Each finding says where
# and what to do.

CF=/etc/mxhop/mxhop.cf
TABLE=/var/lib/mxhop/overrides
LDIF=/etc/mxhop/overrides.ldif

setup() {
	zone test <<-'END'
		plain   MX 10 mx1
		plain   MX 20 mx2
		one     MX 10 mx1
		null    MX 0 .
		split   MX 10 gone
		six     AAAA 2001:db8::1
		mx1     A 192.0.2.1
		mx2     A 192.0.2.2
		mx3     A 192.0.2.3
		mx4     A 192.0.2.4
	END
	start_dns
	use_mxhop_plugin <<<''
	configure
	: >"$LDIF"
	mxhop refresh
	configure_postfix
	postconf "transport_maps = $M" 'inet_protocols = ipv4' \
		'inet_interfaces = 127.0.0.1, 192.0.2.250'
	cp -a /etc/postfix "$SCRATCH/postfix"
}

configure() { # [LINE...]
	printf '%s\n' "overrides = ldif:$LDIF" 'cache = none' 'lookup_budget = 2s' \
		"$@" >$CF
}

# main.cf and master.cf as setup() made them, with changes of main.cf.
main_cf() { # [LINE...]
	cp "$SCRATCH"/postfix/{main,master}.cf /etc/postfix/
	[[ $# -eq 0 ]] || postconf "$@"
	cool_main_cf
}

entry() { # NAME ATTRIBUTE-LINE...
	printf '%s\n' "dn: cn=$1,dc=test" 'objectClass: mxhopOverride' "cn: $1" \
		"${@:2}" ''
}

# The set, in the file and in force.
set_of() { # < LDIF
	cat >"$LDIF"
	mxhop refresh --force >"$SCRATCH/refresh" 2>&1 || true
}

good_set() {
	entry good 'mxhopKey: good.test' 'mxhopHop: [mx1.test]' | set_of
}

# The findings of check, which ends with STATUS: "error" and "warning" lines.
assert_check() { # STATUS REGEX...
	local status=$1 regex
	shift
	assert_status "$status" mxhop check
	for regex; do
		grep -E -- "^mxhop: $regex" <<<"$OUTPUT" || fail "no '$regex' in: $OUTPUT"
	done
}

case_nothing_wrong() {
	good_set
	assert_check 0
	assert_eq "$OUTPUT" "ldif:$LDIF: 1 valid entry, 0 errors, 0 warnings"
	configure '' 'max_hops = 5'
	assert_status 0 mxhop check -v
	assert_match "$OUTPUT" $'^# ldif:.*: 1 valid entry, 0 errors, 0 warnings\n'
	assert_match "$OUTPUT" $'\nmax_hops = 5\n'
	configure
}

case_table_missing_damaged_or_private() {
	good_set
	rm -f "$TABLE"
	assert_check 2 "error: $TABLE: .*mxhop refresh.*: mail that is routed by the table waits"
	echo 'on_override_failure = pass' >>$CF
	assert_check 2 "error: $TABLE: .*: no override is in force"
	configure
	mxhop refresh
	printf x | dd of="$TABLE" bs=1 seek=5000 conv=notrunc status=none
	: >"$TABLE"
	assert_check 2 "error: $TABLE: "
	rm -f "$TABLE"
	mxhop refresh
	chmod 600 "$TABLE"
	assert_check 2 "error: $TABLE: user postfix, .*, cannot read it: Permission denied; .*0644"
	chmod 644 "$TABLE"
	chmod 700 "${TABLE%/*}"
	assert_check 2 "error: $TABLE: user postfix, .*, cannot read it: Permission denied"
	chmod 755 "${TABLE%/*}"
	assert_check 0
}

case_source_is_newer_than_the_table() {
	{
		entry a 'mxhopKey: a.test' 'mxhopHop: [mx1.test]'
		entry b 'mxhopKey: b.test' 'mxhopHop: [mx1.test]'
	} | set_of
	assert_check 0
	{
		entry a 'mxhopKey: a.test' 'mxhopHop: [mx2.test]'
		entry c 'mxhopKey: c.test' 'mxhopHop: [mx2.test]'
	} >"$LDIF"
	assert_check 2 "error: $TABLE: older than ldif:$LDIF, which has 1 new, 1 changed and 1 fewer entry: run .mxhop refresh.$"
	mxhop refresh --force
	assert_check 0
}

refresh_badly() { mxhop refresh >"$SCRATCH/refresh" 2>&1 || true; }

# What refresh could not do as it was written.
case_kept_left_out_and_held_back() {
	{
		entry a 'mxhopKey: a.test' 'mxhopHop: [mx1.test]'
		entry b 'mxhopKey: b.test' 'mxhopHop: [mx1.test]'
		entry c 'mxhopKey: c.test' 'mxhopHop: [mx1.test]'
	} | set_of
	sed -i 's/^mxhopKey: a.test/mxhopKey: @a.test/' "$LDIF"
	refresh_badly
	assert_check 1 "warning: $LDIF:4: cn=a,dc=test: mxhopKey: \"@a.test\": .*without @.*; its last valid version is in force, since 20"
	refute_match "$OUTPUT" 'older than'
	assert_match "$OUTPUT" '0 errors, 1 warning$'
	entry d 'mxhopKey: d.test' 'mxhopHop: smtp:[mx1.test]' >>"$LDIF"
	refresh_badly
	assert_check 2 "error: $TABLE: 1 entry is left out, not valid or with the DN of another one: mail goes as without it"
	entry a 'mxhopKey: a.test' 'mxhopHop: [mx1.test]' >"$LDIF"
	refresh_badly
	assert_check 2 "error: $TABLE: 2 removals are held back .*--force.: cn=.,dc=test; cn=.,dc=test$"
	refute_match "$OUTPUT" 'older than'
	mxhop refresh --force
	assert_check 0
}

case_source_that_cannot_be_read() {
	good_set
	echo 'no LDIF' >"$LDIF"
	mxhop refresh || true
	assert_status 65 mxhop check
	assert_match "$OUTPUT" "warning: $TABLE: the last refresh, at .*, failed: $LDIF:1: .*; the set in force stays"
	rm -f "$TABLE"
	assert_check 2 "error: $TABLE: "
	good_set
}

# A directory that nobody reads any more; it cannot be asked now, either.
case_directory_that_was_not_read() {
	good_set
	printf '%s\n' 'overrides = ldap' 'ldap_server_host = ldap://127.0.0.9' \
		'ldap_search_base = dc=test' 'ldap_network_timeout = 1s' >$CF
	sed -i -e 's/"read":"[^"]*"/"read":"2026-01-01T00:00:00Z"/' "$TABLE.state"
	assert_status 74 mxhop check
	assert_match "$OUTPUT" "warning: $TABLE: the directory was read last at 202[56]-"
	sed -i -e 's/"follower":null/"follower":{"pid":4194300,"alive":"2026-01-01T00:00:00Z"}/' \
		"$TABLE.state"
	assert_status 74 mxhop check
	assert_match "$OUTPUT" 'warning: .*: .mxhop refresh --follow. \(process 4194300\) has ended, and was last heard of at 202'
	refute_match "$OUTPUT" 'was read last at'
	configure
	assert_check 0
	echo nonsense >"$TABLE.state"
	assert_check 1 "warning: $TABLE.state: .*: what the last refresh left undone is not known"
	good_set
}

# --- entries ---

case_entries_that_leave_no_host() {
	{
		entry gone 'mxhopKey: a.test' 'mxhopHop: [nowhere.test]'
		entry six 'mxhopKey: b.test' 'mxhopHop: [six.test]'
		entry self 'mxhopKey: c.test' 'mxhopHop: [mta.mxhop.test]'
		entry filter 'mxhopKey: d.test' 'mxhopHop: [127.0.0.1]:10025'
		entry bare 'mxhopKey: e.test' 'mxhopHop: nothing.test'
		entry null 'mxhopKey: f.test' 'mxhopHop: null.test'
		entry some 'mxhopKey: g.test' 'mxhopHop: [nowhere.test]' 'mxhopHop: [mx1.test]'
		entry excl 'mxhopKey: plain.test' 'mxhopMode: exclude' 'mxhopExclude: .test'
		entry part 'mxhopKey: one.test' 'mxhopMode: prepend' 'mxhopExclude: mx1.test' \
			'mxhopHop: [mx2.test]'
	} | set_of
	assert_check 2 "warning: $LDIF:1: cn=gone,dc=test: mxhopHop: nowhere.test has no address; is the name right" \
		"error: $LDIF:1: cn=gone,dc=test: mxhopHop: none of its hosts can be used; mail for it waits" \
		'error: .*: cn=six,dc=test: mxhopHop: none' \
		'warning: .*: cn=self,dc=test: mxhopHop: mta.mxhop.test is this machine' \
		'error: .*: cn=self,dc=test: mxhopHop: none' \
		'warning: .*: cn=bare,dc=test: mxhopHop: nothing.test does not exist' \
		'error: .*: cn=bare,dc=test: mxhopHop: none' \
		'error: .*: cn=null,dc=test: mxhopHop: none' \
		'warning: .*: cn=some,dc=test: mxhopHop: nowhere.test has no address' \
		'error: .*: cn=excl,dc=test: mxhopExclude: leaves no host of plain.test; mail for it waits'
	refute_match "$OUTPUT" 'error: [^ ]* cn=(filter|some|part),'
	# A refresh says so, too.
	assert_status 0 mxhop refresh
	assert_match "$OUTPUT" 'cn=excl,dc=test: mxhopExclude: leaves no host of plain.test'
	configure 'on_override_unusable = pass'
	assert_check 2 'error: .*: cn=excl,.*; mail for it goes as without the entry \(on_override_unusable = pass\)'
	configure
}

case_more_hops_than_are_tried() {
	entry a 'mxhopKey: a.test' 'mxhopHop: 1 [mx1.test]' 'mxhopHop: 2 [mx2.test]' \
		'mxhopHop: 3 [mx3.test]' 'mxhopHop: 4 [mx4.test]' | set_of
	assert_check 1 'warning: .*: cn=a,dc=test: mxhopHop: 4 hops, but max_hops = 3'
	configure 'max_hops = 4'
	assert_check 0
	configure
	# MX hosts take the room of what stands behind them.
	{
		entry app 'mxhopKey: plain.test' 'mxhopMode: append' \
			'mxhopHop: 1 [mx3.test]' 'mxhopHop: 2 [mx4.test]'
		entry mer 'mxhopKey: user@plain.test' 'mxhopMode: merge' \
			'mxhopHop: 5 [mx3.test]' 'mxhopHop: 30 one.test' 'mxhopHop: 40 [mx4.test]'
		entry pre 'mxhopKey: sub.plain.test' 'mxhopKey: .plain.test' \
			'mxhopMode: prepend' 'mxhopHop: 1 [mx3.test]' 'mxhopHop: 2 [mx4.test]' \
			'mxhopHop: 3 [mx1.test]'
		entry fits 'mxhopKey: one.test' 'mxhopMode: append' 'mxhopHop: [mx3.test]'
	} | set_of
	assert_check 1 \
		'warning: [^ ]*:1: cn=app,dc=test: mxhopHop: behind the MX hosts of plain.test there is no room for 1 of 2 hops: max_hops = 3; they are not tried' \
		'warning: [^ ]*: cn=mer,dc=test: mxhopHop: .* no room for 1 of 3 hops'
	assert_match "$(grep -c 'no room' <<<"$OUTPUT")" 2
	assert_status 0 mxhop refresh
	assert_match "$OUTPUT" 'cn=app,dc=test: mxhopHop: behind the MX hosts of plain.test'
	configure 'max_hops = 5'
	assert_check 0
	configure
}

# --- Postfix ---

case_transport_that_postfix_has_not() {
	main_cf
	entry a 'mxhopKey: a.test' 'mxhopHop: [mx1.test]' 'mxhopTransport: slow' | set_of
	assert_check 2 "error: $LDIF:1: cn=a,dc=test: transport slow is not in /etc/postfix/master.cf; mail for it waits"
	postconf -M 'slow/unix=slow unix - - y - - smtp'
	assert_check 0
	main_cf
	assert_status 0 mxhop check --no-main-cf
	assert_status 2 mxhop check --instance /etc/postfix
	assert_status 2 mxhop check "$LDIF"
}

case_fallback_relay() {
	good_set
	main_cf 'smtp_fallback_relay = [mx4.test]'
	assert_check 2 "error: $LDIF:1: cn=good,dc=test: transport smtp has smtp_fallback_relay = \[mx4.test\]: .*-o smtp_fallback_relay="
	postconf -P 'smtp/unix/smtp_fallback_relay=' 'relay/unix/smtp_fallback_relay='
	assert_check 0
	postconf -M 'slow/unix=slow unix - - y - - smtp'
	entry good 'mxhopKey: good.test' 'mxhopHop: [mx1.test]' 'mxhopTransport: slow' | set_of
	assert_check 2 'error: .*: transport slow has smtp_fallback_relay'
	main_cf
}

case_domains_that_postfix_delivers() {
	main_cf 'virtual_alias_domains = alias.test' 'mydestination = $myhostname, here.test'
	{
		entry alias 'mxhopKey: user@alias.test' 'mxhopHop: [mx1.test]'
		entry pass 'mxhopKey: here.test' 'mxhopMode: pass' 'mxhopTransport: relay'
		entry moved 'mxhopKey: user@here.test' 'mxhopHop: [mx1.test]'
		entry wide 'mxhopKey: .test' 'mxhopMode: pass' 'mxhopTransport: relay'
	} | set_of
	assert_check 2 'error: .*: cn=alias,dc=test: mxhopKey: user@alias.test: .*virtual_alias_maps' \
		'error: .*: cn=pass,dc=test: mxhopTransport: relay: .* here.test, which is in mydestination'
	refute_match "$OUTPUT" 'cn=(moved|wide)'
	main_cf
}

case_other_parameters_that_name_the_table() {
	good_set
	main_cf "relay_domains = $M" "sender_dependent_relayhost_maps = hash:/x, proxy:$M"
	postconf -P "smtp/inet/mailbox_transport_maps=$M"
	assert_check 2 "error: /etc/postfix/main.cf: relay_domains = $M: .*transport_maps alone" \
		'error: /etc/postfix/main.cf: sender_dependent_relayhost_maps = ' \
		'error: /etc/postfix/master.cf: smtp: -o mailbox_transport_maps = '
	# One of the administrator's own, which transport_maps is made from.
	main_cf "our_table = $M" 'transport_maps = $our_table' \
		'proxy_read_maps = $transport_maps'
	assert_check 0
	main_cf
}

case_files_that_anybody_may_write() {
	local file
	good_set
	for file in $CF $LDIF; do
		chmod o+w "$file"
		assert_check 1 "warning: $file: anybody on this machine may write it, .*chmod o-w"
		chmod o-w "$file"
	done
	chmod o+w "$TABLE" # lookups refuse it
	assert_check 2 "error: $TABLE: everybody may write to it"
	chmod o-w "$TABLE"
	assert_check 0
}

# Not even asked for: it is a matter of the configuration.
case_password_in_clear() {
	install -m 600 /dev/stdin "$SCRATCH/secret" <<<tops3cret
	printf '%s\n' 'overrides = ldap' 'ldap_server_host = ldap://192.0.2.77' \
		'ldap_search_base = dc=test' 'ldap_bind = yes' 'ldap_bind_dn = cn=x' \
		"ldap_bind_pw_file = $SCRATCH/secret" 'ldap_network_timeout = 1s' >$CF
	assert_status 78 mxhop refresh
	assert_match "$OUTPUT" 'ldap_bind: the password would go to ldap://192.0.2.77 in clear; .*ldap_bind_plaintext = yes'
	refute_match "$OUTPUT" tops3cret
	assert_status 78 mxhop check
	echo 'ldap_bind_plaintext = yes' >>$CF
	assert_status 74 mxhop refresh
	refute_match "$OUTPUT" 'in clear'
	configure
}

# --- LDIF ---

case_attributes_without_class_or_indented() {
	good_set
	{
		printf '%s\n' 'dn: cn=a,dc=test' 'objectClass: mxhopOveride' 'cn: a' \
			'mxhopKey: a.test' 'mxhopHop: [mx1.test]' ''
		printf '%s\n' 'dn: cn=b,dc=test' 'cn: b' 'mxhopKey: b.test' 'mxhopMode: pass'
	} >"$SCRATCH/new.ldif"
	assert_status 1 mxhop check "$SCRATCH/new.ldif"
	assert_match "$OUTPUT" 'new.ldif:2: cn=a,dc=test: objectClass: the entry has mxhopKey, but not the class mxhopOverride'
	assert_match "$OUTPUT" 'new.ldif:7: cn=b,dc=test: objectClass: '
	entry a '  mxhopKey: a.test' 'mxhopHop: [mx1.test]' >"$SCRATCH/new.ldif"
	assert_status 65 mxhop check "$SCRATCH/new.ldif"
	assert_match "$OUTPUT" 'new.ldif:4: an attribute with white space in front'
	cp "$SCRATCH/new.ldif" "$LDIF"
	mxhop refresh || true
	assert_eq "$(mxhop lookup --format postfix good.test)" ':[mx1.test]'
	good_set
}
