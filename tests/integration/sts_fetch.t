# shellcheck shell=bash disable=SC2016
# mxhop-tls: what it fetches from real name servers and a real HTTPS server, what
# it refuses, and what is in the store then.

STORE=/var/lib/mxhop-tls
WEB=192.0.2.80 WEB6=2001:db8::80

# Names of policy hosts, all in one certificate.
DOMAINS=(good split cname longtxt redirect notfound partial type notype big exact drip
	silent reset expired othername otherca private loopback mapped nat64 to4
	bogus refused
	noaddr broken addresses testing none change gone ends quick second six both
	mute)

# --- ground ---

# For each connection: what web/DOMAIN says, the first line how, the rest what.
web_server() {
	cat <<'END'
import os, socket, ssl, struct, sys, threading, time
root, address = sys.argv[1:3]
contexts = {}
for name in ("good", "expired", "othername", "otherca"):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(f"{root}/pki/{name}.pem", f"{root}/pki/{name}.key")
    contexts[name] = c

def behaviour(host):
    try:
        with open(f"{root}/web/{host}", newline="") as f:
            how, what = f.read().split("\n", 1)
            return how.split(), what
    except OSError:
        return ["404"], ""

def choose(sock, name, context):
    sock.asked = name or "-"
    how, _ = behaviour((name or "-").removeprefix("mta-sts."))
    sock.context = contexts.get(how[0], contexts["good"])

contexts["good"].sni_callback = choose

def answer(c, status, kind, body, extra=""):
    head = f"HTTP/1.1 {status} x\r\n"
    if kind:
        head += f"Content-Type: {kind}\r\n"
    c.sendall((head + extra + f"Content-Length: {len(body)}\r\n\r\n").encode() + body)

def serve(raw):
    try:
        c = contexts["good"].wrap_socket(raw, server_side=True)
        request = c.recv(4096).decode()
        host = c.asked.removeprefix("mta-sts.")
        how, what = behaviour(host)
        body = what.encode("latin-1")
        os.write(1, f"{c.asked} {request.splitlines()[0]}\n".encode()) # whole
        word = how[0]
        if word == "redirect":
            answer(c, 302, "text/plain", b"", "Location: https://mta-sts.good.test/.well-known/mta-sts.txt\r\n")
        elif word.isdigit():
            answer(c, word, "text/plain", body)
        elif word == "type":
            answer(c, 200, how[1] if len(how) > 1 else None, body)
        elif word == "size":
            answer(c, 200, "text/plain", body.ljust(int(how[1]), b"\n"))
        elif word == "silent":
            time.sleep(60)
        elif word == "drip":
            c.sendall(b"HTTP/1.1 200 x\r\nContent-Type: text/plain\r\n\r\n")
            for octet in body:
                c.sendall(bytes([octet]))
                time.sleep(1)
        elif word == "reset":
            raw = c.detach()
            s = socket.socket(fileno=raw)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
            return
        else:
            answer(c, 200, "text/plain; charset=utf-8", body)
        c.close()
    except Exception as e:
        print("fault:", e, flush=True)

l = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
l.bind((address, 443))
l.listen(512)
while True:
    raw, _ = l.accept()
    threading.Thread(target=serve, args=(raw,), daemon=True).start()
END
}

# A key and a certificate, signed by CA, for names.
certificate() { # NAME CA SUBJECT-ALT-NAMES [COMMAND-BEFORE-OPENSSL...]
	local name=$1 ca=$2 names=$3
	shift 3
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" \
		-keyout "$name.key" -out "$name.csr" 2>/dev/null
	"$@" openssl x509 -req -in "$name.csr" -CA "$ca.pem" -CAkey "$ca.key" -days "${days:-3650}" \
		-CAcreateserial -extfile <(echo "subjectAltName=$names") -out "$name.pem" 2>/dev/null
}

make_certificates() {
	local ca names
	mkdir -p "$SCRATCH/pki"
	cd "$SCRATCH/pki" || fail "no directory"
	for ca in ca strange-ca; do
		faketime -f -500d openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 5000 \
			-subj "/CN=$ca" -keyout $ca.key -out $ca.pem 2>/dev/null
	done
	names=$(printf 'DNS:mta-sts.%s.test,' "${DOMAINS[@]}" q{1..150}.quiet)DNS:web.test
	certificate good ca "$names" faketime -f -400d
	days=30 certificate expired ca "$names" faketime -f -90d
	certificate othername ca DNS:www.othername.test
	certificate otherca strange-ca "$names"
	cd "$ROOT" || fail "no directory"
	install -D -m 0644 "$SCRATCH/pki/ca.pem" /etc/mxhop/ca.pem
}

