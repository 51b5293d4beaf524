# shellcheck shell=bash disable=SC2016
# Somebody is in the way: hosts with a certificate of a strange authority, with one
# for another name, or without STARTTLS. Domains with a policy and domains
# without one on the same hosts, with mxhop's lists, new connections and kept
# ones, and policies that change while connections are kept. smtp(8) is jailed.

# shellcheck source=tests/integration/tls.sh
. "$ROOT/tests/integration/tls.sh"

setup() {
	local name domain
	tls_certificate good good.hosts.test
	tls_certificate badca '*.hosts.test' by=foreign
	tls_certificate name name.other.test
	printf '%s A %s\n' good 192.0.2.1 ca 192.0.2.2 name 192.0.2.3 bare 192.0.2.4 |
		zone hosts.test
	{
		for name in good ca name bare; do
			printf "%s MX 10 $name.hosts.test.\n" {sts,plain}-$name
		done
		for name in ca name bare; do
			for domain in {half,plain-half}-$name; do
				printf "$domain MX %s.hosts.test.\n" "10 $name" '20 good'
			done
		done
		cat <<-'END'
			coming   MX 10 ca.hosts.test.
			clear    MX 10 bare.hosts.test.
			moving   MX 10 ca.hosts.test.
			moving   MX 20 good.hosts.test.
			going    MX 10 good.hosts.test.
		END
	} | zone dom.test
	start_dns
	start_receiver 192.0.2.1 good
	start_receiver 192.0.2.2 badca
	start_receiver 192.0.2.3 name
	start_receiver 192.0.2.4 -
	compile_policies
	install -d "$STORE"
	use_mxhop_plugin <<-'END'
		mta_sts = enforce
		lookup_budget = 3s
		wait_share = 100%
	END
}

# The standing policies, and those of lines. trivial-rewrite(8) sees them a moment
# later.
policies() { # LINE...
	{
		printf '%s.dom.test enforce 1 10 3600 *.hosts.test\n' sts-{good,ca,name,bare} \
			half-{ca,name,bare}
		printf '%s\n' "$@"
	} | "$SCRATCH/policies" "$STORE"
	sleep 1.5
}

# What each kind of host does to each kind of domain.
assert_hosts() {
	mark
	assert_outcomes <<-'END'
		sts-good.dom.test        192.0.2.1 tls=TLS[^ ]* sni=good.hosts.test
		sts-ca.dom.test          Server certificate not
		sts-name.dom.test        Server certificate not
		sts-bare.dom.test        TLS is required, but was not offered
		half-ca.dom.test         192.0.2.1 tls=TLS[^ ]* sni=good.hosts.test
		half-name.dom.test       192.0.2.1 tls=TLS[^ ]* sni=good.hosts.test
		half-bare.dom.test       192.0.2.1 tls=TLS[^ ]* sni=good.hosts.test
		plain-good.dom.test      192.0.2.1 tls=TLS[^ ]* sni=-
		plain-ca.dom.test        192.0.2.2 tls=TLS[^ ]* sni=-
		plain-name.dom.test      192.0.2.3 tls=TLS[^ ]* sni=-
		plain-bare.dom.test      192.0.2.4 tls=-
		plain-half-ca.dom.test   192.0.2.2 tls=TLS[^ ]* sni=-
		plain-half-name.dom.test 192.0.2.3 tls=TLS[^ ]* sni=-
		plain-half-bare.dom.test 192.0.2.4 tls=-
	END
}

connections_are_kept() {
	local address
	for address in 192.0.2.{1,2,4}; do
		log_has "$MAIL_LOG" "\\[$address\\]:25, conn_use=.*status=sent" || return 1
	done
}

# Four domains, and the plain ones beside them on kept connections.
assert_changing() { # COMING CLEAR MOVING GOING
	mark
	for _ in {1..8}; do
		assert_outcomes <<-END
			coming.dom.test        $1
			plain-ca.dom.test      192.0.2.2 tls=TLS[^ ]* sni=-
			clear.dom.test         $2
			plain-bare.dom.test    192.0.2.4 tls=-
			moving.dom.test        $3
			plain-half-ca.dom.test 192.0.2.2 tls=TLS[^ ]* sni=-
			going.dom.test         $4
			plain-good.dom.test    192.0.2.1 tls=TLS[^ ]* sni=-
		END
		[[ $REUSE == yes ]] || return 0
		! connections_are_kept || return 0
	done
	fail 'no connection was used again'
}

assert_policies_change() {
	local bad='192.0.2.2 tls=TLS[^ ]* sni=-' open='192.0.2.1 tls=TLS[^ ]* sni=-' \
		verified='192.0.2.1 tls=TLS[^ ]* sni=good.hosts.test' clear='192.0.2.4 tls=-' \
		unverified='Server certificate not' none='TLS is required, but was not offered' \
		other='No MX host of domain going.dom.test is in its MTA-STS policy' enforced
	policies
	assert_changing "$bad" "$clear" "$bad" "$open"
	mapfile -t enforced < <(printf '%s.dom.test enforce 1 10 3600 *.hosts.test\n' \
		coming clear moving going)
	policies "${enforced[@]}"
	assert_changing "$unverified" "$none" "$verified" "$verified"
	policies "${enforced[@]:0:3}" 'going.dom.test enforce 2 10 3600 mx.other.test'
	assert_changing "$unverified" "$none" "$verified" "$other"
	policies "${enforced[@]:0:2}" 'moving.dom.test testing 2 10 3600 *.hosts.test' \
		"${enforced[3]}"
	assert_changing "$unverified" "$none" "$bad" "$verified"
	policies
	assert_changing "$bad" "$clear" "$bad" "$open"
}

on_new_connections() { # VERSION
	REUSE=no
	policies
	start_tls_postfix "$1" "transport_maps = $M" "smtp_tls_policy_maps = $T" \
		'smtp_connection_cache_destinations ='
	assert_hosts
	assert_policies_change
}

on_kept_connections() { # VERSION
	REUSE=yes
	policies
	start_tls_postfix "$1" "transport_maps = $M" "smtp_tls_policy_maps = $T" \
		'smtp_tls_connection_reuse = yes' 'smtp_connection_cache_time_limit = 60s' \
		'smtp_connection_cache_destinations = static:all'
	assert_hosts
	assert_hosts
	assert_policies_change
}

case_debian_12() { on_new_connections 3.7; }
case_debian_12_keeps_connections() { on_kept_connections 3.7; }

case_debian_13() {
	use_release trixie
	on_new_connections 3.10
}
case_debian_13_keeps_connections() {
	use_release trixie
	on_kept_connections 3.10
}

case_debian_sid() {
	use_release sid
	on_new_connections 3.11
}
case_debian_sid_keeps_connections() {
	use_release sid
	on_kept_connections 3.11
}
