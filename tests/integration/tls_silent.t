# shellcheck shell=bash disable=SC2016
# A hundred strangers whose policy web servers take connections and say nothing,
# and mail to all of them at once, on a real Postfix with Debian's limits: nobody
# else notices, and each of them is waited for once.

# shellcheck source=tests/integration/tls.sh
. "$ROOT/tests/integration/tls.sh"

SILENT=192.0.2.81
GOOD=(good{1..16}) # with a policy, never seen

setup() {
	local domain webs=("${GOOD[@]/#/mta-sts.}")
	tls_certificate good good.hosts.test
	tls_certificate web "${webs[@]/%/.dom.test}"
	printf '%s\n' 'good A 192.0.2.1' 'bad A 192.0.2.2' | zone hosts.test
	{
		for domain in "${GOOD[@]}"; do
			printf '%s\n' "_mta-sts.$domain TXT \"v=STSv1; id=1;\"" \
				"mta-sts.$domain A $STS_ADDRESS" "$domain MX 10 good.hosts.test."
		done
		printf 'plain%d MX 10 bad.hosts.test.\n' 1 2
	} | zone dom.test
	printf '%s\n' '* MX 10 bad.hosts.test.' "* A $SILENT" \
		'* TXT "v=STSv1; id=1;"' | zone silent.test
	start_dns
	start_receiver 192.0.2.1 good
	start_receiver 192.0.2.2 -
	start_silent_web
	use_mxhop_plugin <<-END
		mta_sts = enforce
		tls_ca_file = $CA
	END
	cp "$MXHOP_BUILD/bin/mxhop-tls" /usr/sbin/
	for domain in "${GOOD[@]}"; do
		printf '%s\n' 'version: STSv1' 'mode: enforce' 'mx: good.hosts.test' \
			'max_age: 86400' | sts_policy "$domain.dom.test" web
	done
	start_sts_web
	install -d -o mxhop-tls -g mxhop-tls -m 0755 "$STORE"
	start_mxhop_tls
	start_tls_postfix 3.7 "transport_maps = $M" "smtp_tls_policy_maps = $T"
}

start_silent_web() {
	spawn silent-web python3 -c '
import socket, sys
l = socket.create_server((sys.argv[1], 443), backlog=1000)
kept = []
while True:
    kept.append(l.accept()[0])
    print("connection", flush=True)' $SILENT
	eventually 10 smtp_listening $SILENT 443 || fail 'no silent web server'
}

sent() { maillog | grep -c "to=<[^>]*@[^>]*$1>, .*status=sent" || true; } # DOMAIN

# How long the message to any@... took, in whole seconds.
delay() { # DOMAIN
	maillog | sed -nE "s/.*to=<any@$1>.* delay=([0-9]+).*/\1/p"
}

assert_verified() { # DOMAIN...
	local domain
	for domain; do
		wait_for_log "to=<any@$domain>, .*status=sent" 20
		assert_match "$(received "any@$domain")" '^192.0.2.1 tls=TLS[^ ]* sni=good' "$domain"
		[[ $(delay "$domain") -le 4 ]] || fail "$domain: $(delay "$domain") s"
	done
}

case_mail_that_comes_after_strangers() {
	local i new=("${GOOD[@]:0:8}")
	for i in "${new[@]}"; do sts_fault "$i.dom.test" 'slow 1.2'; done
	for i in {1..5}; do
		# shellcheck disable=SC2046
		send_mail alice@mta.mxhop.test $(printf "m$i@s%d.silent.test " {1..100})
	done
	eventually 30 some_are_sent 100 || fail "$(tail "$SCRATCH/mxhop-tls.log")"
	for i in "${new[@]}" plain1; do
		send_mail alice@mta.mxhop.test "any@$i.dom.test"
	done
	[[ $(sent silent.test) -lt 500 ]] || fail 'no stranger is waited for any more'
	wait_for_log "to=<any@plain1.dom.test>, .*status=sent" 20
	echo "plain: $(delay plain1.dom.test) s, and $(sent silent.test) of 500 for strangers"
	[[ $(delay plain1.dom.test) -le 3 ]] || fail "plain: $(delay plain1.dom.test) s"
	assert_verified "${new[@]/%/.dom.test}"
}

some_are_sent() { [[ $(sent silent.test) -ge $1 ]]; } # N

# In one message, before and behind them.
case_mail_that_comes_with_strangers() {
	local i to=() new=("${GOOD[@]:8:8}")
	for i in "${new[@]}"; do sts_fault "$i.dom.test" 'slow 0.7'; done
	for i in {1..100}; do
		to+=("any@t$i.silent.test")
		[[ $((i % 12)) -ne 0 ]] || to+=("any@${new[$((i / 12 - 1))]}.dom.test")
	done
	send_mail alice@mta.mxhop.test "${to[@]}"
	send_mail alice@mta.mxhop.test any@plain2.dom.test
	wait_for_log "to=<any@plain2.dom.test>, .*status=sent" 20
	echo "plain: $(delay plain2.dom.test) s, and $(sent silent.test) of 100 for strangers"
	assert_verified "${new[@]/%/.dom.test}"
}
