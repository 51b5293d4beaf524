# shellcheck shell=bash disable=SC2016
# `mxhop lookup --format postfix` and `mxhop trace` against the table inside
# Postfix: random keys, each under many a main.cf, and the same answer each time.
# MXHOP_LONG asks about all 500 keys; else every configuration gets some.

SEED=${MXHOP_SEED:-11}

setup() {
	local f
	mkdir -p "$SCRATCH/world"
	ln -sfn "$SCRATCH/zones" "$SCRATCH/world/zones"
	python3 "$ROOT/tests/support/trace_world.py" "$SEED" "$SCRATCH/world"
	start_dns
	use_mxhop_plugin <<-'END'
		overrides = ldif:/etc/mxhop/overrides.ldif
		rotate_interval = 1w
		lookup_budget = 2s
		wait_share = 100%
	END
	refresh_overrides <"$SCRATCH/world/overrides.ldif"
	printf '%s\n' d1.test d2.test '!d3.test d4.test' '# d5.test' >/etc/postfix/names
	printf '%s x\n' d6.test d7.test user@d8.test .d9.test >/etc/postfix/domains
	printf '%s smtp:[192.0.2.88]\n' d1.test .d2.test user@d3.test '*' >/etc/postfix/tables
	echo '/^d1[0-4]\.test$/ x' >/etc/postfix/patterns
	postmap hash:/etc/postfix/{domains,tables}
	postconf -e "transport_maps = $M"
	cool_main_cf
	cp -p /etc/postfix/main.cf "$SCRATCH/main.cf.good"
	cp /etc/postfix/master.cf "$SCRATCH/master.cf.good"
	cp /etc/mxhop/mxhop.cf "$SCRATCH/mxhop.cf.good"
	# What the cache does not know yet is no part of this.
	for _ in 1 2; do
		mxhop lookup - <"$SCRATCH/world/keys" >/dev/null || true
	done
}