txt() { # DOMAIN ID
	printf '_mta-sts.%s TXT "v=STSv1; id=%s;"\n' "$1" "$2"
}

make_zone() { # [without TXT of DOMAIN]
	local d i
	{
		for d in "${DOMAINS[@]}"; do
			case $d in
			split) echo '_mta-sts.split TXT "v=STS" "v1; i" "d=1;"' ;;
			longtxt) printf '_mta-sts.longtxt TXT "v=STSv1; id=1; x=%s" "%s" ";"\n' \
				"$(printf 'x%.0s' {1..230})" "$(printf 'y%.0s' {1..250})" ;;
			cname) printf '%s\n' '_mta-sts.cname CNAME _sts.elsewhere' \
				'_sts.elsewhere TXT "v=STSv1; id=1"' ;;
			"${1-}") ;;
			*) txt "$d" 1 ;;
			esac
			case $d in
			private) echo "mta-sts.$d A 10.1.2.3" ;;
			loopback) echo "mta-sts.$d A 127.0.0.1" ;;
			mapped) echo "mta-sts.$d AAAA ::ffff:192.168.0.1" ;;
			nat64) echo "mta-sts.$d AAAA 64:ff9b::10.1.2.3" ;;
			to4) echo "mta-sts.$d AAAA 2002:7f00:1::1" ;;
			bogus) echo "mta-sts.$d A 203.0.113.7" ;;
			refused) echo "mta-sts.$d A 192.0.2.99" ;;
			six) echo "mta-sts.$d AAAA $WEB6" ;;
			both) printf "mta-sts.$d %s\n" 'AAAA 2001:db8::99' 'A 192.0.2.99' \
				"A $WEB" ;;
			mute) printf '%s\n' "mta-sts.$d NS ns.$d" "ns.$d A 192.0.2.53" ;;
			noaddr) echo "mta-sts.$d TXT none" ;;
			cname) printf '%s\n' 'mta-sts.cname CNAME web.elsewhere' \
				"web.elsewhere A $WEB" ;;
			*) echo "mta-sts.$d A $WEB" ;;
			esac
		done
		txt several 1
		txt several 2
		printf '%s\n' '_mta-sts.mixed TXT "v=spf1 -all"' \
			"mta-sts.mixed A $WEB" '_mta-sts.wrongver TXT "v=STSv2; id=1"' \
			'_mta-sts.badid TXT "v=STSv1; id=a-b"' 'plain MX 10 mx' 'mx A 192.0.2.1'
		for i in {1..150}; do
			txt "q$i.quiet" 1
			echo "mta-sts.q$i.quiet A $WEB"
		done
	} | zone test
}

policy() { # DOMAIN [HOW] [MODE] [MAX-AGE] [MORE-LINES]
	mkdir -p "$SCRATCH/web"
	printf '%s\nversion: STSv1\nmode: %s\nmx: mx.%s.test\nmx: *.pool.test\nmax_age: %s\n%b' \
		"${2:-good}" "${3:-enforce}" "$1" "${4:-604800}" "${5-}" >"$SCRATCH/web/$1.test"
}

setup() {
	local d
	use_mxhop
	cp "$MXHOP_BUILD/bin/mxhop-tls" /usr/sbin/
	make_certificates
	web_server >"$SCRATCH/web.py"
	for d in "${DOMAINS[@]}"; do policy "$d"; done
	policy redirect redirect
	policy notfound 404
	policy partial 206
	policy type 'type text/html'
	policy notype type
	policy big 'size 65537'
	policy exact 'size 65536'
	for d in drip silent reset expired othername otherca; do policy $d $d; done
	policy addresses good enforce 86400 'mx: 192.0.2.1\nmx: [2001:db8::1]\n'
	policy testing good testing
	policy none good none
	policy ends good enforce 600
	printf 'good\n<html>no policy</html>\n' >"$SCRATCH/web/broken.test"
	for d in {1..150}; do policy "q$d.quiet" silent; done
	make_zone
	start_dns
	spawn web python3 "$SCRATCH/web.py" "$SCRATCH" $WEB
	spawn web6 python3 "$SCRATCH/web.py" "$SCRATCH" $WEB6
	eventually 10 smtp_listening $WEB 443 || fail "no web server"
	eventually 10 smtp_listening "[$WEB6]" 443 || fail "no web server"
	configure
	install -d -o mxhop-tls -g mxhop-tls -m 0755 $STORE
}

