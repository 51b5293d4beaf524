# shellcheck shell=bash disable=SC2016
# For a domain without override, the router of mxhop and Exim's own dnslookup
# find the same hosts in the same groups. Where they do not, mxhop_exim(7) says
# so and why; those domains are in `differences' below, with both answers.

# shellcheck source=tests/integration/exim.sh
. "$ROOT/tests/integration/exim.sh"

setup() {
	local z
	for z in "$ROOT"/contrib/demo/zones/*; do
		zone "${z##*/}" <"$z"
		echo "${z##*/}" >>"$SCRATCH/domains"
	done
	odd_zone | zone diff.test
	odd_zone | awk '$2 == "MX" || $2 == "CNAME" || $1 ~ /^(implicit|onlyv6|both)$/ { print $1 ".diff.test" }' |
		sort -u >>"$SCRATCH/domains"
	printf '%s\n' nothere.diff.test cloud.example >>"$SCRATCH/domains"
	zone cut.test <<<'h A 192.0.2.70'
	start_nsd
	start_faultdns lame 127.0.0.9:53 <<<'* * rcode=servfail'
	forward_domain lame.test 127.0.0.9
	start_unbound
	use_exim
	use_mxhop_for_exim </dev/null
	exim_conf </dev/null
	sed '/^mxhop_route:/,/^# ---- what was there/d; s/= MXHOP_TRANSPORT$/= remote_smtp/' /etc/exim4/exim4.conf \
		>/etc/exim4/native.conf
	exim_keep
}

odd_zone() {
	cat <<-'END'
		one       MX 10 h1
		two       MX 10 h1
		two       MX 10 h2
		steps     MX 10 h1
		steps     MX 20 h2
		steps     MX 30 h3
		groups    MX 5 h1
		groups    MX 5 h2
		groups    MX 7 h3
		groups    MX 7 h4
		groups    MX 7 h5
		groups    MX 90 h6
		wide      MX 10 h7
		wide      MX 10 both
		alias     CNAME groups
		chain     CNAME alias
		tocname   MX 10 cn
		tocname   MX 20 h1
		cn        CNAME h2
		implicit  A 192.0.2.40
		aliasa    CNAME implicit
		onlyv6    AAAA 2001:db8::40
		both      A 192.0.2.41
		both      AAAA 2001:db8::41
		nullmx    MX 0 .
		nulland   MX 0 .
		nulland   MX 10 h1
		gone      MX 10 missing
		partly    MX 10 missing
		partly    MX 20 h1
		us        MX 10 h1
		us        MX 20 ours
		us        MX 30 h2
		usfirst   MX 10 ours
		usfirst   MX 20 h2
		localhost MX 10 lo
		loandh    MX 10 lo
		loandh    MX 20 h1
		bad       MX 10 h1
		bad       MX 20 b\$ad
		bad       MX 30 192.0.2.1
		lame1     MX 10 h1
		lame1     MX 20 x.lame.test.
		lameall   MX 10 x.lame.test.
		outside   MX 10 h.cut.test.
		same      MX 10 h1
		same      MX 20 h1
		same      MX 30 h2
		shared    MX 10 h1
		shared    MX 20 h1b
		h1        A 192.0.2.51
		h1b       A 192.0.2.51
		h2        A 192.0.2.52
		h3        A 192.0.2.53
		h4        A 192.0.2.54
		h5        A 192.0.2.55
		h6        A 192.0.2.56
		h7        A 192.0.2.57
		h7        A 192.0.2.58
		ours      A 192.0.2.250
		lo        A 127.0.0.1
	END
	local i
	for i in {1..12}; do
		printf 'many MX %d m%d\nm%d A 192.0.2.%d\n' $((i / 3)) "$i" "$i" $((100 + i))
	done
}

# Lines `GROUP HOST ADDRESS' to "a 192.0.2.1,b 192.0.2.2;c 192.0.2.3". Hosts of
# which Exim has no address are in its output, but it never tries them.
in_groups() {
	sort -k1n -k2 | awk '
		{ printf "%s%s %s", NR == 1 ? "" : $1 == last ? "," : ";", $2, $3; last = $1 }'
}

native() { # DOMAIN
	{ exim -C /etc/exim4/native.conf -bt "u@$1" 2>&1 || true; } | awk '
		/^  host/ && !/unknown/ {
			match($0, /MX=[0-9]+/)
			p = RSTART ? substr($0, RSTART + 3, RLENGTH - 3) : 0
			gsub(/[][]/, "", $3)
			print p, $2, $3
		}' | in_groups
}

# GROUP and name of each host in a list. Exim shows the name at the end of a
# CNAME in its place.
list_groups() { # LIST
	local item group=0 name
	for item in ${1//;/ }; do
		if [[ $item == + ]]; then
			group=$((group + 1))
		elif [[ $item != "<" ]]; then
			name=$(dig +short "$item" CNAME)
			name=${name:-$item}
			echo "$group ${name%.}"
		fi
	done
}

# The same of mxhop: addresses from `exim -bt', groups from the list. Nothing
# where its router declined.
ours() { # DOMAIN
	list_groups "$(list_of "$1")" >"$SCRATCH/groups"
	{ exim -bt "u@$1" 2>&1 || true; } | awk -v groups="$SCRATCH/groups" '
		BEGIN { while ((getline <groups) > 0) group[$2] = $1 }
		/router = mxhop_route/ { routed = 1 }
		/^  host/ && routed { gsub(/[][]/, "", $3); print group[$2], $2, $3 }' |
		in_groups
}

# What happens to an address that gets no hosts.
verdict() { # EXIM-ARGUMENT... DOMAIN
	{ exim "${@:1:$#-1}" -bt "u@${!#}" 2>&1 || true; } |
		grep -oE 'undeliverable|cannot be resolved' | head -n 1 || true
}

# DOMAIN|dnslookup|mxhop; every line is a row of the table in mxhop_exim(7).
differences() {
	cat <<-'END'
		shared.diff.test|h1.diff.test 192.0.2.51|h1.diff.test 192.0.2.51;h1b.diff.test 192.0.2.51
	END
}

case_hosts_and_groups_are_equal() {
	local domain n o compared=0 routed=0
	while read -r domain; do
		if differences | grep "^$domain|" >/dev/null; then continue; fi
		n=$(native "$domain")
		o=$(ours "$domain")
		echo "$domain: $n | $o"
		compared=$((compared + 1))
		if [[ $o ]]; then
			routed=$((routed + 1))
			assert_eq "$o" "$n" "$domain"
		else
			assert_eq "$n" '' "$domain: mxhop has no hosts, dnslookup"
			assert_eq "$(verdict "$domain")" \
				"$(verdict -C /etc/exim4/native.conf "$domain")" "$domain"
		fi
	done <"$SCRATCH/domains"
	[[ $compared -ge 35 && $routed -ge 25 ]] ||
		fail "only $compared compared, $routed routed"
	assert_no_panic
}

case_differences_are_those_of_the_manual() {
	local domain n o
	while IFS='|' read -r domain n o; do
		assert_eq "$(native "$domain")" "$n" "$domain: dnslookup"
		assert_eq "$(ours "$domain")" "$o" "$domain: mxhop"
	done < <(differences)
	assert_no_panic
}
