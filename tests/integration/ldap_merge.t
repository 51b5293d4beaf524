# shellcheck shell=bash disable=SC2016
# Overrides in a real slapd and what they make of a domain's MX set, as the table
# that Postfix asks says it: each mode by each kind of key, which of several entries
# holds, and when. Each refresh but the first is one of RFC 4533: what changed.

# shellcheck source=tests/integration/ldap.sh
. "$ROOT/tests/integration/ldap.sh"

WAYS='domain parent recipient exchange provider'

# NAME; HOP or Attribute=VALUE; ... => answer => answer if there is no MX set.
# @ is the domain; its MX hosts are 10 mx1.@ and 20 mx2.@, `-` is "not found".
MODES='
unsaid;  [192.0.2.11]                                      => :[192.0.2.11] => :[192.0.2.11]
replace; Mode=replace; 20 [192.0.2.11]; 3 [192.0.2.12]:26  => :[192.0.2.12]:26, [192.0.2.11] => :[192.0.2.12]:26, [192.0.2.11]
prepend; Mode=prepend; 99 [192.0.2.11]; 98 [192.0.2.12]    => :[192.0.2.12], [192.0.2.11], [mx1.@], [mx2.@] => :[192.0.2.12], [192.0.2.11]
append;  Mode=append; 2 [192.0.2.11]; 1 [192.0.2.12]       => :[mx1.@], [mx2.@], [192.0.2.12], [192.0.2.11] => :[192.0.2.12], [192.0.2.11]
merge;   Mode=merge; 15 [192.0.2.11]; 5 [192.0.2.12]       => :[192.0.2.12], [mx1.@], [192.0.2.11], [mx2.@] => :[192.0.2.12], [192.0.2.11]
exclude; Mode=exclude; Exclude=mx1.@                       => :[mx2.@] => -
instead; Mode=merge; 15 [192.0.2.11]; Exclude=.@           => :[192.0.2.11] => :[192.0.2.11]
slow;    Mode=merge; Transport=slow; 30 [192.0.2.11]       => slow:[mx1.@], [mx2.@], [192.0.2.11] => slow:[192.0.2.11]
pass;    Mode=pass                                         => : => :
reject;  Mode=reject; Reason=Not for us                    => error:5.7.1 Not for us => error:5.7.1 Not for us
defer;   Mode=defer; Reason=Back tomorrow                  => ./retry:4.3.5 Back tomorrow => ./retry:4.3.5 Back tomorrow'

# Calls FUNCTION with each line's name, answers and words.
each_mode() { # FUNCTION
	local line answer gone words
	while read -r line; do
		answer=${line#* => } gone=${line##* => }
		IFS=';' read -ra words <<<"${line%% => *}"
		mapfile -t words < <(sed -E 's/^ *//; s/ *$//' < <(printf '%s\n' "${words[@]}"))
		"$1" "${words[0]}" "${answer% => *}" "$gone" "${words[@]:1}"
	done <<<"${MODES#$'\n'}"
}

# What is asked about NAME by a WAY, and the keys of the entry; GONE is a key
# beside them for a domain without MX set.
by_way() { # WAY NAME
	DOMAIN=$2-$1.test GONE=$2-$1.invalid
	[[ $1 != parent ]] || DOMAIN=sub.$DOMAIN GONE=sub.$GONE
	ASKED=$DOMAIN
	KEYS=("$DOMAIN" "Key=$GONE")
	case $1 in
	parent) KEYS=(".${DOMAIN#sub.}" "Key=.${GONE#sub.}") ;;
	recipient)
		ASKED=user@$DOMAIN GONE=user@$GONE
		KEYS=("$ASKED" "Key=$GONE")
		;;
	exchange) KEYS=(- "Exchange=mx1.$DOMAIN") GONE='' ;;
	provider) KEYS=(- "Exchange=.$DOMAIN") GONE='' ;;
	esac
}

mode_zone() { # NAME...
	local way
	for way in $WAYS; do
		by_way "$way" "$1"
		mx_zone "${DOMAIN%.test}"
	done
}

# NAME.test with two MX hosts, below itself.
mx_zone() { # NAME
	printf "$1 MX 10 mx1.$1\n$1 MX 20 mx2.$1\nmx1.$1 A 192.0.2.1\nmx2.$1 A 192.0.2.2\n"
}

setup() {
	{
		each_mode mode_zone
		mx_zone d.sub.ladder
		mx_zone edge
		mx_zone clash
	} | zone test
	start_dns
	use_mxhop_plugin <<-END
		overrides = ldap
		ldap_server_host = ldap://127.0.0.1
		ldap_search_base = $BASE
		cache = memory
		lookup_budget = 2s
		wait_share = 100%
		max_hops = 10
	END
	start_slapd dir syncprov=1000
	override first first.test '[192.0.2.1]' | ldap_add dir
	assert_status 0 mxhop refresh
}