configure() { # [LINE...]
	printf '%s\n' 'mta_sts = enforce' "tls_ca_file = ${ca:-/etc/mxhop/ca.pem}" \
		'bogus_networks = 203.0.113.0/24' "$@" >/etc/mxhop/mxhop.cf
}

listens() { grep -q "@mxhop-tls:" /proc/net/unix; }
listens_not() { ! listens; }

start_tls() {
	spawn tls mxhop-tls
	eventually 10 listens || fail "mxhop-tls: $(tail -n 3 "$SCRATCH/tls.log")"
}

stop_tls() {
	stop tls
	eventually 5 listens_not
}

fresh_store() {
	stop_tls
	rm -f $STORE/policies
}

tls() { mxhop tls "$@"; }

has() { # DOMAIN REGEX
	[[ $(mxhop tls get "$1" 2>&1) =~ $2 ]]
}

requests() { # DOMAIN
	since_mark "$SCRATCH/web.log" | grep -c "^mta-sts\.$1 " || true
}

# As a process of USER would, from any jail.
want() { # USER KIND DOMAIN...
	local user=$1
	shift
	setpriv --reuid "$user" --regid "$user" --clear-groups python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for d in sys.argv[2:]:
    s.sendto((sys.argv[1] + d).encode(), "\0mxhop-tls:/var/lib/mxhop-tls")
' "$@"
}

seconds() { date -d "$1" +%s; }
field() { # DOMAIN NAME
	mxhop tls get --format json "$1" | python3 -c '
import json, sys
d = json.load(sys.stdin)
print((d["policy"] or {}).get(sys.argv[1], d.get(sys.argv[1])))' "$2"
}

# --- cases ---

case_a_policy_is_fetched() {
	start_tls
	assert_status 0 tls fetch good.test
	assert_match "$OUTPUT" '^good.test enforce, id 1, until 20'
	assert_eq "$(stat -c '%U %a' $STORE/policies)" 'mxhop-tls 644'
	assert_eq "$(since_mark "$SCRATCH/web.log")" \
		'mta-sts.good.test GET /.well-known/mta-sts.txt HTTP/1.1'
	assert_status 0 tls get good.test
	assert_match "$OUTPUT" $'policy 1, mode enforce, max_age 604800s\n  fetched .*: in force\n  mx mx.good.test\n  mx \*.pool.test\n  last try 20[^,]*\n  next try 20'
	assert_eq "$(field good.test in_force)" True
	assert_eq "$(field good.test mx)" "['mx.good.test', '*.pool.test']"
	assert_eq $(($(seconds "$(field good.test expires)") - \
		$(seconds "$(field good.test fetched)"))) 604800
	assert_match "$(cat "$SCRATCH/tls.log")" 'good.test: policy 1, mode enforce, 2 mx'
}

case_nobody_proxies_it() {
	rm -f $STORE/policies
	https_proxy=http://192.0.2.98:3128 ALL_PROXY=http://192.0.2.98:3128 \
		mxhop-tls --once good.test
	assert_status 0 tls get good.test
}

case_txt_records() {
	local domain
	start_tls
	for domain in split cname longtxt; do
		assert_status 0 tls fetch $domain.test
		assert_match "$OUTPUT" "^$domain.test enforce, id 1,"
	done
	while IFS=: read -r domain why; do
		assert_status 75 tls fetch "$domain.test"
		assert_match "$OUTPUT" "^$domain.test without a policy: $why"
	done <<-'END'
		several:there is not exactly one TXT record with a valid id
		mixed:there is not exactly one TXT record with a valid id
		wrongver:there is not exactly one TXT record with a valid id
		plain:there is no TXT record
		nothing:there is no TXT record
		badid:there is not exactly one TXT record with a valid id
	END
	assert_eq "$(requests 'several\|mixed\|wrongver\|plain\|badid')" 0
}

