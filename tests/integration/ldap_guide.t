# shellcheck shell=bash disable=SC2016
# docs/ldap-guide.md, done as it is written. What only a real machine has is
# stood in for: apt and debconf (what slapd's maintainer scripts would do),
# systemctl (the units' commands, as the units' users), and a terminal to type
# the administrator's password at.

# shellcheck source=tests/integration/ldap.sh
. "$ROOT/tests/integration/ldap.sh"

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
	sed -i '/^mxhop:/d' /etc/passwd /etc/group
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

# --- the guide ---

# Without empty lines, numbers of users that are another machine's, and ids.
same_ids() { sed -E '/^$/d; s/\b([GU]ID) [0-9]+/\1 N/g; s/\(id [0-9a-f]{8}\)/(id N)/'; }

# Runs COMMAND in this shell, so that `cd` lasts, and compares what it prints.
type_in() { # COMMAND EXPECTED
	local output status=0
	set +o pipefail # as in a shell that somebody types at
	eval "${1/ -W / -w $PASSWORD }" >"$SCRATCH/typed" 2>&1 || status=$?
	set -o pipefail
	output=$(same_ids <"$SCRATCH/typed")
	[[ $output == "$(same_ids <<<"$2")" ]] ||
		fail "# $1"$'\n'"printed:"$'\n'"$output"$'\n'"expected:"$'\n'"$2"
	[[ $status -eq 0 ]] || fail "# $1: status $status"
}

session() { # LINE...
	local command='' expected='' line
	for line; do
		if [[ $line == '# '* ]]; then
			[[ ! $command ]] || type_in "$command" "$expected"
			command=${line#'# '} expected=''
		else
			expected+=${expected:+$'\n'}$line
		fi
	done
	type_in "$command" "$expected"
}

# A block is a session, or what to write into the file named just before.
block() { # TEXT-BEFORE LINE...
	local before=$1
	shift
	if [[ $1 == '# '* ]]; then
		session "$@"
	else
		assert_match "$before" '`([^`]+)`:$' "text before $1"
		printf '%s\n' "$@" >"${BASH_REMATCH[1]}"
	fi
}

case_the_guide_works_as_written() {
	local line text='' lines=() sessions=0
	mapfile -t guide < <(cat "$ROOT/docs/ldap-guide.md" && echo end)
	cd "$SCRATCH" || exit
	for line in "${guide[@]}"; do
		if [[ $line == '    '* ]]; then
			lines+=("${line#    }")
			continue
		fi
		if [[ ${#lines[@]} -gt 0 && $line ]]; then
			block "$text" "${lines[@]}"
			lines=() text='' sessions=$((sessions + 1))
		fi
		[[ ! $line ]] || text=$line
	done
	assert_eq "$sessions" "$(grep -c '^$' <(sed -n '/^    /,/^$/p' "$ROOT/docs/ldap-guide.md"))" blocks
}
