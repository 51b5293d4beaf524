# shellcheck shell=bash disable=SC2016
# An override table that another host has compiled (docs/fleet.md): the receiver
# has neither the source nor a connection to it.

DIR=/var/lib/mxhop
TABLE=$DIR/overrides

setup() {
	zone test <<-'END'
		over   MX 10 mx1
		mx1    A 192.0.2.1
	END
	start_dns
	use_mxhop_plugin <<<'overrides = ldif:/etc/mxhop/no-such-file.ldif'
	install -d "$DIR"
	start_sink 192.0.2.10
	start_sink 192.0.2.11
	start_postfix "transport_maps = $M"
}

# The other host: a table with one override, in $SCRATCH/NAME.
compile() { # NAME HOP
	printf '%s\n' "overrides = ldif:$SCRATCH/$1.ldif" \
		"override_table = $SCRATCH/$1" >"$SCRATCH/$1.cf"
	printf '%s\n' 'dn: cn=over,dc=test' 'objectClass: mxhopOverride' 'cn: over' \
		'mxhopKey: over.test' "mxhopHop: $2" >"$SCRATCH/$1.ldif"
	mxhop -c "$SCRATCH/$1.cf" refresh
}

ship() { # NAME
	cp "$SCRATCH/$1" "$TABLE.new"
	chmod 0644 "$TABLE.new"
	mv "$TABLE.new" "$TABLE"
}

case_a_table_that_was_sent_is_in_force() {
	compile first '[192.0.2.10]'
	compile second '[192.0.2.11]'
	send_mail alice@mta.mxhop.test one@over.test
	wait_for_log 'to=<one@over.test>.*dsn=4\.3\.5, status=deferred'
	ship first
	sleep 2
	send_mail alice@mta.mxhop.test two@over.test
	wait_for_log 'to=<two@over.test>, relay=192.0.2.10.*status=sent'
	ship second
	sleep 2
	send_mail alice@mta.mxhop.test three@over.test
	wait_for_log 'to=<three@over.test>, relay=192.0.2.11.*status=sent'
	assert_eq "$(ls "$DIR")" overrides
}

# An older one is in force just as well.
case_and_so_is_an_older_one() {
	ship first
	sleep 2
	send_mail alice@mta.mxhop.test four@over.test
	wait_for_log 'to=<four@over.test>, relay=192.0.2.10.*status=sent'
	assert_match "$(mxhop lookup over.test)" 192.0.2.10
	assert_eq "$(mxhop overrides list over.test | cut -f 1)" 'cn=over,dc=test'
}

# refresh has nothing to read there, and leaves the table alone.
case_the_receiver_refreshes_nothing() {
	assert_status 74 mxhop refresh
	assert_eq "$(cmp "$SCRATCH/first" "$TABLE" && echo same)" same
}