case_https_faults() {
	local domain why
	start_tls
	while IFS=: read -r domain why; do
		assert_status 75 tls fetch "$domain.test"
		assert_match "$OUTPUT" "^$domain.test without a policy: $why"
		log_has "$SCRATCH/tls.log" "^mxhop-tls: $domain.test: $why.*; it has no policy$"
		# Five minutes, then ten: nobody makes it knock earlier.
		assert_eq $(($(seconds "$(field "$domain.test" next_try)") - \
			$(seconds "$(field "$domain.test" last_try)"))) 300 "$domain"
	done <<-'END'
		redirect:the web server says 302
		notfound:the web server says 404
		partial:the web server says 206
		type:the policy is text/html; expected text/plain
		notype:the policy is of no type; expected text/plain
		big:the policy is longer than 65536 octets
		reset:.*(reset|SSL_read|Recv)
		expired:.*certificate has expired
		othername:.*(does not match|no alternative certificate subject name)
		otherca:.*(unable to get local issuer|self.signed certificate)
		private:10.1.2.3 is not a public address
		loopback:127.0.0.1 is not a public address
		mapped:::ffff:192.168.0.1 is not a public address
		nat64:64:ff9b::a01:203 is not a public address
		to4:2002:7f00:1::1 is not a public address
		bogus:203.0.113.7 is not a public address
		refused:the web server cannot be reached: Connection refused
		noaddr:the policy host has no address
		broken:the policy is not valid: a line is not
	END
	assert_status 75 tls fetch notfound.test
	assert_eq $(($(seconds "$(field notfound.test next_try)") - \
		$(seconds "$(field notfound.test last_try)"))) 600
	assert_eq "$(requests notfound.test)" 2
	want postfix u notfound.test
	sleep 1
	assert_eq "$(requests notfound.test)" 2
	assert_status 0 tls fetch exact.test
	assert_status 0 tls fetch addresses.test
	assert_eq "$(field addresses.test mx)" "['mx.addresses.test', '*.pool.test']"
	assert_status 0 tls fetch testing.test none.test
	assert_match "$OUTPUT" $'^testing.test testing, .*\nnone.test none,'
}

case_policy_hosts_of_both_families() {
	start_tls
	assert_status 0 tls fetch six.test both.test
	assert_match "$(cat "$SCRATCH/web6.log")" '^mta-sts.six.test GET'
	assert_eq "$(requests both.test)" 1
	# A name server that says nothing: it ends.
	assert_status 75 tls fetch mute.test
	assert_match "$OUTPUT" 'the addresses of the policy host cannot be looked up'
}

case_slow_servers_end_after_ten_seconds() {
	local domain from=$SECONDS
	start_tls
	want postfix u drip.test silent.test
	for domain in drip silent; do
		eventually 25 has $domain.test 'did not answer in time' ||
			fail "$domain: $(tls get $domain.test 2>&1)"
		assert_eq $(($(seconds "$(field $domain.test next_try)") - \
			$(seconds "$(field $domain.test last_try)"))) 300 "$domain"
	done
	[[ $((SECONDS - from)) -ge 9 ]] || fail 'not ten seconds'
}

case_lookups_ask_for_policies() {
	fresh_store
	start_tls
	want alice u second.test
	want alice f second.test
	want postfix f second.test # an administrator's word
	want postfix u quick.test
	eventually 10 has quick.test 'in force' || fail "$(tls get quick.test 2>&1)"
	assert_eq "$(requests second.test)" 0
	want postfix s quick.test second.test
	eventually 10 has second.test 'in force' || fail "$(tls get second.test 2>&1)"
	assert_eq "$(requests quick.test)" 1 # a moment ago
	want postfix x second.test
	sleep 0.5
	has second.test 'in force'
}

# Somebody waits for one domain while strangers' servers say nothing.
case_silent_servers_are_in_nobodys_way() {
	local i from
	fresh_store
	start_tls
	for i in {1..15}; do
		want postfix u $(seq -f 'q%g.quiet.test' $((i * 10 - 9)) $((i * 10)))
		sleep 0.05
	done
	from=$(now_ms)
	want postfix u quick.test
	eventually 9 has quick.test 'in force' || fail "$(tls get quick.test 2>&1)"
	assert_eq "$(tls list | grep -c quiet || true)" 0 'they are still waited for'
}