ask() { postmap -q - "$M" | folded; } # < KEYS

# --- each mode ---

expect_mode() { # NAME ANSWER GONE-ANSWER WORD...
	local name=$1 answer=$2 gone=$3
	shift 3
	by_way "$WAY" "$name"
	override "$name-$WAY" "${KEYS[@]}" "${@//@/$DOMAIN}" >>"$SCRATCH/$WAY.ldif"
	expect "$ASKED" "${answer//@/$DOMAIN}"
	[[ ! $GONE ]] || expect "$GONE" "$gone"
	echo "$ASKED cn=$name-$WAY,$BASE" >>"$SCRATCH/$WAY.dns"
}

expect() { # KEY ANSWER
	echo "$1" >>"$SCRATCH/$WAY.keys"
	[[ $2 == - ]] || printf '%s\t%s\n' "$1" "$2" >>"$SCRATCH/$WAY.answers"
}

# And the command tells whose decision it was.
assert_modes() { # WAY
	local key
	WAY=$1
	each_mode expect_mode
	ldap_add dir <"$SCRATCH/$WAY.ldif"
	assert_status 0 mxhop refresh
	assert_match "$OUTPUT" ', 0 skipped$'
	diff "$SCRATCH/$WAY.answers" <(ask <"$SCRATCH/$WAY.keys") || fail "answers"
	while read -r key; do
		mxhop lookup --format json "$key" || true
	done < <(cut -d ' ' -f 1 "$SCRATCH/$WAY.dns") |
		sed -E 's/.*"key":"([^"]*)".*"override":"([^"]*)".*/\1 \2/' |
		diff "$SCRATCH/$WAY.dns" - || fail "names"
}

case_each_mode_by_domain() { assert_modes domain; }
case_each_mode_by_parent() {
	assert_modes parent
	# It is about what is below, not about itself.
	assert_eq "$(ask <<<replace-parent.test)" ''
}
case_each_mode_by_recipient() {
	assert_modes recipient
	assert_eq "$(ask <<<$'other@replace-recipient.test\nreplace-recipient.test')" \
		$'replace-recipient.test\t:[mx1.replace-recipient.test], [mx2.replace-recipient.test]'
}
case_each_mode_by_exchange() { assert_modes exchange; }
case_each_mode_by_provider() { assert_modes provider; }

# --- which of several ---

# What Postfix gets, which asks for the address first.
routed() { # ADDRESS
	ask <<<"$1"$'\n'"${1#*@}" | head -n 1 | cut -f 2
}

assert_routed() { # ADDRESS ANSWER
	assert_status 0 mxhop refresh
	assert_eq "$(routed "$1")" "$2" "$1"
}

# From the most specific on: each holds until it is switched off, moved to another
# time, or deleted.
case_the_most_specific_holds() {
	local d=d.sub.ladder.test n=0 keys take
	while read -ra keys; do
		override "ladder$((n += 1))" "${keys[@]}" "[192.0.2.$n]"
	done <<-END | ldap_add dir
		user@$d
		$d
		.sub.ladder.test
		.ladder.test
		- Exchange=mx1.$d
		- Exchange=.$d
		- Exchange=.ladder.test
		*
	END
	n=0
	for take in 'mxhopEnabled FALSE' 'mxhopNotAfter 20200101000000Z' \
		'mxhopNotBefore 20990101000000Z' delete delete 'mxhopEnabled FALSE' \
		'mxhopNotAfter 20200101000000Z' delete; do
		assert_routed "user@$d" ":[192.0.2.$((n += 1))]"
		case $take in
		delete) ldap_delete dir "ladder$n" ;;
		*) ldap_set dir "ladder$n" "${take% *}" "${take#* }" ;;
		esac
	done
	assert_routed "user@$d" ":[mx1.$d], [mx2.$d]"
	# And each is back when it is allowed to be.
	ldap_set dir ladder3 mxhopNotBefore 20200101000000Z
	assert_routed "user@$d" ':[192.0.2.3]'
	ldap_set dir ladder1 mxhopEnabled TRUE
	assert_routed "user@$d" ':[192.0.2.1]'
}

# --- when ---

