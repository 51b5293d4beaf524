# shellcheck shell=bash disable=SC2016
# `mxhop check` about MTA-STS: what keeps policies from being known, or kept to,
# in mxhop.cf, main.cf and master.cf, in the store and at the name servers. Each
# finding says where and what to do.

T=mxhop_tls:/etc/mxhop/mxhop.cf
STORE=/var/lib/mxhop-tls

setup() {
	zone test <<<'mx1 A 192.0.2.1'
	start_dns
	use_mxhop_plugin <<<''
	cp "$MXHOP_BUILD/bin/mxhop-tls" /usr/sbin/
	configure_postfix
	: >/etc/mxhop/ca.pem
	postconf "transport_maps = $M" "smtp_tls_policy_maps = $T" \
		'smtp_tls_CAfile = /etc/mxhop/ca.pem' 'smtp_tls_CApath =' \
		'smtp_tls_security_level = may' 'smtp_dns_support_level = dnssec'
	cp -a /etc/postfix "$SCRATCH/postfix"
	compile_policies
	install -d -o mxhop-tls -g mxhop-tls "$STORE"
}

configure() { # [LINE...]
	printf '%s\n' 'mta_sts = enforce' 'cache = none' "$@" >/etc/mxhop/mxhop.cf
}

# main.cf and master.cf as setup() made them, with changes of main.cf.
main_cf() { # [LINE...]
	cp "$SCRATCH"/postfix/{main,master}.cf /etc/postfix/
	[[ $# -eq 0 ]] || postconf "$@"
	cool_main_cf
}

listens() { grep -q "@mxhop-tls:$STORE" /proc/net/unix; }

# A store with a policy, and the service.
all_is_well() {
	main_cf
	configure
	"$SCRATCH/policies" "$STORE" <<<'sts.test enforce 1 10 3600 mx1.test'
	chown mxhop-tls: "$STORE/policies"
	chmod 644 "$STORE/policies"
	spawn tls mxhop-tls
	eventually 10 listens || fail "mxhop-tls: $(tail -n 3 "$SCRATCH/tls.log")"
}

# The findings of check, which ends with STATUS: "error", "warning" and "note"
# lines, and no others.
assert_check() { # STATUS REGEX...
	local status=$1 regex
	shift
	assert_status "$status" mxhop check
	for regex; do
		grep -E -- "^mxhop: $regex" <<<"$OUTPUT" || fail "no '$regex' in: $OUTPUT"
	done
	assert_eq "$(grep -c '^mxhop: ' <<<"$OUTPUT")" $# findings
}

case_nothing_wrong() {
	all_is_well
	assert_check 0
	configure 'overrides = ldif:/etc/mxhop/overrides.ldif'
	: >/etc/mxhop/overrides.ldif
	mxhop refresh
	assert_check 0
	# With mta_sts = watch Postfix needs nothing.
	main_cf 'smtp_tls_policy_maps ='
	configure 'mta_sts = watch'
	sed -i 1d /etc/mxhop/mxhop.cf
	assert_check 0
	assert_status 0 mxhop check --no-main-cf
}

# --- the service and its store ---

case_service_that_does_not_run() {
	all_is_well
	stop tls
	assert_check 1 "warning: $STORE: mxhop-tls is not running for this tls_store: .*; start it"
	sed -i 's/enforce/watch/' /etc/mxhop/mxhop.cf
	assert_check 1 "warning: $STORE: mxhop-tls is not running"
	# Another store has another service.
	all_is_well
	configure "tls_store = $SCRATCH/other"
	assert_check 2 "warning: $SCRATCH/other: mxhop-tls is not running" \
		"error: $SCRATCH/other/policies: No such file"
	configure 'mta_sts = off'
	sed -i 1d /etc/mxhop/mxhop.cf
	stop tls
	assert_check 0
}

# The service would write its store anew within a second.
all_is_well_but_still() {
	all_is_well
	kill -STOP "$(cat "$SCRATCH/pids/tls")"
}

case_store_missing_damaged_private_or_empty() {
	all_is_well_but_still
	rm "$STORE/policies"
	assert_check 2 "error: $STORE/policies: No such file or directory: no MTA-STS policy is kept to, .*; mxhop-tls makes the file when it starts"
	printf 'nonsense' >"$STORE/policies"
	assert_check 2 "error: $STORE/policies: .*remove it, and mxhop-tls makes a new one: no MTA-STS policy is kept to, and domains that may have one get no list$"
	sed -i 's/enforce/watch/' /etc/mxhop/mxhop.cf
	assert_check 1 "warning: $STORE/policies: .*: no MTA-STS policy is known$"
	all_is_well_but_still
	chmod 600 "$STORE/policies"
	assert_check 2 "error: $STORE/policies: user postfix, .*, cannot read it: Permission denied; .*0644"
	all_is_well_but_still
	chmod 700 "$STORE"
	assert_check 2 "error: $STORE/policies: user postfix, .*, cannot read it: Permission denied"
	chmod 755 "$STORE"
	"$SCRATCH/policies" "$STORE" </dev/null
	assert_check 1 "warning: $STORE/policies: is empty: .*mta_sts = watch first"
	sed -i 's/enforce/watch/' /etc/mxhop/mxhop.cf
	assert_check 0
}

case_directory_of_others_above_the_store() {
	all_is_well
	chown mxhop /var/lib
	assert_check 1 "warning: $STORE: /var/lib is not root's alone: .*; move it, with tls_store,"
	chown root /var/lib
	chmod 0775 /var/lib
	assert_check 1 "warning: $STORE: /var/lib is not root's alone"
	chmod 0755 /var/lib
}

case_authorities_of_the_web_servers() {
	all_is_well
	configure "tls_ca_file = $SCRATCH/none.pem"
	assert_check 1 "warning: $SCRATCH/none.pem: cannot be read \\(tls_ca_file\\): No such file"
}

# --- Postfix ---

case_table_that_is_not_in_place() {
	local then='mta_sts = enforce, but until then no list is held to an MTA-STS policy, and Postfix routes domains that have one by itself$'
	all_is_well
	main_cf 'smtp_tls_policy_maps ='
	assert_check 2 "error: /etc/postfix/main.cf: smtp_tls_policy_maps = : name mxhop_tls:FILE in it, .*; $then"
	main_cf "smtp_tls_policy_maps = hash:/etc/postfix/tls mxhop_tls:/etc/mxhop/other.cf"
	assert_check 2 'error: /etc/postfix/main.cf: smtp_tls_policy_maps = hash:.*: name mxhop_tls:FILE'
	main_cf
	postconf -P 'relay/unix/smtp_tls_policy_maps=hash:/etc/postfix/tls'
	assert_check 2 "error: /etc/postfix/master.cf: relay: smtp_tls_policy_maps = hash:/etc/postfix/tls: name .*; $then"
	main_cf "our_tables = $T" 'smtp_tls_policy_maps = $our_tables'
	assert_check 0
	postconf -P 'relay/unix/our_tables=hash:/etc/postfix/tls'
	assert_check 2 "error: /etc/postfix/master.cf: relay: -o our_tables: smtp_tls_policy_maps is made of it; set that itself; $then"
	main_cf 'smtp_tls_CAfile ='
	assert_check 2 "error: /etc/postfix/main.cf: smtp_tls_CAfile = : set it, .*; $then"
	main_cf 'smtp_tcp_port = 2525'
	assert_check 2 'error: /etc/postfix/main.cf: smtp_tcp_port = 2525: it must be 25; '
}

# proxymap(8) does not know who asks: it answers for no domain.
case_table_behind_proxy() {
	local then='behind proxy: mxhop_tls answers for hosts of lists only, .*; write it without proxy:$'
	all_is_well
	main_cf "smtp_tls_policy_maps = proxy:$T"
	assert_check 1 "warning: /etc/postfix/main.cf: smtp_tls_policy_maps = proxy:$T; $then"
	sed -i 's/enforce/watch/' /etc/mxhop/mxhop.cf
	assert_check 0
	sed -i 's/watch/enforce/' /etc/mxhop/mxhop.cf
	main_cf "smtp_tls_policy_maps = proxy:$T $T"
	assert_check 0
	main_cf
	postconf -P "relay/unix/smtp_tls_policy_maps=proxy:$T"
	assert_check 1 "warning: /etc/postfix/master.cf: relay: -o smtp_tls_policy_maps = proxy:$T; $then"
}

case_exim() {
	local note='note: /etc/mxhop/mxhop.cf: exim_sts_transport = mxhop_sts: whether Exim has this transport, .* is not seen from here'
	all_is_well
	configure 'exim_sts_transport = mxhop_sts'
	sed -i "s,^transport_maps.*,transport_maps =," /etc/postfix/main.cf
	cp /etc/resolv.conf "$SCRATCH/resolv.conf"
	assert_check 1 "$note" "warning: /etc/resolv.conf: has no .options trust-ad': Exim does no DANE"
	echo 'options trust-ad' >>/etc/resolv.conf
	assert_check 0 "$note"
	cp "$SCRATCH/resolv.conf" /etc/resolv.conf
}

case_authorities_of_the_mail_hosts() {
	all_is_well
	main_cf 'smtp_tls_CAfile = /etc/mxhop/gone.pem'
	assert_check 2 'error: /etc/postfix/main.cf: smtp_tls_CAfile = /etc/mxhop/gone.pem: No such file or directory; no certificate can be verified, '
}

case_dane() {
	all_is_well
	# Whoever does not ask for DANE gets none, and knows.
	main_cf 'smtp_dns_support_level ='
	assert_check 0
	main_cf 'smtp_host_lookup = native'
	assert_check 1 'warning: /etc/postfix/main.cf: smtp_host_lookup = native: dns must be in it; until then no list is held to DANE$'
	main_cf
	configure 'dns_servers = 192.0.2.53'
	assert_check 1 'warning: dns_servers: signatures do not count, .*trust-ad'
	configure
	cp /etc/resolv.conf "$SCRATCH/resolv.conf"
	echo 'nameserver 192.0.2.53' >/etc/resolv.conf
	assert_check 1 'warning: /etc/resolv.conf: signatures do not count, .*trust-ad'
	echo 'options trust-ad' >>/etc/resolv.conf
	assert_check 0
	cp "$SCRATCH/resolv.conf" /etc/resolv.conf
}

case_other_parameters_that_name_the_table() {
	all_is_well
	main_cf "transport_maps = $M $T"
	assert_check 2 "error: /etc/postfix/main.cf: transport_maps = .*: a table of type mxhop_tls belongs in smtp_tls_policy_maps alone"
	main_cf "smtp_tls_policy_maps = $T $M"
	assert_check 2 "error: /etc/postfix/main.cf: smtp_tls_policy_maps = .*: a table of type mxhop belongs in transport_maps alone"
	main_cf
	postconf -P "smtp/inet/smtpd_tls_ccert_maps=$T" "relay/unix/smtp_tls_policy_maps=$T"
	assert_check 2 'error: /etc/postfix/master.cf: smtp: -o smtpd_tls_ccert_maps = mxhop_tls:'
	main_cf "our_table = $T" 'smtp_tls_policy_maps = $our_table' \
		"tlsproxy_client_policy_maps = $T" 'proxy_read_maps = $smtp_tls_policy_maps'
	assert_check 0
}

# A relay host that is written so would have to be verified.
case_ports_that_stand_for_a_class() {
	all_is_well
	main_cf 'relayhost = [mail.test]:025'
	assert_check 1 'warning: /etc/postfix/main.cf: relayhost = \[mail.test\]:025: .*takes the ports :025 and :0025 .*; write :25$'
	main_cf 'smtp_fallback_relay = [mail.test]:0250 [mail.test]:25'
	assert_check 0
	postconf -P 'relay/unix/relayhost=[mail.test]:0025'
	assert_check 1 'warning: /etc/postfix/master.cf: relay: -o relayhost = \[mail.test\]:0025: '
	# Without the table it is port 25.
	main_cf 'relayhost = [mail.test]:025' 'smtp_tls_policy_maps ='
	sed -i 's/enforce/watch/' /etc/mxhop/mxhop.cf
	assert_check 0
}

# From here on Postfix is that of Debian 13.
case_reports() {
	local note='note: /etc/postfix/main.cf: smtp_tlsrpt_enable: domains that want reports of TLS get no list, '
	use_release trixie
	configure_postfix
	cp -a /etc/postfix/{main,master}.cf "$SCRATCH/postfix/"
	all_is_well
	main_cf "transport_maps = $M" "smtp_tls_policy_maps = $T" 'smtp_tls_CApath =' \
		'smtp_tls_CAfile = /etc/mxhop/ca.pem' 'smtp_tlsrpt_enable = yes'
	assert_check 0 "$note"
	configure 'tlsrpt = ignore'
	assert_check 0
	configure 'answer = list'
	assert_check 0
	stop tls
	printf '%s\n' 'cache = none' >/etc/mxhop/mxhop.cf
	assert_check 0 "$note"
}