# As many as nobody waits for: strangers can make up more.
case_fetches_at_a_time_are_bounded() {
	fresh_store
	mark
	start_tls
	eventually 9 quiet_and_wanted 128 || fail "$(requests 'q[0-9]*.quiet.test')"
	sleep 1
	quiet_requests 128 || fail "$(requests 'q[0-9]*.quiet.test')"
	fresh_store
}
quiet_requests() { [[ $(requests 'q[0-9]*.quiet.test') -eq $1 ]]; } # NUMBER
quiet_and_wanted() { # NUMBER
	want postfix s $(seq -f 'q%g.quiet.test' 150) # some get lost
	quiet_requests "$1"
}

# Strangers choose for which domains lookups are made; their name servers may be
# silent, too. Who waits for mail of its own does not come behind them all.
case_crowds_of_domains_are_in_nobodys_way() {
	fresh_store
	start_tls
	# shellcheck disable=SC2046
	want postfix s $(seq -f 'd%g.mta-sts.mute.test' 12000)
	eventually 10 log_has "$SCRATCH/tls.log" 'too many domains'
	want postfix u quick.test
	eventually 9 has quick.test 'in force' || fail "$(tls get quick.test 2>&1)"
}

# The store does not grow with what strangers make up.
case_domains_without_a_policy_give_way() {
	local n
	stop_tls
	compile_policies
	{
		seq -f 'd%g.test failed the web server is silent' 100000
		echo 'kept.test enforce 1 10 604800 mx.kept.test'
	} | "$SCRATCH/policies" $STORE
	start_tls
	# shellcheck disable=SC2046
	want postfix s $(seq -f 'n%g.test' 500)
	want postfix u quick.test
	eventually 20 has quick.test 'in force' || fail "$(tls get quick.test 2>&1)"
	eventually 20 has n500.test 'no TXT record'
	assert_status 0 tls get kept.test
	n=$(tls list | wc -l)
	[[ $n -gt 99000 && $n -le 100002 ]] || fail "$n domains"
	fresh_store
}

# With ten thousand domains in the store a new policy is in force within 2 s; a
# million is for `make bench-programs', if there are any, and may take a minute.
case_a_large_store_is_written_soon() {
	local from program=$MXHOP_BUILD/tests/bench/store-bench
	fresh_store
	mxhop-tls --once $(seq -f 'n%g.test' 10000) 2>/dev/null
	assert_eq "$(tls list | wc -l)" 10000
	start_tls
	sleep 0.5
	from=$(now_ms)
	want postfix u quick.test
	eventually 20 has quick.test 'in force' || fail 'not in force'
	from=$(($(now_ms) - from))
	echo "10,000: in force after $from ms" >&2
	[[ $from -lt 2000 ]] || fail "in force after $from ms"
	[[ -x $program && ${MXHOP_LONG:-} ]] || return 0
	stop_tls
	"$program" fill $STORE 1000000 example >&2
	start_tls
	from=$(now_ms)
	want postfix u quick.test
	eventually 60 has quick.test 'in force' || fail 'not in force'
	echo "a million: in force after $(($(now_ms) - from)) ms" >&2
	from=$(now_ms)
	want postfix u second.test
	eventually 60 has second.test 'in force' || fail 'not in force'
	echo "and the next after $(($(now_ms) - from)) ms" >&2
	grep -E 'VmHWM|VmRSS' "/proc/$(cat "$SCRATCH/pids/tls")/status" >&2
	fresh_store
}

case_forget() {
	start_tls
	tls fetch good.test second.test
	assert_status 0 tls forget good.test
	assert_status 1 tls get good.test
	assert_match "$OUTPUT" 'not in the TLS store'
	assert_status 0 tls get second.test
	assert_status 0 tls forget unknown.test
}

case_only_its_own_user_and_root_give_orders() {
	start_tls
	assert_status 77 setpriv --reuid alice --clear-groups mxhop tls fetch good.test
	assert_match "$OUTPUT" 'from root and from its own user only'
	assert_status 0 setpriv --reuid mxhop-tls --clear-groups mxhop tls fetch good.test
	assert_status 0 setpriv --reuid alice --clear-groups mxhop tls get good.test
	assert_status 1 setpriv --reuid postfix --clear-groups touch $STORE/policies
}

case_without_the_service() {
	stop_tls
	assert_status 69 tls fetch good.test
	assert_match "$OUTPUT" 'mxhop-tls does not listen .*mxhop-tls --once'
	fresh_store
	assert_status 74 tls list
	assert_status 0 mxhop-tls --once good.test notfound.test
	assert_eq "$(tls list | sort | sed 's/,.*//')" \
		$'good.test enforce\nnotfound.test without a policy: the web server says 404; expected 200'
	assert_eq "$(stat -c %U $STORE/policies)" mxhop-tls
}

