# shellcheck shell=bash disable=SC2016
# A fleet: two directories in multi-provider replication, two mail hosts that
# follow them, each a machine of its own; d1 and m1 on one switch, d2 and m2 on
# another, a cable between. docs/fleet.md describes it, and is followed here, with
# the files of contrib/ldap.

# shellcheck source=tests/integration/ldap.sh
. "$ROOT/tests/integration/ldap.sh"
# shellcheck source=tests/integration/hosts.sh
. "$ROOT/tests/integration/hosts.sh"

MTAS='m1 m2'

setup() {
	local m
	configure_postfix
	postconf -e "transport_maps = $M"
	make -s -C "$ROOT" install >&2
	make_switch left
	make_switch right
	connect_switches left right
	make_host d1 left 10.9.0.1
	make_host d2 right 10.9.0.2
	make_host m1 left 10.9.0.11
	make_host m2 right 10.9.0.12
	make_directories
	start_mta m1 ldap://d1.mxhop.test ldap://d2.mxhop.test
	start_mta m2 ldap://d2.mxhop.test ldap://d1.mxhop.test
	for m in $MTAS; do
		eventually 20 route_is "$m" start ':[192.0.2.1]' || fail "$m has no route"
	done
}

# A file of contrib/ldap with the names that an administrator has put into it.
shipped() { # FILE
	sed "s/dc=example,dc=net/$SUFFIX/; s/ldap\([12]\)\.example\.net/d\1.mxhop.test/" \
		"$ROOT/contrib/ldap/$1"
}

# docs/fleet.md, step by step.
make_directories() {
	local d
	printf '%s\n' '10.9.0.1 d1.mxhop.test' '10.9.0.2 d2.mxhop.test' >>/etc/hosts
	for d in d1 d2; do
		on $d install_slapd ldap ldap://$d.mxhop.test
	done
	for d in d1 d2; do
		on $d ldap_as_root ldapadd ldap <"$ROOT/contrib/ldap/mxhop.ldif"
		shipped provider.ldif | on $d ldap_as_root ldapmodify ldap
	done
	on d2 empty_slapd ldap
	for d in d1 d2; do
		ldap_certificate $d
		server_certificate $d | on $d ldap_as_root ldapmodify ldap
		shipped multi-provider.ldif | on $d ldap_as_root ldapmodify ldap
	done
	shipped tree.ldif | on d1 ldap_as_admin ldapadd ldap
	shipped replicator.ldif | on d1 ldap_as_admin ldapadd ldap
	on d1 ldap_as_admin ldappasswd ldap -s secret "cn=replicator,$SUFFIX"
	on d1 ldap_as_admin ldappasswd ldap -s "$READER_PW" "$READER"
	bulk_overrides 1 600 | on d1 ldap_add ldap # more than slapd gives to anybody
	change d1 add start '[192.0.2.1]'
	eventually 20 holds d2 start || fail "not replicated: $(tail -n 20 "$SCRATCH/d2/ldap.log")"
}

holds() { # HOST NAME
	on "$1" ldap_as_admin ldapsearch ldap -LLL -s base -b "cn=$2,$BASE" 1.1 \
		>/dev/null 2>&1
}

server_certificate() { # NAME
	printf '%s\n' 'dn: cn=config' 'changetype: modify' \
		'add: olcTLSCACertificateFile' "olcTLSCACertificateFile: $CA" - \
		'add: olcTLSCertificateFile' "olcTLSCertificateFile: $SCRATCH/$1.pem" - \
		'add: olcTLSCertificateKeyFile' "olcTLSCertificateKeyFile: $SCRATCH/$1.key"
}

# Postfix, a place to deliver to, and mxhop following these servers.
start_mta() { # HOST URI...
	local host=$1
	shift
	on "$host" ip addr add 192.0.2.1/32 dev lo
	on "$host" ip addr add 192.0.2.2/32 dev lo
	on "$host" install -o mxhop -m 0400 /dev/stdin /etc/mxhop/ldap.secret <<<"$READER_PW"
	on "$host" tee /etc/mxhop/mxhop.cf >/dev/null <<-END
		overrides = ldap
		ldap_server_host = $*
		ldap_start_tls = yes
		ldap_tls_ca_cert_file = $CA
		ldap_search_base = $BASE
		ldap_bind = simple
		ldap_bind_dn = $READER
		ldap_bind_pw_file = /etc/mxhop/ldap.secret
		ldap_network_timeout = 1s
		ldap_timeout = 2s
	END
	on "$host" systemd-tmpfiles --create mxhop.conf
	on "$host" start_unit mxhop-follow.service
	on "$host" start_postfix
	on "$host" start_sink 192.0.2.1
	on "$host" start_sink 192.0.2.2
}

