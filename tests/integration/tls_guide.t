# shellcheck shell=bash disable=SC2016
# docs/tls.md, done as it is written. What only a real machine has is stood in
# for: systemctl (the unit's command, as the unit's user) and journalctl.

# shellcheck source=tests/integration/ldap.sh
. "$ROOT/tests/integration/ldap.sh"
# shellcheck source=tests/integration/tls.sh
. "$ROOT/tests/integration/tls.sh"
# shellcheck source=tests/integration/guide.sh
. "$ROOT/tests/integration/guide.sh"

setup() {
	tls_certificate mx mx1.example.org mx2.example.org mx.example.com
	zone example.org <<-END
		@         MX 10 mx1
		@         MX 20 mx2
		@         MX 30 old
		mx1       A 192.0.2.1
		mx2       A 192.0.2.2
		old       A 192.0.2.3
		_mta-sts  TXT "v=STSv1; id=20261129T1;"
		mta-sts   A $STS_ADDRESS
	END
	zone example.com <<-END
		@   MX 10 mx
		mx  A 192.0.2.4
		$(tlsa mx mx)
	END
	zone example.net <<-'END'
		@   MX 10 mx
		mx  A 192.0.2.5
	END
	sign_zone example.com
	start_signed_dns
	start_receiver 192.0.2.1 mx
	policy_with mx1.example.org mx2.example.org
	start_sts_web
	cat "$CA" >>/etc/ssl/certs/ca-certificates.crt
	configure_postfix
	machine_with 3.7
}

# As README.md and Debian's postinst leave it.
machine_with() { # VERSION
	make -s -C "$ROOT" install >&2
	sed -i -E '/^mxhop(-tls)?:/d' /etc/passwd /etc/group
	start_postfix 'transport_maps = mxhop:/etc/mxhop/mxhop.cf' \
		'smtp_tls_CApath = /etc/ssl/certs' 'smtp_tls_security_level = may'
	assert_match "$(postconf -h mail_version)" "^$1\\." release
}

policy_with() { # HOST...
	printf '%s\n' 'version: STSv1' 'mode: enforce' "${@/#/mx: }" 'max_age: 604800' |
		sts_policy example.org
}

# --- what stands in ---

service_listens() { grep -q '@mxhop-tls:' /proc/net/unix; }

systemctl() { # VERB UNIT
	case $* in
	daemon-reload) ;;
	'enable --now mxhop-tls' | 'start mxhop-tls')
		start_unit mxhop-tls.service
		eventually 10 service_listens ||
			fail "mxhop-tls: $(<"$SCRATCH/mxhop-tls.service.log")"
		;;
	'disable --now mxhop-tls' | 'stop mxhop-tls') stop mxhop-tls.service ;;
	*) fail "systemctl $*" ;;
	esac
}

# Who types waits until the message is on its way.
journalctl() {
	assert_eq "$*" '-o cat -t postfix/smtp'
	wait_for_log 'postfix/smtp.*status=' 30
	maillog | sed -nE 's|^.* postfix/smtp\[[0-9]+\]: ||p'
}

# Who types waits until it is done.
postfix() { # VERB
	local before
	before=$(reload_count)
	cool_main_cf
	command postfix "$@" 2>>"$SCRATCH/postfix-command.log"
	[[ $1 != reload ]] || eventually 10 reloaded "$before"
}

meanwhile() { # TEXT
	case $1 in
	*'the reason is in the queue:') policy_with '*.mail.example.net' ;;
	*'The domain has mended it:') policy_with mx1.example.org mx2.example.org ;;
	esac
}

case_the_guide_works_as_written() { guide_works docs/tls.md; }

case_and_on_debian_13() {
	use_release trixie
	configure_postfix
	machine_with 3.10
	guide_works docs/tls.md
}