case_a_second_service_does_not_start() {
	start_tls
	assert_status 74 mxhop-tls
	assert_match "$OUTPUT" 'another mxhop-tls is at work'
}

case_a_directory_that_is_moved_aside() {
	fresh_store
	start_tls
	assert_status 0 tls fetch good.test
	mark
	mv $STORE $STORE.old
	eventually 5 log_has "$SCRATCH/tls.log" "$STORE: No such file"
	sleep 2.5
	assert_eq "$(since_mark "$SCRATCH/tls.log" | wc -l)" 1
	install -d -o mxhop-tls -g mxhop-tls $STORE
	eventually 5 has good.test 'in force'
	assert_status 0 tls fetch second.test
	sleep 2.5
	assert_eq "$(since_mark "$SCRATCH/tls.log" | grep -c 'written anew')" 1
	rm -r $STORE.old
}

# Whoever is root talks to no stranger.
case_a_directory_of_root() {
	fresh_store
	chown root $STORE
	assert_status 78 mxhop-tls --once good.test
	assert_match "$OUTPUT" "$STORE: belongs to root.*.chown mxhop-tls $STORE"
	chown mxhop-tls $STORE
	# Nor does root become whoever somebody else chooses.
	chown mxhop /var/lib
	assert_status 71 mxhop-tls --once good.test
	assert_match "$OUTPUT" "cannot become the owner of $STORE: a directory above it is not root's alone"
	chown root /var/lib
	assert_eq "$(requests good.test)" 0
}

# The name of the socket is anybody's.
case_the_name_of_the_socket_is_taken() {
	fresh_store
	spawn thief setpriv --reuid alice --clear-groups python3 -c '
import socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("\0mxhop-tls:/var/lib/mxhop-tls")
time.sleep(600)'
	eventually 5 listens
	spawn tls mxhop-tls
	eventually 10 log_has "$SCRATCH/tls.log" 'what lookups ask for is not heard'
	alive tls || fail 'it has ended'
	stop thief
	eventually 5 log_has "$SCRATCH/tls.log" 'is ours now'
	assert_status 0 tls fetch quick.test
}

# Datagrams without sense, without end.
case_nonsense_without_end() {
	local i
	fresh_store
	start_tls
	for i in 1 2 3; do
		spawn "noise$i" setpriv --reuid alice --clear-groups python3 -c '
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect("\0mxhop-tls:/var/lib/mxhop-tls")
while True:
    s.send(b"s/")'
	done
	sleep 1
	assert_status 0 mxhop tls fetch quick.test
	for i in 1 2 3; do stop "noise$i"; done
}

# RFC 8461 wants the id to change; some forget it.
case_a_policy_that_changed_under_its_id() {
	policy change
	mxhop-tls --once change.test
	assert_eq "$(field change.test mode)" enforce
	policy change good testing
	mxhop-tls --once
	assert_eq "$(field change.test mode)" enforce 'not due yet'
	faketime -f +25h mxhop-tls --once
	assert_eq "$(field change.test mode)" testing
	assert_eq "$(field change.test id)" 1
	fresh_store
}

# At a random time, lest all come at once.
case_a_policy_is_fetched_again_within_a_day() {
	local domain s times=''
	fresh_store
	mxhop-tls --once {good,second,quick,change}.test
	for domain in good second quick change; do
		s=$(($(seconds "$(field $domain.test next_try)") - \
			$(seconds "$(field $domain.test last_try)")))
		[[ $s -ge 43200 && $s -le 86400 ]] || fail "$domain: after $s s"
		times+=$s$'\n'
	done
	[[ $(sort -u <<<"$times" | grep -c .) -gt 2 ]] || fail "$times"
	fresh_store
}

# A policy counts for a minute at least. Lookups have it fetched again when half
# of its life is over, and no sooner; nobody else does so before it ends.
case_short_policies() {
	stop_tls
	policy ends good enforce 0
	mxhop-tls --once ends.test
	assert_match "$(tls get ends.test)" 'max_age 60s'$'\n''.*: in force'
	policy ends good enforce 600
	compile_policies
	"$SCRATCH/policies" $STORE <<-'END'
		quick.test  enforce 1 40 20 mx.quick.test
		second.test enforce 1 20 40 mx.second.test
		good.test   enforce 1 40 80 mx.good.test
	END
	start_tls
	want postfix u quick.test second.test good.test quick.test
	eventually 5 has quick.test 'max_age 604800s' || fail "$(tls get quick.test)"
	want postfix u quick.test second.test good.test
	sleep 0.5
	assert_eq "$(requests '\(quick\|second\|good\).test')" 1
	fresh_store
}

