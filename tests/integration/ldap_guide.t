# shellcheck shell=bash disable=SC2016
# docs/ldap-guide.md, done as it is written. What only a real machine has is
# stood in for: apt and debconf (what slapd's maintainer scripts would do),
# systemctl (the units' commands, as the units' users), and a terminal to type
# the administrator's password at.

# shellcheck source=tests/integration/ldap.sh
. "$ROOT/tests/integration/ldap.sh"
# shellcheck source=tests/integration/guide.sh
. "$ROOT/tests/integration/guide.sh"

PASSWORD='guide-secret'

setup() {
	zone example.org <<-'END'
		@    MX 10 mx1
		@    MX 20 mx2
		mx1  A 192.0.2.1
		mx2  A 192.0.2.2
	END
	zone example.net <<<'gateway A 192.0.2.10'
	start_dns
	configure_postfix
	make -s -C "$ROOT" install >&2
	sed -i -E '/^mxhop(-tls)?:/d' /etc/passwd /etc/group
	start_postfix
}

# --- what stands in ---

apt() { assert_match "$*" '^install slapd ldap-utils$'; }

# The template that slapd's postinst fills in, and its first entry.
dpkg-reconfigure() { # slapd
	local suffix=dc=example,dc=net
	install -d -o openldap -g openldap /var/lib/ldap /etc/ldap/slapd.d /run/slapd
	sed "s/@SUFFIX@/$suffix/; s/@PASSWORD@/$PASSWORD/" \
		/usr/share/slapd/slapd.init.ldif | slapadd -n 0 -F /etc/ldap/slapd.d
	printf '%s\n' "dn: $suffix" 'objectClass: dcObject' 'objectClass: organization' \
		'dc: example' 'o: example' | slapadd -n 1 -F /etc/ldap/slapd.d
	chown -R openldap:openldap /var/lib/ldap /etc/ldap/slapd.d
	systemctl start "$1"
}

system_slapd_answers() {
	ldapsearch -x -H ldapi:/// -s base -b '' 1.1 >/dev/null 2>&1
}

systemctl() { # VERB UNIT
	case $* in
	daemon-reload) ;;
	'start slapd')
		spawn slapd slapd -h 'ldap:/// ldapi:///' -u openldap -g openldap \
			-F /etc/ldap/slapd.d -d none
		eventually 10 system_slapd_answers || fail "slapd: $(<"$SCRATCH/slapd.log")"
		;;
	'stop slapd') stop slapd ;;
	'enable --now mxhop-follow')
		start_unit mxhop-follow.service
		eventually 10 test -s /var/lib/mxhop/overrides ||
			fail "no table: $(<"$SCRATCH/mxhop-follow.service.log")"
		;;
	*) fail "systemctl $*" ;;
	esac
}

typed_as() { printf '%s\n' "${1/ -W / -w $PASSWORD }"; } # COMMAND

case_the_guide_works_as_written() { guide_works docs/ldap-guide.md; }
