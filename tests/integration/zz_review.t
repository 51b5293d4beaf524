# shellcheck shell=bash disable=SC2016
M=mxhop:/etc/mxhop/mxhop.cf
TABLE=/var/lib/mxhop/overrides
LDIF=/etc/mxhop/overrides.ldif
setup() {
	zone test <<-'END'
		plain  MX 10 mx1
		over   MX 10 mx1
		mx1    A 192.0.2.1
	END
	start_dns
	use_mxhop_plugin <<<"overrides = ldif:$LDIF"
	printf '%s\n' 'dn: cn=a,dc=x' 'objectClass: mxhopOverride' 'cn: a' 'mxhopKey: over.test' 'mxhopHop: [192.0.2.10]' >$LDIF
	mxhop refresh
	postconf -e "transport_maps = $M"
	cool_main_cf
}
user() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
case_ordinary_user() {
	ls -la /var/lib/mxhop
	user postmap -q over.test $M || true
	user mxhop lookup over.test || true
	user mxhop check | tail -3 || true
	fail show
}
case_flock_dos() {
	user flock -s $TABLE sleep 20 &
	sleep 0.5
	timeout 5 mxhop refresh; echo "refresh: $?"
	kill %1 || true
	fail show
}
case_user_refresh() {
	d=$(mktemp -d /tmp/XXXXXX); chmod 711 $d; chown 65534 $d
	printf '%s\n' "overrides = ldif:$LDIF" "override_table = $d/t" >/tmp/u.cf
	chmod 644 /tmp/u.cf
	user mxhop -c /tmp/u.cf refresh || echo "status $?"
	ls -la $d
	rm -f $d/t*
	mxhop -c /tmp/u.cf refresh || echo "root in user dir: $?"
	fail show
}
case_lock_link() {
	d=$(mktemp -d /tmp/XXXXXX); chmod 711 $d; chown 65534 $d
	cp $TABLE $d/t; chown 65534 $d/t
	head -c 100000 /dev/zero >/root/precious; chmod 600 /root/precious
	md5sum /root/precious
	ln -s /root/precious $d/t-lock
	printf '%s\n' "overrides = ldif:$LDIF" "override_table = $d/t" >/tmp/u.cf
	mxhop -c /tmp/u.cf lookup over.test || echo "st $?"
	md5sum /root/precious
	ls -l /root/precious
	fail show
}
case_dup_dn() {
	printf '%s\n' 'dn: cn=a,dc=x' 'objectClass: mxhopOverride' 'cn: a' 'mxhopKey: over.test' 'mxhopHop: [192.0.2.10]' '' 'dn: cn=a,dc=x' 'objectClass: mxhopOverride' 'cn: a' 'mxhopKey: plain.test' 'mxhopHop: [192.0.2.11]' >$LDIF
	mxhop refresh; echo "st $?"
	mxhop lookup plain.test
	mxhop check | tail -1
	fail show
}
case_foreign_lmdb() {
	echo 'x y' >/tmp/t; postmap lmdb:/tmp/t; postmap -q x lmdb:/tmp/t
	printf '%s\n' "overrides = ldif:$LDIF" "override_table = /tmp/t.lmdb" >/tmp/u.cf
	mxhop -c /tmp/u.cf refresh; echo "st $?"
	postmap -q x lmdb:/tmp/t
	postmap -s lmdb:/tmp/t
	fail show
}
case_odd_input() {
	printf 'over.test\r\nplain.test\r\n' | mxhop lookup --format postfix - | od -c | head; 
	printf 'bad\033[31mkey@over.test\nover.test' | mxhop lookup  - | od -c | head -20; 
	mxhop lookup -- -x; echo $?
	mxhop lookup --nonsense; echo $?
	mxhop trace over.test >/dev/full; echo $?
	mxhop lookup over.test >/dev/full; echo $?
	mxhop check --defaults >/dev/full; echo $?
	mxhop refresh > /dev/full; echo $?
	mxhop -c /nonexistent check; echo $?
	mxhop -c /etc check; echo $?
	mxhop lookup '' ; echo "empty $?"
	fail show
}