case_a_policy_stays_until_it_ends() {
	mxhop-tls --once gone.test ends.test
	make_zone gone
	start_nsd
	dns_flush
	policy ends 404
	assert_status 0 mxhop-tls --once gone.test ends.test
	assert_eq "$(field gone.test in_force) $(field gone.test error)" \
		'True there is no TXT record'
	assert_match "$OUTPUT" 'gone.test: there is no TXT record; the policy that is stored stays until 20'
	assert_eq "$(field ends.test in_force) $(field ends.test failures)" 'True 1'
	assert_match "$(faketime -f +11m mxhop tls get ends.test)" 'ends 20[^ ]*: ended'
	OUTPUT=$(faketime -f +11m mxhop-tls --once 2>&1)
	assert_match "$OUTPUT" 'ends.test: .*404.*the policy that was stored has ended'
	assert_match "$(tls get ends.test)" 'no policy'
	assert_eq "$(field gone.test in_force)" True
	fresh_store
	make_zone
	policy ends good enforce 600
	start_nsd
	dns_flush
}

# A year back nobody knows how old it is; it is fetched at once, and what was
# fetched then ends max_age later.
case_the_clock_is_set_back() {
	mxhop-tls --once good.test
	assert_match "$(faketime -f -365d mxhop tls get good.test)" \
		'not in force: the clock is before the time'
	policy good 404
	faketime -f -365d mxhop-tls --once
	assert_match "$(faketime -f -365d mxhop tls get good.test)" 'not in force.*failed .1 in a row'
	assert_match "$(tls get good.test)" ': in force' 'a clock that was wrong costs no policy'
	policy good
	faketime -f -365d mxhop-tls --once good.test
	assert_match "$(faketime -f -365d mxhop tls get good.test)" ': in force'
	assert_match "$(tls get good.test)" ': ended'
	fresh_store
}

# While the service runs: a policy lives as long as it would have.
case_the_clock_jumps_back_and_forth() {
	local before shift=$SCRATCH/clock
	fresh_store
	echo +0 >"$shift"
	spawn tls env "LD_PRELOAD=$(echo /usr/lib/*/faketime/libfaketime.so.1)" \
		FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 \
		FAKETIME_TIMESTAMP_FILE="$shift" mxhop-tls
	eventually 10 listens
	tls fetch good.test
	before=$(field good.test expires)
	echo -365d >"$shift"
	eventually 10 log_has "$SCRATCH/tls.log" 'the clock was set by -(31535999|3153600[01]) s' ||
		fail "$(tail -n 3 "$SCRATCH/tls.log")"
	eventually 10 has good.test ': ended' || fail "$(tls get good.test)"
	assert_match "$(faketime -f -365d mxhop tls get good.test)" ': in force'
	assert_eq $(($(seconds "$(field good.test expires)") - \
		$(seconds "$(field good.test fetched)"))) 604800
	echo +0 >"$shift"
	eventually 10 has good.test ': in force' || fail "$(tls get good.test)"
	assert_eq $((($(seconds "$before") - $(seconds "$(field good.test expires)")) / 10)) 0
	assert_eq "$(requests good.test)" 1
}

case_the_service_is_killed() {
	local before
	start_tls
	tls fetch good.test
	before=$(sha256sum <$STORE/policies)
	kill -KILL "$(cat "$SCRATCH/pids/tls")"
	eventually 5 not_alive tls
	has good.test 'in force'
	start_tls
	tls fetch second.test
	has good.test 'in force'
	refute_match "$(sha256sum <$STORE/policies)" "$before"
}

