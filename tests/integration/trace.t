# shellcheck shell=bash disable=SC2016
# `mxhop lookup --format postfix` and `mxhop trace` against the table inside
# Postfix: random keys, each under many a main.cf, and the same answer each time.
# MXHOP_LONG asks about all 500 keys; else every configuration gets some.

M=mxhop:/etc/mxhop/mxhop.cf
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
		shuf --random-source=<(yes "$SEED $*" 2>/dev/null) -n "$1" "$SCRATCH/world/keys"
	fi | sort -u
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
	some_keys 30 "$1" >"$SCRATCH/some"
	table_says "$SCRATCH/some" "${2-+}" >"$SCRATCH/table"
	mxhop lookup --format postfix - <"$SCRATCH/some" >"$SCRATCH/lookup" \
		2>"$SCRATCH/lookup.err" || true
	diff "$SCRATCH/table" "$SCRATCH/lookup" >&2 ||
		fail "$1: the table and mxhop lookup differ"
	# The same in the words of a trace, for a few.
	shuf --random-source=<(yes "$1") -n 4 "$SCRATCH/some" | while read -r key; do
		assert_eq "$(mxhop trace -- "$key" 2>/dev/null |
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
