# shellcheck shell=bash
# docs/fleet.md, "Setting it up": two of Debian's slapds and the files of
# contrib/ldap. What happens to them afterwards is in ldap_fleet.t.

# shellcheck source=tests/integration/ldap.sh
. "$ROOT/tests/integration/ldap.sh"

SUFFIX=dc=example,dc=net
ADMIN=cn=admin,$SUFFIX
FILES=$SCRATCH/files

setup() {
	use_mxhop
	printf '%s\n' '127.0.0.1 localhost' '192.0.2.31 ldap1.mxhop.test' \
		'192.0.2.32 ldap2.mxhop.test' >/etc/hosts
	mkdir -p "$FILES"
	cp "$ROOT"/contrib/ldap/*.ldif "$FILES"
	sed -i 's/\(ldap[12]\)\.example\.net/\1.mxhop.test/; s/credentials=secret/credentials=twins/; s/retry="[^"]*"/retry="1 +"/' \
		"$FILES/multi-provider.ldif"
}

on_its_host() { # COMMAND N [OPTION...]: as root there
	local command=$1 n=$2
	shift 2
	"$command" -Q -Y EXTERNAL -H "$(ldapi_uri "ldap$n")" "$@" >/dev/null
}

run_directory() { # N
	spawn "ldap$1" slapd -d none -u openldap -g openldap -F "/etc/ldap/slapd$1.d" \
		-h "$(ldapi_uri "ldap$1") ldap://ldap$1.mxhop.test"
	eventually 10 slapd_answers "ldap$1" || fail "slapd: $(<"$SCRATCH/ldap$1.log")"
}

# What slapd's maintainer scripts make, and the certificate.
new_directory() { # N
	local conf=/etc/ldap/slapd$1.d db=/var/lib/ldap$1 file
	install -d -o openldap -g openldap /run/slapd "$conf" "$db"
	sed "s/@SUFFIX@/$SUFFIX/; s/@PASSWORD@/$ADMIN_PW/; s,/var/lib/ldap,$db," \
		/usr/share/slapd/slapd.init.ldif | slapadd -n 0 -F "$conf"
	printf '%s\n' "dn: $SUFFIX" 'objectClass: dcObject' 'objectClass: organization' \
		'dc: example' 'o: example' | slapadd -n 1 -F "$conf"
	chown -R openldap:openldap "$conf" "$db"
	ldap_certificate "ldap$1"
	for file in "ldap$1.key" "ldap$1.pem" ca.pem; do
		install -o openldap -m 0400 "$SCRATCH/$file" "$conf.$file"
	done
	run_directory "$1"
	on_its_host ldapmodify "$1" <<-END
		dn: cn=config
		changetype: modify
		add: olcTLSCACertificateFile
		olcTLSCACertificateFile: $conf.ca.pem
		-
		add: olcTLSCertificateFile
		olcTLSCertificateFile: $conf.ldap$1.pem
		-
		add: olcTLSCertificateKeyFile
		olcTLSCertificateKeyFile: $conf.ldap$1.key
	END
	on_its_host ldapadd "$1" -f "$FILES/mxhop.ldif"
	on_its_host ldapmodify "$1" -f "$FILES/provider.ldif"
}

content() { # N
	slapcat -n 1 -F "/etc/ldap/slapd$1.d" | grep -E '^(dn|userPassword|mxhop[A-Za-z]+):'
}

same_content() { [[ $(content 1) == "$(content 2)" ]]; }

# The whole set at either of the two.
refresh_from() { # N
	rm -f /var/lib/mxhop/overrides*
	printf '%s\n' 'overrides = ldap' "ldap_server_host = ldap://ldap$1.mxhop.test" \
		'ldap_start_tls = yes' "ldap_tls_ca_cert_file = $CA" \
		"ldap_search_base = ou=mxhop,$SUFFIX" 'ldap_bind = simple' \
		"ldap_bind_dn = cn=mxhop-reader,$SUFFIX" \
		'ldap_bind_pw_file = /etc/mxhop/ldap.secret' >/etc/mxhop/mxhop.cf
	assert_status 0 mxhop refresh
}

case_both_have_everything() {
	local n
	new_directory 1
	new_directory 2
	stop ldap2
	rm /var/lib/ldap2/*.mdb
	run_directory 2
	for n in 1 2; do
		on_its_host ldapmodify "$n" -f "$FILES/multi-provider.ldif"
	done
	ldap_as_admin ldapadd ldap1 -f "$FILES/tree.ldif"
	ldap_as_admin ldapadd ldap1 -f "$FILES/replicator.ldif"
	printf reader | install -m 0400 /dev/stdin /etc/mxhop/ldap.secret
	ldap_as_admin ldappasswd ldap1 -T /etc/mxhop/ldap.secret "cn=mxhop-reader,$SUFFIX"
	ldap_as_admin ldappasswd ldap1 -s twins "cn=replicator,$SUFFIX"
	on_its_host ldapadd 1 -f "$FILES/examples.ldif"
	eventually 40 same_content ||
		fail "$(diff <(content 1) <(content 2)) $(tail -n 5 "$SCRATCH"/ldap?.log)"
	assert_match "$(content 2)" 'mxhopKey: example.com'
	sed 's/example.com/second.example/' <<-'END' | on_its_host ldapadd 2
		dn: cn=example.com,ou=mxhop,dc=example,dc=net
		objectClass: mxhopOverride
		cn: example.com
		mxhopKey: example.com
		mxhopHop: [mx1.example.net]
	END
	eventually 40 same_content || fail "$(diff <(content 1) <(content 2))"
	for n in 1 2; do
		refresh_from $n
		assert_match "$OUTPUT" ': 9 entries, '
	done
}