# At each call by which the store is written: the old one or the new one is there,
# and what it has left is in nobody's way.
case_the_service_is_killed_while_it_writes() {
	local name n status points
	fresh_store
	mxhop-tls --once good.test
	strace -qq -o "$SCRATCH/strace" mxhop-tls --once second.test
	mapfile -t points < <(awk -F '(' '{ n[$1]++ } /"policies.new"/ { on = 1 }
		on && /^(unlinkat|openat|pwrite64|fchmod|fsync|renameat)\(/ { print $1, n[$1] }' "$SCRATCH/strace")
	assert_match "${points[*]}" 'unlinkat .*pwrite64 .*fsync .*renameat .*fsync '
	for n in "${points[@]}"; do
		name=${n% *} n=${n#* } status=0
		rm $STORE/policies
		mxhop-tls --once good.test
		strace -qq -o /dev/null -e "inject=$name:signal=KILL:when=$n" \
			mxhop-tls --once second.test || status=$?
		assert_eq "$status" 137 "$name $n"
		has good.test 'in force' || fail "$name $n: $(tls get good.test 2>&1)"
		assert_status 0 mxhop-tls --once second.test
		has good.test 'in force' || fail "$name $n, then: $(tls get good.test 2>&1)"
		has second.test 'in force' || fail "$name $n, then: $(tls get second.test 2>&1)"
		assert_eq "$(ls $STORE)" $'policies\npolicies.lock'
	done
}

case_sigterm_ends_it() {
	local pid
	stop_tls
	mxhop-tls &
	pid=$!
	eventually 10 listens
	kill -TERM $pid
	wait $pid || fail "status $?"
	listens_not
}

case_a_store_that_is_removed_or_damaged() {
	start_tls
	tls fetch good.test
	rm $STORE/policies
	assert_status 74 tls get good.test
	eventually 10 has good.test 'in force' || fail 'not written anew'
	stop_tls
	printf 'x%.0s' {1..4000} | dd of=$STORE/policies bs=1 seek=4096 conv=notrunc status=none
	assert_status 74 tls get good.test
	assert_match "$OUTPUT" "$STORE/policies: is damaged; remove it"
	start_tls
	assert_match "$(cat "$SCRATCH/tls.log")" 'policies: is damaged'
	eventually 10 log_has "$SCRATCH/tls.log" 'policies: is damaged'
	assert_status 0 tls fetch good.test
	has good.test 'in force'
}

case_the_disk_is_full() {
	local pid
	stop_tls
	mkdir -p "$SCRATCH/small"
	mount -t tmpfs -o size=256k small "$SCRATCH/small"
	chown mxhop-tls: "$SCRATCH/small"
	chmod 755 "$SCRATCH/small"
	configure "tls_store = $SCRATCH/small"
	mxhop-tls --once good.test
	dd if=/dev/zero of="$SCRATCH/small/fill" bs=4096 status=none 2>/dev/null || true
	start_tls
	mxhop tls fetch second.test >/dev/null 2>&1 &
	pid=$!
	eventually 15 log_has "$SCRATCH/tls.log" \
		'policies: No space left on device; what is stored stays in force' ||
		fail "$(cat "$SCRATCH/tls.log")"
	has good.test 'in force'
	rm "$SCRATCH/small/fill"
	eventually 15 has second.test 'in force' || fail 'not written'
	log_has "$SCRATCH/tls.log" 'policies: written again'
	wait $pid
	stop_tls
	configure
	umount "$SCRATCH/small"
}

read_again_twice() { [[ $(since_mark "$SCRATCH/tls.log" | grep -c 'read again') -ge 2 ]]; }

case_sighup_reads_the_configuration_again() {
	start_tls
	cp "$SCRATCH/pki/strange-ca.pem" /etc/mxhop/strange.pem
	ca=/etc/mxhop/strange.pem configure
	kill -HUP "$(cat "$SCRATCH/pids/tls")"
	eventually 5 log_has "$SCRATCH/tls.log" 'the configuration was read again'
	assert_status 0 tls fetch otherca.test
	configure
	kill -HUP "$(cat "$SCRATCH/pids/tls")"
	eventually 5 read_again_twice
	assert_status 75 tls fetch otherca.test
	assert_match "$OUTPUT" 'otherca.test enforce, .*: '
}

case_systemd_is_told() {
	local said=$SCRATCH/notify pid
	python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
open(sys.argv[1] + ".up", "w").close()
s.settimeout(20)
print(s.recv(100).decode())' "$said" >"$said.text" &
	pid=$!
	eventually 10 test -e "$said.up"
	chmod 777 "$said"
	NOTIFY_SOCKET=$said spawn tls mxhop-tls
	wait $pid
	assert_eq "$(<"$said.text")" READY=1
}