fresh() { # [NAME=VALUE...]
	cp -p "$SCRATCH/main.cf.good" /etc/postfix/main.cf
	cp "$SCRATCH/master.cf.good" /etc/postfix/master.cf
	cp "$SCRATCH/mxhop.cf.good" /etc/mxhop/mxhop.cf
	[[ $# -eq 0 ]] || postconf -e "$@"
	cool_main_cf
}

some_keys() { # NUMBER WHAT
	if [[ ${MXHOP_LONG:-} == yes ]]; then
		cat "$SCRATCH/world/keys"
	else
		shuf --random-source=<(yes "$SEED $*" 2>/dev/null || true) -n "$1" "$SCRATCH/world/keys"
	fi
}

# The keys that Postfix asks for an address, one after the other.
forms() { # KEY DELIMITERS
	local local=${1%@*} domain=${1##*@} short
	echo "$1"
	[[ $1 == *@* ]] || return 0
	short=${local%%["$2"]*}
	[[ -z $2 || -z $short || $short == "$local" || $local == postmaster ||
		($2 == *-* && ($local == owner-* || $local == *-request)) ]] ||
		echo "$short@$domain"
	echo "$domain"
}

as_postfix() {
	setpriv --reuid postfix --regid postfix --init-groups "$@"
}

# What the table says to each form of each key, in the way of `postmap -q -`.
table_says() { # KEYS-FILE DELIMITERS
	local key form answer
	declare -A said=()
	while read -r key; do forms "$key" "$2"; done <"$1" | sort -u >"$SCRATCH/forms"
	while IFS=$'\t' read -r form answer; do
		said[$form]=$answer
	done < <(as_postfix postmap -q - "$M" <"$SCRATCH/forms" 2>>"$SCRATCH/postmap.err")
	while read -r key; do
		while read -r form; do
			[[ ${said[$form]+set} ]] || continue
			printf '%s\t%s\n' "$key" "${said[$form]}"
			break
		done < <(forms "$key" "$2")
	done <"$1"
}

assert_same() { # WHAT [DELIMITERS]
	local key
	some_keys 15 "$1" >"$SCRATCH/some"
	table_says "$SCRATCH/some" "${2-+}" >"$SCRATCH/table"
	mxhop lookup --format postfix - <"$SCRATCH/some" >"$SCRATCH/lookup" \
		2>"$SCRATCH/lookup.err" || true
	diff "$SCRATCH/table" "$SCRATCH/lookup" >&2 ||
		fail "$1: the table and mxhop lookup differ"
	# The same in the words of a trace, for a few.
	shuf --random-source=<(yes "$1" 2>/dev/null || true) -n 2 "$SCRATCH/some" | while read -r key; do
		assert_eq "$({ mxhop trace -- "$key" 2>/dev/null || true; } |
			sed -nE 's/^   postfix    (\(not found.*)?//p')" \
			"$(awk -F '\t' -v k="$key" '$1 == k { print $2 }' "$SCRATCH/table")" \
			"$1: trace $key"
	done
}

case_plain() {
	fresh
	assert_same plain
	[[ $(wc -l <"$SCRATCH/table") -gt 10 ]] || fail "hardly any answers"
}

case_another_way_out() {
	fresh 'relayhost = [192.0.2.9]'
	assert_same relayhost
	fresh 'sender_dependent_relayhost_maps = hash:/etc/postfix/tables'
	assert_same sender_dependent_relayhost_maps
	fresh 'default_transport = smtp:[192.0.2.9]'
	assert_same default_transport
}

case_other_tables() {
	fresh "transport_maps = hash:/etc/postfix/tables $M"
	assert_same front
	fresh "transport_maps = $M, hash:/etc/postfix/tables"
	assert_same back
	fresh "transport_maps = proxy:$M"
	assert_same proxy
}

case_tls_by_domain() {
	fresh 'smtp_tls_security_level = dane'
	assert_same dane
	fresh
	postconf -P smtp/unix/smtp_tls_security_level=dane
	cool_main_cf
	assert_same 'dane in master.cf'
	fresh 'policies = hash:/etc/postfix/tables' 'smtp_tls_policy_maps = $policies'
	assert_same smtp_tls_policy_maps
	fresh 'smtp_sasl_password_maps = hash:/etc/postfix/tables'
	assert_same smtp_sasl_password_maps
}

# Where lists have TLS classes, tables of policies are asked domain by domain.
case_tls_classes() {
	local ours=mxhop_tls:/etc/mxhop/mxhop.cf
	set -- 'smtp_tls_CAfile = /etc/ssl/ca.pem' 'smtp_dns_support_level = dnssec'
	printf 'd%s.test encrypt\n' {0..400..3} >/etc/postfix/policies
	printf '.d%s.test encrypt\n' {1..400..3} >>/etc/postfix/policies
	postmap hash:/etc/postfix/policies
	fresh "smtp_tls_policy_maps = $ours" "$@"
	assert_same 'classes'
	[[ $(wc -l <"$SCRATCH/table") -gt 10 ]] || fail "hardly any answers"
	fresh "smtp_tls_policy_maps = hash:/etc/postfix/policies, $ours" "$@"
	assert_same 'a table of policies'
	fresh "smtp_tls_policy_maps = $ours regexp:/etc/postfix/patterns" "$@" \
		'smtp_tls_security_level = dane-only'
	assert_same 'patterns, and signed records only'
	fresh "smtp_tls_policy_maps = proxy:hash:/etc/postfix/policies $ours" "$@"
	assert_same 'a table behind proxymap'
}

case_families() {
	local families
	for families in ipv4 ipv6 all; do
		fresh "inet_protocols = $families" 'inet_interfaces = all'
		assert_same "$families"
	done
}

case_our_own_names_and_addresses() {
	fresh 'inet_interfaces = 127.0.0.1, 192.0.2.250, [2001:db8::250]' \
		'proxy_interfaces = 192.0.2.5'
	assert_same interfaces
	fresh 'myhostname = h3.p3.test' 'inet_interfaces = loopback-only'
	assert_same myhostname
}

case_local_domains() {
	fresh 'mydestination = $myhostname, !d2.test, /etc/postfix/names, d3.test D0.test'
	assert_same 'file and negation'
	fresh 'mydestination = hash:/etc/postfix/domains'
	assert_same table
	fresh 'virtual_mailbox_domains = regexp:/etc/postfix/patterns' \
		'virtual_alias_maps = proxy:hash:/etc/postfix/domains'
	assert_same virtual
	fresh 'mydestination = hash:/etc/postfix/nonexistent'
	assert_same 'missing table'
}

case_relay_domains() {
	local t
	fresh 'relay_domains = d1.test hash:/etc/postfix/domains' 'relay_transport = relay'
	assert_same 'relay'
	fresh 'relay_domains = d1.test hash:/etc/postfix/domains' \
		'relay_transport = relay:[192.0.2.7]'
	assert_same 'relay_transport'
	fresh 'relay_domains = .d1.test d2.test hash:/etc/postfix/domains' \
		'relay_transport = relay:[192.0.2.7]' 'parent_domain_matches_subdomains ='
	assert_same 'without parents'
}

case_delimiters() {
	fresh 'recipient_delimiter = -+'
	assert_same delimiters -+
	fresh 'recipient_delimiter ='
	assert_same 'no delimiter' ''
}

# Inside Postfix the filter of keys is in memory, and says which keys are in no
# damaged page. Answers that were kept before, in the cache, are no part of this.
case_damaged_table() {
	local table=/var/lib/mxhop/overrides page pages from
	fresh
	echo 'cache = none' >>/etc/mxhop/mxhop.cf
	cp -p $table "$SCRATCH/table.good"
	pages=$(($(stat -c %s $table) / 4096))
	for from in 1 2 0 $((pages - 1)); do
		cp -p "$SCRATCH/table.good" "$table.new"
		for ((page = from; page < pages; page += 2)); do
			printf '\377\377\377\377' |
				dd of="$table.new" bs=1 seek=$((4096 * page + 200)) conv=notrunc status=none
		done
		mv "$table.new" $table
		assert_same "damaged from page $from of $pages on"
	done
	mv "$SCRATCH/table.good" $table
}

# --- trivial-rewrite(8) itself ---

# Transport and next hop, where a table answers; else `-`.
traced() { # < ADDRESSES
	local address
	while read -r address; do
		{ mxhop trace --format json -- "$address" 2>/dev/null || true; } | python3 -c '
import json, sys
trace = json.load(sys.stdin)
first = [a for a in trace["main_cf"]["transport_maps"] if a["applies"]]
transport, _, nexthop = first[0]["answer"].partition(":") if first else ("", "", "")
print(sys.argv[1], transport or "-", nexthop or "-", sep="\t")' "$address"
	done
}

# Where the table leaves one open, Postfix fills in its own.
assert_resolved() { # WHAT
	local address transport nexthop t n=8
	[[ ${MXHOP_LONG:-} != yes ]] || n=100
	grep '@d' "$SCRATCH/world/keys" | sort -u |
		shuf --random-source=<(yes "$1" 2>/dev/null || true) -n "$n" >"$SCRATCH/some"
	python3 "$ROOT/tests/support/ask_postfix.py" rewrite /var/spool/postfix/private/rewrite \
		<"$SCRATCH/some" >"$SCRATCH/resolved"
	traced <"$SCRATCH/some" >"$SCRATCH/traced"
	paste "$SCRATCH/resolved" <(cut -f 2,3 "$SCRATCH/traced") >"$SCRATCH/both"
	while IFS=$'\t' read -r address transport nexthop t n; do
		[[ $t == - || $t == "$transport" ]] ||
			fail "$1: $address: transport $transport, trace says $t"
		[[ $n == - || $n == "$nexthop" ]] ||
			fail "$1: $address: next hop $nexthop, trace says $n"
		[[ $n != - || $nexthop != *'], ['* ]] ||
			fail "$1: $address: next hop $nexthop, trace says none"
	done <"$SCRATCH/both"
	[[ $(cut -f 5 "$SCRATCH/both" | grep -vc '^-$') -gt 0 ]] || fail "hardly any answers"
}

case_trivial_rewrite() {
	fresh
	start_postfix 'virtual_alias_domains = d0.test' 'mydestination = $myhostname d1.test'
	assert_resolved plain
	postfix_set "transport_maps = hash:/etc/postfix/tables $M"
	assert_resolved front
	postfix_set "transport_maps = $M hash:/etc/postfix/tables" 'recipient_delimiter = +-'
	assert_resolved back
	# What only this daemon sees.
	postconf -P 'rewrite/unix/mydestination=$myhostname,d1.test,d2.test,d3.test' \
		'rewrite/unix/recipient_delimiter=-'
	postfix_set "transport_maps = $M"
	assert_resolved 'options in master.cf'
	stop_postfix
}

# --- where the view comes from ---

case_no_main_cf() {
	fresh 'relayhost = [192.0.2.9]'
	assert_status 1 mxhop lookup sub.d5.test
	assert_match "$OUTPUT" 'answer = override: relayhost = \[192.0.2.9\]'
	assert_status 0 mxhop lookup sub.d5.test --no-main-cf
	assert_status 0 mxhop lookup --format exim sub.d5.test
	assert_status 0 mxhop trace --no-main-cf sub.d5.test
	assert_match "$OUTPUT" 'main.cf +not looked at:[[:space:]]+--no-main-cf was given'
	postconf -e 'transport_maps ='
	cool_main_cf
	assert_status 0 mxhop lookup sub.d5.test
	assert_match "$(mxhop trace sub.d5.test)" 'transport_maps in /etc/postfix/main.cf does not name'
	ln -sf /etc/mxhop/mxhop.cf "$SCRATCH/link.cf"
	postconf -e "transport_maps = proxy:mxhop:$SCRATCH/link.cf"
	cool_main_cf
	assert_status 1 mxhop lookup sub.d5.test
}

case_without_postfix() {
	local command
	fresh 'relayhost = [192.0.2.9]'
	mkdir "$SCRATCH/bin"
	command=$(type -P mxhop)
	mount -t tmpfs none /usr/sbin
	assert_status 0 "$command" lookup sub.d5.test
	assert_status 0 "$command" trace sub.d5.test
	assert_match "$OUTPUT" 'not looked at:[[:space:]]+no Postfix here'
	umount /usr/sbin
}

case_instances() {
	fresh
	rm -rf /etc/postfix-b
	cp -a /etc/postfix /etc/postfix-b
	postconf -c /etc/postfix-b -e 'mydestination = sub.d5.test'
	touch -d '10 seconds ago' /etc/postfix-b/main.cf
	assert_status 0 mxhop lookup sub.d5.test
	assert_status 1 mxhop lookup --instance /etc/postfix-b sub.d5.test
	assert_match "$OUTPUT" 'delivers this domain itself'
	assert_status 1 mxhop trace --instance /etc/postfix-b sub.d5.test
	assert_match "$OUTPUT" 'local by: mydestination'
	assert_status 78 mxhop lookup --instance /etc/nowhere sub.d5.test
	assert_status 78 mxhop lookup --instance nobody sub.d5.test
	assert_match "$OUTPUT" 'postmulti -l lists no instance nobody'
	assert_status 78 mxhop -c "$SCRATCH/mxhop.cf.good" lookup --instance /etc/postfix-b a.test
	assert_match "$OUTPUT" 'does not name mxhop:'
	postconf -e 'multi_instance_directories = /etc/postfix-b' 'multi_instance_enable = yes'
	postconf -c /etc/postfix-b -e 'multi_instance_name = postfix-b' \
		'queue_directory = /var/spool/postfix-b' 'data_directory = /var/lib/postfix-b'
	assert_status 1 mxhop lookup --instance postfix-b sub.d5.test
	rm -rf /etc/postfix-b
}

# Root sees what the daemons see; who cannot read a table is told what follows.
case_what_cannot_be_read() {
	fresh 'mydestination = hash:/etc/postfix/hidden'
	echo 'sub.d5.test x' >/etc/postfix/hidden
	postmap hash:/etc/postfix/hidden
	chmod 600 /etc/postfix/hidden.db
	assert_status 1 mxhop lookup sub.d5.test
	assert_match "$OUTPUT" 'delivers this domain itself'
	assert_status 1 as_postfix mxhop lookup sub.d5.test
	assert_match "$OUTPUT" 'hidden.*Permission denied: whether sub.d5.test is local is not known, and it passes'
	fresh
	chmod 600 /etc/postfix/master.cf
	assert_status 0 mxhop lookup sub.d5.test
	assert_status 1 as_postfix mxhop lookup sub.d5.test
	assert_match "$OUTPUT" 'cannot read /etc/postfix/master.cf: Permission denied; whether Postfix must see'
	chmod 644 /etc/postfix/master.cf
}

case_words_in_any_order() {
	fresh
	assert_status 0 mxhop lookup sub.d5.test --format postfix
	assert_match "$OUTPUT" '^:\['
	assert_status 1 mxhop lookup --format postfix -- -x.test
	assert_eq "$OUTPUT" ''
	assert_status 64 mxhop lookup sub.d5.test --nonsense
	assert_status 64 mxhop lookup sub.d5.test --format xml
	assert_status 64 mxhop lookup
	assert_status 64 mxhop trace one.test two.test
	assert_status 64 mxhop trace one.test --at yesterday
	assert_status 64 mxhop trace one.test --format exim
}

# --- what a trace says of overrides ---

whole_set() { # < LDIF
	cat >/etc/mxhop/overrides.ldif
	mxhop refresh --force >&2
}

entry() { # NAME ATTRIBUTE...
	printf '%s\n' "dn: cn=$1,dc=test" 'objectClass: mxhopOverride' "cn: $1" "${@:2}" ''
}

case_entries_that_do_not_apply() {
	fresh
	{
		entry other 'mxhopKey: d5.test' 'mxhopHop: [192.0.2.1]'
		entry first 'mxhopKey: d5.test' 'mxhopHop: [192.0.2.2]'
		entry wide 'mxhopKey: .test' 'mxhopHop: [192.0.2.3]'
		entry off 'mxhopKey: user@d5.test' 'mxhopMode: pass' 'mxhopEnabled: FALSE'
		entry soon 'mxhopKey: d5.test' 'mxhopHop: [192.0.2.4]' \
			'mxhopNotBefore: 20900101000000Z' 'mxhopNotAfter: 20900201000000Z'
		entry aa 'mxhopKey: d5.test' 'mxhopHop: [192.0.2.5]' 'mxhopNotAfter: 20200101000000Z'
	} | whole_set
	assert_status 0 mxhop trace user@d5.test
	assert_match "$OUTPUT" 'mode replace, by key d5.test.*cn=first,dc=test'
	assert_match "$OUTPUT" 'cn=off,dc=test.*pass by key user@d5.test: disabled'
	assert_match "$OUTPUT" 'cn=soon,dc=test.*: from 2090-01-01T00:00:00Z'
	assert_match "$OUTPUT" 'cn=aa,dc=test.*: until 2020-01-01T00:00:00Z'
	assert_match "$OUTPUT" 'cn=other,dc=test.*: beaten by.*cn=first,dc=test'
	assert_match "$OUTPUT" 'cn=wide,dc=test.*key .test: beaten by'
	assert_match "$(mxhop trace d5.test --at 2019-12-31T23:00:00Z)" 'mode replace.*cn=aa,dc=test'
	assert_match "$(mxhop trace d5.test --at 20200101000001Z)" 'cn=first,dc=test.*cn=aa,dc=test'
	assert_match "$(TZ=UTC-2 mxhop trace --at '2020-01-01 01:59' d5.test)" \
		'as of +2019-12-31T23:59:00Z.*mode replace.*cn=aa'
	assert_match "$(mxhop trace --format json d5.test)" \
		'"dn":"cn=soon,dc=test","key":"d5.test","mode":"replace","state":"pending","not_before":"2090-01-01T00:00:00Z"'
	assert_match "$(mxhop trace --format json d5.test)" \
		'"beaten_by":"cn=first,dc=test".*"hosts":\[\{"host":"192.0.2.2".*"addresses":\["192.0.2.2"\]'
}

case_local_domains_and_excludes() {
	fresh 'mydestination = d5.test' 'virtual_alias_domains = d8.test'
	{
		entry exact 'mxhopKey: user@d5.test' 'mxhopHop: [192.0.2.1]'
		entry wide 'mxhopKey: .test' 'mxhopHop: [192.0.2.3]'
		entry 'not' 'mxhopKey: d7.test' 'mxhopMode: exclude' 'mxhopExclude: nowhere.test'
	} | whole_set
	assert_eq "$(mxhop lookup --format postfix user+x@d5.test)" 'relay:[192.0.2.1]'
	assert_status 1 mxhop trace other@d5.test
	assert_match "$OUTPUT" 'cn=wide,dc=test.*not for a local domain'
	assert_match "$(mxhop trace d8.test || true)" 'no table is asked: virtual_alias_maps'
	assert_match "$(mxhop trace d7.test)" 'cn=not,dc=test.*exclude by key d7.test: excludes no host'
}