# The override of NAME.fleet.test, at the directory on HOST.
change() { # HOST add|set NAME HOP
	case $2 in
	add) on "$1" ldap_add ldap < <(override "$3" "$3.fleet.test" "$4") ;;
	set)
		eventually 20 holds "$1" "$3" || fail "$3: not at $1"
		on "$1" ldap_set ldap "$3" mxhopHop "$4"
		;;
	esac
}

route() { on "$1" timeout 5 postmap -q "$2.fleet.test" $M || true; } # HOST NAME
route_is() { [[ $(route "$1" "$2") == "$3" ]]; }                     # HOST NAME LIST

# Not only a command's answer: a message of a Postfix that runs goes there.
assert_routed() { # HOST NAME ADDRESS
	eventually 15 route_is "$1" "$2" ":[$3]" ||
		fail "$1: $2: $(route "$1" "$2"), expected $3"
	sleep 1.1 # a daemon that has the set before looks once a second
	on "$1" send_mail alice@mta.mxhop.test "at-${3##*.}@$2.fleet.test"
	on "$1" wait_for_log "to=<at-${3##*.}@$2.fleet.test>, relay=$3.*status=sent"
}

assert_routed_everywhere() { # NAME ADDRESS
	local m
	for m in $MTAS; do
		assert_routed "$m" "$@"
	done
}

case_a_change_at_either_reaches_both() {
	change d1 add one '[192.0.2.1]'
	assert_routed_everywhere one 192.0.2.1
	change d2 set one '[192.0.2.2]'
	assert_routed_everywhere one 192.0.2.2
}

case_the_first_dies() {
	on d1 stop ldap
	change d2 add two '[192.0.2.1]'
	assert_routed_everywhere two 192.0.2.1
	on d1 restart_slapd ldap
	change d1 set two '[192.0.2.2]'
	assert_routed_everywhere two 192.0.2.2
}

case_the_second_dies() {
	on d2 stop ldap
	change d1 add three '[192.0.2.1]'
	assert_routed_everywhere three 192.0.2.1
	on d2 restart_slapd ldap
	change d2 set three '[192.0.2.2]'
	assert_routed_everywhere three 192.0.2.2
}

case_both_die() {
	local m
	on d1 stop ldap
	on d2 stop ldap
	assert_routed_everywhere three 192.0.2.2
	for m in $MTAS; do
		on "$m" stop mxhop-follow.service
		on "$m" start_unit mxhop-follow.service
	done
	assert_routed_everywhere two 192.0.2.2
	on d1 restart_slapd ldap
	on d2 restart_slapd ldap
	change d1 add four '[192.0.2.1]'
	assert_routed_everywhere four 192.0.2.1
}

# Each side goes on by itself; what it changed is on both sides afterwards, and
# of what both changed the later change.
case_a_healed_partition_converges() {
	change d1 add both '[192.0.2.9]'
	eventually 15 route_is m2 both ':[192.0.2.9]' || fail "not at m2"
	unplug c-left
	change d1 add left '[192.0.2.1]'
	change d2 add right '[192.0.2.1]'
	change d1 set both '[192.0.2.1]'
	assert_routed m1 left 192.0.2.1
	assert_routed m1 both 192.0.2.1
	assert_routed m2 right 192.0.2.1
	change d2 set both '[192.0.2.2]'
	assert_routed m2 both 192.0.2.2
	assert_eq "$(route m1 right)" ''
	assert_eq "$(route m2 left)" ''
	plug c-left left
	assert_routed_everywhere both 192.0.2.2
	assert_routed_everywhere left 192.0.2.1
	assert_routed_everywhere right 192.0.2.1
	assert_eq "$(on m1 mxhop overrides export)" "$(on m2 mxhop overrides export)"
}
