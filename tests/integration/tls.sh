# shellcheck shell=bash disable=SC2016
# tls.sh: words for cases about TLS: authorities and certificates, receivers with
# STARTTLS, signed zones, MTA-STS policies on a web server.
# A file.t reads it at its top: . "$ROOT/tests/integration/tls.sh"
#
# Receivers, zones and policies take the names of certificates that
# tls_certificate made: NAME stands for $SCRATCH/NAME.pem, the chain, and
# $SCRATCH/NAME.key.

CA=$SCRATCH/ca.pem        # an authority that everybody trusts
STS_ROOT=$SCRATCH/sts     # see tests/support/stsweb.py
ANCHORS=$SCRATCH/anchors  # of the signed zones
STS_ADDRESS=192.0.2.240   # of the web server
STORE=/var/lib/mxhop-tls
T=mxhop_tls:/etc/mxhop/mxhop.cf

# --- certificates ---

# $SCRATCH/NAME.pem and NAME.key; `ca' is made when it is needed.
tls_ca() { # NAME
	[[ ! -e $SCRATCH/$1.pem ]] || return 0
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 \
		-subj "/CN=authority $1" -addext basicConstraints=critical,CA:TRUE \
		-addext keyUsage=critical,keyCertSign \
		-keyout "$SCRATCH/$1.key" -out "$SCRATCH/$1.pem" 2>/dev/null
	: >"$SCRATCH/$1.index"
	printf '%s\n' '[ca]' 'default_ca = d' '[d]' "database = $SCRATCH/$1.index" \
		"new_certs_dir = $SCRATCH/tmp" 'default_md = sha256' 'policy = p' \
		'rand_serial = yes' 'unique_subject = no' '[p]' 'commonName = supplied' \
		'[x]' 'subjectAltName = ${ENV::SAN}' >"$SCRATCH/$1.conf"
}

# For the hosts, `*.x' among them. Options: by=CA, and from= and until= as in
# date -d: `until=1 hour ago' makes one that has expired.
tls_certificate() { # NAME HOST|OPTION...
	local name=$1 word san='' ca=ca from='2 days ago' until='5 days'
	shift
	for word; do
		case $word in
		by=*) ca=${word#*=} ;;
		from=*) from=${word#*=} ;;
		until=*) until=${word#*=} ;;
		*) san+=,DNS:$word ;;
		esac
	done
	tls_ca "$ca"
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-subj "/CN=certificate $name" -keyout "$SCRATCH/$name.key" \
		-out "$SCRATCH/$name.csr" 2>/dev/null
	SAN=${san#,} openssl ca -batch -config "$SCRATCH/$ca.conf" -extensions x -notext \
		-cert "$SCRATCH/$ca.pem" -keyfile "$SCRATCH/$ca.key" \
		-startdate "$(date -u -d "$from" +%Y%m%d%H%M%SZ)" \
		-enddate "$(date -u -d "$until" +%Y%m%d%H%M%SZ)" \
		-in "$SCRATCH/$name.csr" -out "$SCRATCH/$name.pem" 2>"$SCRATCH/ca.log" ||
		fail "certificate $name: $(<"$SCRATCH/ca.log")"
	cat "$SCRATCH/$ca.pem" >>"$SCRATCH/$name.pem"
}

# --- receivers ---

# An SMTP server on ADDRESS, port 25, with the certificate NAME, or - for one
# without STARTTLS; others for the hosts that are asked for by SNI.
start_receiver() { # ADDRESS NAME|- [HOST=NAME...]
	local address=$1 certificate=$2 at=$1 word words=()
	[[ $at != *:* ]] || at="[$at]"
	[[ $2 == - ]] || certificate=$SCRATCH/$2.pem
	shift 2
	for word; do
		words+=("${word%%=*}=$SCRATCH/${word#*=}.pem")
	done
	spawn "receiver-$address" python3 "$ROOT/tests/support/tlssmtp.py" \
		"$address" 25 "$certificate" ${words[@]+"${words[@]}"}
	eventually 10 smtp_listening "$at" ||
		fail "receiver-$address: $(tail -n 3 "$SCRATCH/receiver-$address.log")"
}