# `edge.test` moves at a second that comes soon: by what each answer is, and the
# clock before and after it, nobody gets the one too late or the other too early.
case_a_window_ends_and_another_begins() {
	local last from answer answers=''
	last=$(($(date +%s) + 5))
	{
		override until edge.test '[192.0.2.1]' "NotAfter=$(utc $last)"
		override from edge.test '[192.0.2.2]' "NotBefore=$(utc $((last + 1)))" \
			"NotAfter=$(utc $((last + 3)))"
	} | ldap_add dir
	assert_status 0 mxhop refresh
	refute_match "$OUTPUT" 'cn=(until|from),'
	while [[ ${answer-} != ':[mx1.edge.test], [mx2.edge.test]' ]]; do
		from=$EPOCHSECONDS
		answer=$(routed edge.test)
		[[ $answer == "${answers##*$'\n'}" ]] || answers+=$'\n'$answer
		case $answer in
		*.1]) [[ $from -le $last ]] || fail "the first holds too long" ;;
		*.2]) [[ $EPOCHSECONDS -gt $last && $from -le $((last + 3)) ]] ||
			fail "the second at the wrong time" ;;
		*) [[ $EPOCHSECONDS -gt $((last + 3)) ]] || fail "none too early: $answer" ;;
		esac
	done
	assert_eq "$answers" $'\n:[192.0.2.1]\n:[192.0.2.2]\n:[mx1.edge.test], [mx2.edge.test]'
	assert_match "$(mxhop overrides list edge.test)" "cn=from,$BASE.*past"
	assert_status 0 mxhop refresh
	assert_match "$OUTPUT" 'unchanged'
}

utc() { date -u -d "@$1" +%Y%m%d%H%M%SZ; } # SECONDS

# --- two entries for one key ---

# The lower DN has it, the other one is reported: by the refresh that reads one of
# them, whichever comes later, and by check.
case_two_entries_for_one_key() {
	local attribute key asked
	while read -r attribute key asked; do
		set -- "$attribute=$key"
		override m-clash - "$@" '[192.0.2.5]' | ldap_add dir
		assert_routed "$asked" ':[192.0.2.5]'
		refute_match "$OUTPUT" 'taken'
		override n-clash - "$@" '[192.0.2.6]' | ldap_add dir
		assert_routed "$asked" ':[192.0.2.5]'
		assert_taken "mxhop$attribute" "$key" n-clash m-clash
		override l-clash - "$@" '[192.0.2.4]' | ldap_add dir
		assert_routed "$asked" ':[192.0.2.4]'
		assert_taken "mxhop$attribute" "$key" m-clash l-clash
		refute_match "$OUTPUT" 'cn=n-clash'
		assert_status 1 mxhop check
		assert_taken "mxhop$attribute" "$key" m-clash l-clash
		assert_taken "mxhop$attribute" "$key" n-clash m-clash
		# Names change, and so does who is first.
		ldap_rename dir l-clash o-clash
		assert_routed "$asked" ':[192.0.2.5]'
		assert_taken "mxhop$attribute" "$key" o-clash n-clash
		ldap_delete dir m-clash n-clash
		assert_routed "$asked" ':[192.0.2.4]'
		refute_match "$OUTPUT" 'taken'
		ldap_delete dir o-clash
		assert_routed "$asked" ':[mx1.clash.test], [mx2.clash.test]'
	done <<-'END'
		Key clash.test clash.test
		Key .test clash.test
		Key user@clash.test user@clash.test
		Key * clash.test
		Exchange mx1.clash.test clash.test
		Exchange .clash.test clash.test
	END
}

assert_taken() { # ATTRIBUTE KEY LOSER WINNER
	assert_match "$OUTPUT" "cn=$3,$BASE: $1: ${2/\*/\\*} is taken by cn=$4,$BASE, which wins"
}

# Only what can hold at one time clashes.
case_no_clash() {
	{
		override a-off clash.test '[192.0.2.1]' Enabled=FALSE
		override b-before clash.test '[192.0.2.2]' NotAfter=20350101000000Z
		override c-after clash.test '[192.0.2.3]' NotBefore=20350101000001Z
	} | ldap_add dir
	assert_routed clash.test ':[192.0.2.2]'
	refute_match "$OUTPUT" 'taken'
	ldap_set dir c-after mxhopNotBefore 20350101000000Z
	assert_routed clash.test ':[192.0.2.2]'
	assert_taken mxhopKey clash.test c-after b-before
	ldap_set dir a-off mxhopEnabled TRUE
	assert_routed clash.test ':[192.0.2.1]'
	assert_taken mxhopKey clash.test b-before a-off
	ldap_delete dir a-off b-before c-after
}

case_who_follows_hears_of_it() {
	override n-clash clash.test '[192.0.2.2]' | ldap_add dir
	spawn follow mxhop refresh --follow
	eventually 5 log_has "$SCRATCH/follow.log" 'following' || fail "not following"
	override m-clash clash.test '[192.0.2.1]' | ldap_add dir
	eventually 5 log_has "$SCRATCH/follow.log" \
		"cn=n-clash,.* is taken by cn=m-clash" || fail "nothing said"
	assert_eq "$(routed clash.test)" ':[192.0.2.1]'
}
