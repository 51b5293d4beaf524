# shellcheck shell=bash disable=SC2016
# exim.sh: words for cases about Exim. To be sourced after lib.sh: a
# file.t that wants Exim begins with
#
#     . "$ROOT/tests/integration/exim.sh"
#
# Exim's packages are copied over the memory of the ground, Postfix's sendmail
# included; smtp-sink stays. The daemon is not needed: `exim -odf' delivers what
# it is given before it returns.

EXIM_LOG=/var/log/exim4/mainlog
EXIM_PANICLOG=/var/log/exim4/paniclog
EXIM_PLUGIN=/usr/local/lib/mxhop/exim-mxhop.so

# As Debian's postinst leaves it, but for the configuration.
use_exim() {
	local tree=${MXHOP_MTA:-$ROOT/build/mta}/exim
	[[ -e $tree/.complete ]] || fail "no $tree: run tests/support/deps.sh test"
	cp -a "$tree/usr/." /usr/
	cp -a "$tree/etc/." /etc/
	chown root:root /usr/sbin/exim4
	chmod 4755 /usr/sbin/exim4
	sed -i '/^Debian-exim:/d' /etc/passwd /etc/group
	echo 'Debian-exim:x:64300:' >>/etc/group
	echo 'Debian-exim:x:64300:64300::/var/spool/exim4:/usr/sbin/nologin' \
		>>/etc/passwd
	install -d -o Debian-exim -g Debian-exim -m 750 /var/spool/exim4 \
		/var/spool/exim4/{db,input,msglog}
	install -d -o Debian-exim -g adm -m 2750 /var/log/exim4
}

# Command, library and plugin where `make install' puts them, and the contents
# of contrib/exim where an administrator would.
use_mxhop_for_exim() { # < MXHOP.CF, after that of contrib/exim
	use_mxhop
	install -D -m 644 "$MXHOP_BUILD/plugins/exim-mxhop.so" "$EXIM_PLUGIN"
	cat "$ROOT/contrib/exim/mxhop.cf" - >/etc/mxhop/mxhop.cf
}

# A plain configuration: contrib/exim/plain.conf as it stands, and what it
# leaves to the administrator. `name = value' lines from stdin come first.
exim_conf() { # < MAIN-OPTIONS
	{
		printf '%s\n' 'primary_hostname = mta.mxhop.test' \
			'domainlist local_domains = mta.mxhop.test : localhost' \
			'exim_user = Debian-exim' 'exim_group = Debian-exim' \
			'trusted_users = root' 'acl_smtp_rcpt = acl_rcpt' \
			'acl_smtp_data =' 'keep_environment =' 'log_selector = +all' \
			'dns_dnssec_ok = 0' 'ignore_bounce_errors_after = 0s'
		cat
		cat "$ROOT/contrib/exim/plain.conf"
	} >/etc/exim4/exim4.conf
	chown root:Debian-exim /etc/exim4/exim4.conf
	chmod 640 /etc/exim4/exim4.conf
	: >>"$EXIM_LOG"
	chown Debian-exim:adm "$EXIM_LOG"
}

exim_bt() { # ADDRESS...
	exim -bt "$@" 2>&1 || true
}

# What an expansion gives, or the message of its failure. As root.
exim_be() { # EXPANSION
	exim -be "$1" 2>&1
}

dlfunc() { # FUNCTION DOMAIN [CONFIG [RECIPIENT]]
	local call="\${dlfunc{$EXIM_PLUGIN}{$1}" arg
	shift
	for arg; do call+="{$arg}"; done
	exim_be "$call}"
}

# The host list of a domain; empty where the router declines or defers.
list_of() { # DOMAIN
	dlfunc mxhop_route "$1" | sed '/^Failed: /d'
}

# Exim's log since the case began.
eximlog() { tail -c "+$((EXIM_LOG_FROM + 1))" "$EXIM_LOG"; }
exim_log_has() { eximlog | grep -E -- "$1" >/dev/null; }

assert_exim_log() { # REGEX
	exim_log_has "$1" || fail "not in Exim's log: $1: $(eximlog | tail -n 8)"
}

refute_exim_log() { # REGEX
	exim_log_has "$1" || return 0
	fail "in Exim's log: $1: $(eximlog | grep -E -- "$1")"
}

# No outcome may write to the panic log.
assert_no_panic() {
	[[ ! -s $EXIM_PANICLOG ]] || fail "panic log: $(head -n 3 "$EXIM_PANICLOG")"
}

exim_queue() { exim -bpc; }

exim_send() { # FROM TO... (delivered, or deferred, when it returns)
	local from=$1
	shift
	printf 'Subject: test\nTo: %s\n\ntest\n' "$1" |
		exim -odf -i -f "$from" -- "$@"
}

exim_purge() {
	rm -rf /var/spool/exim4/{input,msglog,db}/*
}

# What a case changes below /etc, the overrides and the queue are as `exim_keep'
# saw them when the next case begins: every case sources this file.
EXIM_KEPT=/run/exim-kept

exim_keep() {
	mkdir $EXIM_KEPT
	cp -a /etc/exim4 $EXIM_KEPT/exim4
	cp -a /etc/mxhop $EXIM_KEPT/etc-mxhop
	mkdir $EXIM_KEPT/lib
	cp -a /var/lib/mxhop* $EXIM_KEPT/lib/
}

exim_again() {
	cp -a $EXIM_KEPT/exim4/. /etc/exim4/
	rm -rf /etc/mxhop/* /run/mxhop/*
	cp -a $EXIM_KEPT/etc-mxhop/. /etc/mxhop/
	cp -a $EXIM_KEPT/lib/. /var/lib/
	exim_purge
	rm -f $EXIM_PANICLOG
}

[[ ! -e $EXIM_KEPT ]] || exim_again
EXIM_LOG_FROM=$(stat -c %s "$EXIM_LOG" 2>/dev/null || echo 0)