stop_receiver() { stop "${@/#/receiver-}"; } # ADDRESS...

# What came for RECIPIENT since the mark, a line a message, as `ADDRESS
# tls=VERSION sni=NAME'; with `-' for neither.
received() { # RECIPIENT
	local log
	for log in "$SCRATCH"/receiver-*.log; do
		log=${log##*/receiver-}
		since_mark "$SCRATCH/receiver-$log" |
			sed -nE "s/^message $1 (tls=.*) session=.*/${log%.log} \1/p"
	done
}

# A message to any@DOMAIN for each line of `DOMAIN EXPECTED'; EXPECTED is what
# received() prints, or the beginning of the reason for which it waits.
assert_outcomes() { # < LINES
	local domain expected lines
	lines=$(grep -v '^$')
	while read -r domain _; do
		send_mail alice@mta.mxhop.test "any@$domain"
	done <<<"$lines"
	while read -r domain expected; do
		case $expected in
		192.*)
			wait_for_log "to=<any@$domain>, .*status=sent" 30
			assert_match "$(received "any@$domain")" "$expected" "$domain"
			;;
		*) wait_for_log "to=<any@$domain>, .*status=deferred \\(.*$expected" 30 ;;
		esac
	done <<<"$lines"
	refute_log 'panic|fatal|status=bounced'
	purge
}

# In how many connections messages have come since the mark.
receiver_sessions() { # ADDRESS
	since_mark "$SCRATCH/receiver-$1.log" |
		sed -nE 's/^message .* session=//p' | sort -u | wc -l
}

# --- signed zones ---

# Signs a zone that zone() wrote, before start_signed_dns.
sign_zone() { # NAME
	local name=$1 key
	key=$(cd "$SCRATCH/tmp" && ldns-keygen -a ECDSAP256SHA256 -k "$name")
	cat "$SCRATCH/tmp/$key.key" >>"$ANCHORS"
	ldns-signzone -o "$name" -f "$SCRATCH/tmp/signed" "$SCRATCH/zones/$name" \
		"$SCRATCH/tmp/$key" || fail "zone $name is not signed"
	mv "$SCRATCH/tmp/signed" "$SCRATCH/zones/$name"
}

# Changes signed records with a command of sed(1): their signatures are bogus.
forge_zone() { # NAME COMMAND
	cp "$SCRATCH/zones/$1" "$SCRATCH/tmp/genuine"
	sed -E -i "$2" "$SCRATCH/zones/$1"
	! cmp -s "$SCRATCH/tmp/genuine" "$SCRATCH/zones/$1" || fail "$2 changes nothing"
}

# NSD, and Unbound as a resolver that validates.
start_signed_dns() { # [UNBOUND-SERVER-OPTION...]
	start_dns 'module-config: "validator iterator"' 'val-log-level: 2' \
		"trust-anchor-file: $ANCHORS" "$@"
}

# The TLSA record of a host for a certificate's key (3 1 1), or for that of its
# authority (2 1 1), the last of the chain.
tlsa() { # HOST NAME [USAGE]
	printf '_25._tcp.%s TLSA %s 1 1 %s\n' "$1" "${3:-3}" \
		"$(awk -v nth="$((4 - ${3:-3}))" '/BEGIN/ { n++ } n == nth' "$SCRATCH/$2.pem" |
			openssl x509 -noout -pubkey | openssl pkey -pubin -outform DER |
			sha256sum | cut -d ' ' -f 1)"
}

# The TLSA record of a host with the certificate itself (3 0 0), or its key
# (3 1 0).
whole_tlsa() { # HOST NAME SELECTOR
	printf '_25._tcp.%s TLSA 3 %s 0 ' "$1" "$3"
	if [[ $3 -eq 0 ]]; then
		openssl x509 -in "$SCRATCH/$2.pem" -outform DER
	else
		openssl x509 -in "$SCRATCH/$2.pem" -noout -pubkey |
			openssl pkey -pubin -outform DER
	fi | od -An -v -tx1 | tr -d ' \n'
	echo
}

