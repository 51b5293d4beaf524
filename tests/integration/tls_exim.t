# shellcheck shell=bash disable=SC2016
# What Exim itself makes of DANE and of verified TLS for the hosts of a
# manualroute list: the facts that mxhop's routes for Exim rest on. Nothing of
# mxhop takes part.

# shellcheck source=tests/integration/tls.sh
. "$ROOT/tests/integration/tls.sh"
# shellcheck source=tests/integration/exim.sh
. "$ROOT/tests/integration/exim.sh"

setup() {
	tls_certificate good good.hosts.test good.signed.test
	tls_certificate badca '*.hosts.test' '*.signed.test' by=foreign
	tls_certificate name name.other.test
	zone hosts.test <<-'END'
		good   A 192.0.2.1
		ca     A 192.0.2.2
		name   A 192.0.2.3
		bare   A 192.0.2.4
	END
	zone signed.test <<-END
		good   A 192.0.2.1
		$(tlsa good good)
		self   A 192.0.2.2
		$(tlsa self badca)
		bad    A 192.0.2.2
		$(tlsa bad good)
		none   A 192.0.2.1
		native MX 10 bad
	END
	# An unsigned MX record that leads to a signed host.
	zone loose.test <<<'@ MX 10 bad.signed.test.'
	sign_zone signed.test
	start_signed_dns
	start_receiver 192.0.2.1 name {good.hosts,good.signed,none.signed}.test=good
	start_receiver 192.0.2.2 badca
	start_receiver 192.0.2.3 name
	start_receiver 192.0.2.4 -
	use_exim
	write_exim_conf
	trust_ad
	exim -bV >&2
}

trust_ad() { printf '%s\n' 'nameserver 127.0.0.1' 'options trust-ad' >/etc/resolv.conf; }

# A domain of /etc/exim4/routes goes to its list, others to their MX hosts; the
# transport is in /etc/exim4/transports, or `dane'.
write_exim_conf() {
	printf '%s\n' 'primary_hostname = mta.mxhop.test' 'exim_user = Debian-exim' \
		'exim_group = Debian-exim' 'trusted_users = root' 'keep_environment =' \
		'log_selector = +all' 'dns_dnssec_ok = 1' 'acl_smtp_rcpt = accept' \
		'begin routers' \
		'list:' 'driver = manualroute' \
		'address_data = ${lookup{$domain}lsearch{/etc/exim4/data}}' \
		'route_data = ${lookup{$domain}lsearch{/etc/exim4/routes}}' \
		'transport = ${lookup{$domain}lsearch{/etc/exim4/transports}{$value}{dane}}' \
		'host_find_failed = defer' 'dnssec_request_domains = *' \
		'native:' 'driver = dnslookup' 'dnssec_request_domains = *' \
		'transport = dane' \
		'begin transports' \
		'dane:' 'driver = smtp' 'dnssec_request_domains = *' 'hosts_try_dane = *' \
		'require:' 'driver = smtp' 'dnssec_request_domains = *' 'hosts_require_dane = *' \
		'verify:' 'driver = smtp' 'dnssec_request_domains = *' 'hosts_try_dane = *' \
		'hosts_require_tls = *' 'tls_verify_hosts = *' 'tls_verify_cert_hostnames = *' \
		"tls_verify_certificates = $CA" 'tls_sni = $host' \
		'batch:' 'driver = smtp' 'multi_domain' \
		'hosts_require_tls = ${if eq{$address_data}{sts}{*}}' \
		'begin retry' '* * F,1d,1m' >/etc/exim4/exim4.conf
	: >/etc/exim4/routes
	: >/etc/exim4/transports
	: >/etc/exim4/data
	chown -R root:Debian-exim /etc/exim4
	chmod 640 /etc/exim4/exim4.conf
	: >>"$EXIM_LOG"
	chown Debian-exim:adm "$EXIM_LOG"
}

# Lines of `DOMAIN HOST TRANSPORT OUTCOME', where it is what the line of a
# delivery has, or `defer' or `bounce' and a reason.
assert_exim() { # < ROWS
	local domain host transport outcome sign
	while read -r domain host transport outcome; do
		[[ $host == native ]] || echo "$domain: $host" >>/etc/exim4/routes
		echo "$domain: $transport" >>/etc/exim4/transports
		exim_purge # with what Exim knows of hosts that failed
		exim_send alice@mta.mxhop.test "any@$domain"
		case $outcome in
		defer*) sign='==' ;;
		bounce*) sign='\*\*' ;;
		*) sign='=>' ;;
		esac
		assert_exim_log " $sign any@$domain .*${outcome#* }"
	done
}

case_dane_for_listed_hosts() {
	assert_exim <<-'END'
		good1.test         good.signed.test    dane  = CV=dane
		bad1.test          bad.signed.test     dane  defer The certificate differs
		none1.test         none.signed.test    dane  = X=TLS
		native.signed.test native              dane  defer The certificate differs
	END
	refute_match "$(eximlog | grep '=> any@none1.test')" CV=dane
}

# With dnslookup an unsigned MX record is the end of DANE; a list does not know.
case_a_list_is_stricter_with_an_unsigned_mx() {
	assert_exim <<-'END'
		loose.test   native            dane  = CV=no
		list.test    bad.signed.test   dane  defer The certificate differs
	END
}

case_without_trust_ad_there_is_no_dane() {
	echo 'nameserver 127.0.0.1' >/etc/resolv.conf
	assert_exim <<-'END'
		good2.test   good.signed.test  dane  = X=TLS
		bad2.test    bad.signed.test   dane  = X=TLS
	END
	refute_exim_log CV=dane
	trust_ad
}

# It must never be used for mail that could wait.
case_require_dane_bounces() {
	assert_exim <<<'none3.test none.signed.test require bounce DANE'
}

# DANE where there are TLSA records, else a certificate for the host's name.
case_transport_that_verifies() {
	assert_exim <<-'END'
		self4.test   self.signed.test  verify  = CV=dane
		bad4.test    bad.signed.test   verify  defer The certificate differs
		good4.test   good.hosts.test   verify  = CV=yes
		ca4.test     ca.hosts.test     verify  defer certificate
		name4.test   name.hosts.test   verify  defer certificate
		bare4.test   bare.hosts.test   verify  defer TLS
	END
	assert_match "$(received any@good4.test)" 'sni=good.hosts.test$'
}

# The first address of a batch decides for the others.
case_classes_by_address_data_are_unsafe() {
	printf '%s: bare.hosts.test\n' plain5.test sts5.test >>/etc/exim4/routes
	printf '%s: batch\n' plain5.test sts5.test >>/etc/exim4/transports
	echo 'sts5.test: sts' >>/etc/exim4/data
	exim_purge
	exim_send alice@mta.mxhop.test any@sts5.test
	assert_exim_log ' == any@sts5.test .*TLS'
	exim_purge
	exim_send alice@mta.mxhop.test {any,too}@plain5.test too@sts5.test
	assert_exim_log '[=-]> too@sts5.test'
	assert_match "$(received too@sts5.test)" 'tls=- '
}