# --- MTA-STS ---

# Records that say that these have a policy.
sts_txt() { printf '_mta-sts.%s TXT "v=STSv1; id=1;"\n' "$@"; } # NAME...

# The web server mta-sts.DOMAIN with a certificate of its own, or NAME; the
# caller's zone has the address and the TXT record.
sts_policy() { # DOMAIN [NAME] < POLICY
	local dir=$STS_ROOT/$1 certificate=${2:-mta-sts.$1}
	mkdir -p "$dir"
	[[ -e $SCRATCH/$certificate.pem ]] || tls_certificate "$certificate" "mta-sts.$1"
	cp "$SCRATCH/$certificate.key" "$dir/cert.key"
	cp "$SCRATCH/$certificate.pem" "$dir/cert.pem"
	sed 's/\r*$/\r/' >"$dir/policy.new"
	mv "$dir/policy.new" "$dir/policy"
}

# FAULT as tests/support/stsweb.py has them; none: all is well again.
sts_fault() { # DOMAIN [FAULT]
	rm -f "$STS_ROOT/$1/fault"
	[[ $# -eq 1 ]] || echo "$2" >"$STS_ROOT/$1/fault"
}

start_sts_web() { # [ADDRESS [PORT]]
	local address=${1:-$STS_ADDRESS} port=${2:-443}
	mkdir -p "$STS_ROOT"
	spawn sts-web python3 "$ROOT/tests/support/stsweb.py" "$address" "$port" "$STS_ROOT"
	eventually 10 smtp_listening "$address" "$port" ||
		fail "sts-web: $(tail -n 3 "$SCRATCH/sts-web.log")"
}

# How often DOMAIN's policy was asked for since the mark.
sts_requests() { # DOMAIN
	since_mark "$SCRATCH/sts-web.log" | grep -cE "^get $1 " || true
}

# --- mxhop ---

set_parameter() { # NAME [VALUE]: without a value it is as if never set
	sed -i "/^$1 =/d" /etc/mxhop/mxhop.cf
	[[ $# -eq 1 ]] || echo "$1 = $2" >>/etc/mxhop/mxhop.cf
}

start_mxhop_tls() {
	spawn mxhop-tls mxhop-tls
	eventually 10 grep -q '@mxhop-tls:' /proc/net/unix ||
		fail "mxhop-tls: $(tail "$SCRATCH/mxhop-tls.log")"
}

answer() { { mxhop lookup --format postfix "$1" || true; } | folded; } # DOMAIN
assert_answer() { assert_eq "$(answer "$1")" "$2" "$1"; }              # DOMAIN ANSWER
answers_with() { [[ $(answer "$1") == "$2" ]]; }                       # DOMAIN ANSWER

# --- Postfix ---

# A jailed smtp(8) that trusts $CA, and a tlsproxy(8), of Postfix VERSION.
start_tls_postfix() { # VERSION [NAME=VALUE...]
	local version=$1
	shift
	[[ -e /etc/postfix/main.cf ]] || configure_postfix
	postconf -F smtp/unix/chroot=y
	postconf -M tlsproxy/unix='tlsproxy unix - - y - 0 tlsproxy'
	cp -n /etc/postfix/dynamicmaps.cf.d/mxhop.cf \
		"$(postconf -h meta_directory)/dynamicmaps.cf.d/" 2>/dev/null || true
	start_postfix "smtp_tls_CAfile = $CA" 'smtp_tls_CApath =' \
		'smtp_tls_security_level = may' 'smtp_tls_loglevel = 1' "$@"
	assert_match "$(postconf -h mail_version)" "^$version\\." release
}

# With both of mxhop's tables, and DANE.
start_tls_mxhop() { # VERSION [NAME=VALUE...]
	start_tls_postfix "$1" "transport_maps = $M" "smtp_tls_policy_maps = $T" \
		'smtp_dns_support_level = dnssec' "${@:2}"
}
