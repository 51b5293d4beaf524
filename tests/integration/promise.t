# shellcheck shell=bash disable=SC2016
# An override is a promise: mail that it covers goes where it says, or waits. One
# message for each situation under each condition, through a real Postfix;
# bounced by us, or taken by a host that the override keeps it from: none. Every
# row of docs/overrides.md is run here.

. "$ROOT/tests/integration/promise.sh"

setup() {
	promise_conf | start_promise
}

# --- the situations ---

# Overrides by key, by recipient and by exchange, in one table.
entries() {
	cat <<-END
		replace           Key replace.test; Hop [gw.example]
		replace-address   Key replace-address.test; Hop [192.0.2.10]
		replace-port      Key replace-port.test; Hop [gw.example]:2525
		replace-misspelt  Key replace-misspelt.test; Hop [gww.example]
		replace-silent    Key replace-silent.test; Hop [silent.example]
		replace-ipv6      Key replace-ipv6.test; Hop [six.example]
		replace-us        Key replace-us.test; Hop [mta.mxhop.test]
		replace-us-too    Key replace-us-too.test; Hop [192.0.2.250]
		replace-us-alias  Key replace-us-alias.test; Hop [alias.example]
		replace-us-bare   Key replace-us-bare.test; Hop aliasmx.example
		prepend-us-alias  Key prepend-us-alias.test; Mode prepend; Hop [alias.example]
		append-us-alias   Key append-us-alias.test; Mode append; Hop [alias.example]
		replace-bare      Key replace-bare.test; Hop splice.example
		replace-bare-gone Key replace-bare-gone.test; Hop nowhere.example
		replace-bare-null Key replace-bare-null.test; Hop null.example
		replace-less      Key replace-less.test; Hop splice.example; Exclude s1.example
		replace-two       Key replace-two.test; Hop 10 [192.0.2.99]; Hop 20 [gw.example]
		replace-last-gone Key replace-last-gone.test; Hop 10 [gw.example]; Hop 20 [gww.example]
		replace-down-gone Key replace-down-gone.test; Hop 10 [192.0.2.99]; Hop 20 [gww.example]
		replace-down      Key replace-down.test; Hop [192.0.2.99]
		replace-many      Key replace-many.test; Hop 1 [192.0.2.96]; Hop 2 [192.0.2.97]; Hop 3 [192.0.2.98]; Hop 4 [gw.example]
		replace-null      Key replace.null.test; Hop [gw.example]
		replace-nowhere   Key replace.nowhere.test; Hop [gw.example]
		prepend           Key prepend.test; Mode prepend; Hop [gw.example]
		prepend-misspelt  Key prepend-misspelt.test; Mode prepend; Hop [gww.example]
		prepend-us        Key prepend-us.test; Mode prepend; Hop [mta.mxhop.test]
		prepend-many      Key prepend-many.test; Mode prepend; Hop 1 [192.0.2.96]; Hop 2 [192.0.2.97]; Hop 3 [192.0.2.98]
		prepend-less      Key prepend-less.test; Mode prepend; Hop [192.0.2.99]; Exclude mx1.example
		prepend-nothing   Key prepend-nothing.test; Mode prepend; Hop [gww.example]; Exclude .example
		prepend-null      Key prepend.null.test; Mode prepend; Hop [gw.example]
		append            Key append.test; Mode append; Hop [192.0.2.10]
		append-down       Key append.backup.test; Mode append; Hop [192.0.2.10]; Exclude bad.example
		append-nowhere    Key append.nowhere.test; Mode append; Hop [gw.example]
		merge             Key merge.test; Mode merge; Hop 5 [gw.example]
		merge-between     Key merge.backup.test; Mode merge; Hop 15 [gw.example]
		merge-null        Key merge.null.test; Mode merge; Hop 15 [gw.example]
		exclude           Key exclude.test; Mode exclude; Exclude mx1.example
		exclude-only      Key exclude-only.test; Mode exclude; Exclude mx1.example
		exclude-all       Key exclude-all.test; Mode exclude; Exclude .example
		exclude-worse     Key exclude-worse.test; Mode exclude; Exclude mx2.example
		exclude-nothing   Key exclude-nothing.test; Mode exclude; Exclude other.example
		exclude-null      Key exclude.null.test; Mode exclude; Exclude mx1.example
		exclude-nowhere   Key exclude.nowhere.test; Mode exclude; Exclude mx1.example
		exclude-implicit  Key implicit.test; Mode exclude; Exclude implicit.test
		pass-domain       Key pass-below.test; Hop [gw.example]
		pass-recipient    Key boss@pass-below.test; Mode pass
		pass-transport    Key pass-transport.test; Mode pass; Transport other
		pass-parent       Key .pass-parent.test; Hop [gw.example]
		pass-sub          Key sub.pass-parent.test; Mode pass
		transport         Key transport.test; Mode merge; Transport other
		transport-host    Key transport-host.test; Hop [gw.example]; Transport other
		transport-missing Key transport-missing.test; Hop [gw.example]; Transport nosuch
		reject            Key reject.test; Mode reject; Reason Not for us
		defer             Key defer.test; Mode defer; Reason Back on Monday
		parent            Key .parent.test; Hop [gw.example]
		parent-own        Key own.parent.test; Hop [gw2.example]
		recipient         Key user@recipient.test; Hop [gw.example]
		recipient-ext     Key user+list@recipient.test; Hop [gw2.example]
		local-recipient   Key bob@mta.mxhop.test; Hop [gw.example]
		local-domain      Key half.test; Hop [gw.example]
		local-misspelt    Key carol@mta.mxhop.test; Hop [gww.example]
		local-vmbox       Key vmbox.test; Hop [gw.example]
		local-below       Key .moved.test; Hop [gw.example]
		relayed           Key relayed.test; Hop [gw.example]
		off               Key off.test; Hop [gw.example]; Enabled FALSE
		past              Key past.test; Hop [gw.example]; NotAfter 20200101000000Z
		future            Key future.test; Hop [gw.example]; NotBefore 20990101000000Z
		inside            Key inside.test; Hop [gw.example]; NotBefore 20200101000000Z; NotAfter 20990101000000Z
		aa-two            Key two-entries.test; Hop [gw.example]
		bb-two            Key two-entries.test; Hop [gw2.example]
		exchange          Exchange prov.example; Hop [gw.example]
		exchange-domain   Key by-domain.prov.test; Hop [gw2.example]
		exchange-exclude  Exchange bad.example; Mode exclude; Exclude bad.example
	END
}

# A row of the page, the recipient, who may have the message (`-` nobody, `*` no
# promise, `~` no promise while the MX set is not known), and who does: the
# second message (warm) by an empty cache (cold), with an empty cache and answers
# that are late (slow) or do not come (dead), without addresses of gw, gw2, s2
# and mx2 (gone), and with a damaged table (torn). `host@transport` names that, too.
situations() {
	cat <<-'END'
		# row             recipient                     may       cold    warm    slow    dead    gone    torn
		replace           user@replace.test             gw        gw      gw      gw|wait wait    wait    wait
		replace           user@replace-address.test     gw        gw      gw      gw      gw      gw      wait
		replace           user@replace-port.test        gw        gw      gw      gw      wait    wait    wait
		replace-misspelt  user@replace-misspelt.test    -         wait    wait    wait    wait    wait    wait
		replace-misspelt  user@replace-silent.test      -         wait    wait    wait    wait    wait    wait
		replace-ipv6      user@replace-ipv6.test        -         wait    wait    wait    wait    wait    wait
		replace-us        user@replace-us.test          -         wait    wait    wait    wait    wait    wait
		replace-us        user@replace-us-too.test      -         wait    wait    wait    wait    wait    wait
		replace-us        user@replace-us-alias.test    -         wait    wait    wait    wait    wait    wait
		replace-us        user@replace-us-bare.test     -         wait    wait    wait    wait    wait    wait
		prepend-unusable  user@prepend-us-alias.test    mx1,mx2   mx1     mx1     mx1|wait wait   mx1     wait
		prepend-unusable  user@append-us-alias.test     mx1,mx2   mx1     mx1     mx1|wait wait   mx1     wait
		replace-bare      user@replace-bare.test        s1,s2     s1      s1      s1|wait wait    s1      wait
		replace-bare-gone user@replace-bare-gone.test   -         wait    wait    wait    wait    wait    wait
		replace-bare-gone user@replace-bare-null.test   -         wait    wait    wait    wait    wait    wait
		replace-less      user@replace-less.test        s2        s2      s2      s2|wait wait    wait    wait
		replace-two       user@replace-two.test         gw        gw      gw      gw|wait wait    wait    wait
		replace-two       user@replace-last-gone.test   gw        gw      gw      gw|wait wait    wait    wait
		replace-two       user@replace-down-gone.test   -         wait    wait    wait    wait    wait    wait
		replace-down      user@replace-down.test        -         wait    wait    wait    wait    wait    wait
		too-many          user@replace-many.test        gw        wait    wait    wait    wait    wait    wait
		too-many          user@prepend-many.test        mx1,mx2   wait    wait    wait    wait    wait    wait
		replace           user@replace.null.test        gw        gw      gw      gw|wait wait    wait    wait
		replace           user@replace.nowhere.test     gw        gw      gw      gw|wait wait    wait    wait
		prepend           user@prepend.test             gw,mx1,mx2 gw     gw      gw|wait wait    mx1     wait
		prepend-unusable  user@prepend-misspelt.test    mx1,mx2   mx1     mx1     mx1|wait wait   mx1     wait
		prepend-unusable  user@prepend-us.test          mx1,mx2   mx1     mx1     mx1|wait wait   mx1     wait
		prepend-less      user@prepend-less.test        mx2       mx2     mx2     mx2|wait wait   wait    wait
		nothing-left      user@prepend-nothing.test     -         wait    wait    wait    wait    wait    wait
		prepend-outage    user@prepend.null.test        gw        gw      gw      gw|wait wait    wait    wait
		append            user@append.test              gw,mx1,mx2 mx1    mx1     mx1|gw  gw      mx1     wait
		append            user@append.backup.test       gw        gw      gw      gw      gw      gw      wait
		prepend-outage    user@append.nowhere.test      gw        gw      gw      gw|wait wait    wait    wait
		merge             user@merge.test               gw,mx1,mx2 gw     gw      gw|wait wait    mx1     wait
		merge             user@merge.backup.test        gw,bad    gw      gw      gw|wait wait    bad     wait
		prepend-outage    user@merge.null.test          gw        gw      gw      gw|wait wait    wait    wait
		exclude           user@exclude.test             mx2       mx2     mx2     mx2|wait wait   wait    wait
		exclude-only      user@exclude-only.test        -         wait    wait    wait    wait    wait    wait
		exclude-only      user@exclude-all.test         -         wait    wait    wait    wait    wait    wait
		exclude-only      user@implicit.test            -         wait    wait    wait    wait    wait    wait
		exclude           user@exclude-worse.test       -         wait    wait    wait    wait    wait    wait
		exclude-nothing   user@exclude-nothing.test     mx1,mx2   mx1     mx1     mx1|wait wait   mx1     wait
		exclude-no-mail   user@exclude.null.test        reject    reject  reject  reject|wait wait|reject reject wait
		exclude-no-mail   user@exclude.nowhere.test     reject    reject  reject  reject|wait wait|reject reject wait
		pass              boss@pass-below.test          mx1,mx2   mx1     mx1     mx1     wait    mx1     wait
		recipient         user@pass-below.test          gw        gw      gw      gw|wait wait    wait    wait
		pass              user@sub.pass-parent.test     mx1,mx2   mx1     mx1     mx1     wait    mx1     wait
		pass-transport    user@pass-transport.test      mx1,mx2   mx1@other mx1@other mx1@other wait mx1@other wait
		transport         user@transport.test           mx1,mx2   mx1@other mx1@other mx1@other|wait wait mx1@other wait
		transport         user@transport-host.test      gw        gw@other gw@other gw@other|wait wait wait    wait
		transport-missing user@transport-missing.test gw      wait    wait    wait    wait    wait    wait
		reject            user@reject.test              reject    reject  reject  reject  reject  reject  wait
		defer             user@defer.test               -         wait    wait    wait    wait    wait    wait
		parent            user@a.b.parent.test          gw        gw      gw      gw|wait wait    wait    wait
		parent            user@own.parent.test          gw2       gw2     gw2     gw2|wait wait    wait    wait
		parent            user@parent.test              *         mx1     mx1     mx1     wait    mx1     wait
		recipient         user@recipient.test           gw        gw      gw      gw|wait wait    wait    wait
		recipient         user+other@recipient.test     gw        gw      gw      gw|wait wait    wait    wait
		recipient         USER+Upper@Recipient.TEST     gw        gw      gw      gw|wait wait    wait    wait
		replace           Upper@REPLACE.Test            gw        gw      gw      gw|wait wait    wait    wait
		recipient         user+list@recipient.test      gw2       gw2     gw2     gw2|wait wait    wait    wait
		recipient         other@recipient.test          *         mx1     mx1     mx1     wait    mx1     wait
		local-recipient   bob@mta.mxhop.test            gw        gw@relay gw@relay gw@relay|wait wait wait    wait|local
		local-recipient   bob+list@mta.mxhop.test       gw        gw@relay gw@relay gw@relay|wait wait wait    wait|local
		local-recipient   carol@mta.mxhop.test          -         wait    wait    wait    wait    wait    wait|local
		local-domain      bob@half.test                 gw        gw@relay gw@relay gw@relay|wait wait wait    wait|local
		local-domain      user@vmbox.test               gw        gw@relay gw@relay gw@relay|wait wait wait    wait|local
		local-not-asked   bob@below.moved.test          local     local   local   local   local   local   local
		relayed           user@relayed.test             gw        gw@relay gw@relay gw@relay|wait wait wait    wait
		no-entry          user@plain.test               *         mx1     mx1     mx1     wait    mx1     wait
		off               user@off.test                 *         mx1     mx1     mx1     wait    mx1     wait
		off               user@past.test                *         mx1     mx1     mx1     wait    mx1     wait
		off               user@future.test              *         mx1     mx1     mx1     wait    mx1     wait
		window            user@inside.test              gw        gw      gw      gw|wait wait    wait    wait
		two-entries       user@two-entries.test         gw        gw      gw      gw|wait wait    wait    wait
		exchange          user@one.prov.test            gw,~      gw      gw      gw|prov wait    wait    wait
		exchange-domain   user@by-domain.prov.test      gw2       gw2     gw2     gw2|wait wait    wait    wait
		exchange-exclude  user@one.bad.test             ~         wait    wait    wait|bad wait   wait    wait
		exchange-exclude  user@one.backup.test          ~         wait    wait    wait|bad wait   wait    wait
		exchange-exclude  user@one.mixed.test           mx1,~     mx1     mx1     mx1     wait    mx1     wait
	END
}

# `*` is for all domains: these need a table of their own.
star_entries() {
	cat <<-'END'
		star       Key *; Hop [192.0.2.10]
		prov       Exchange .prov.example; Exchange prov.example; Hop [192.0.2.11]
		own        Key own.test; Hop [192.0.2.22]
		pass       Key pass.test; Mode pass
		off        Key off.test; Hop [192.0.2.22]; Enabled FALSE
	END
}

star_situations() {
	cat <<-'END'
		# row         recipient            may    cold  warm  slow   dead  gone  torn
		star          user@any.test        gw     gw    gw    gw     gw    gw    wait
		star          user@any.null.test   gw     gw    gw    gw     gw    gw    wait
		star          user@off.test        gw     gw    gw    gw     gw    gw    wait
		star          user@own.test        s2     s2    s2    s2     s2    s2    wait
		star          user@pass.test       mx1,mx2 mx1  mx1   mx1    wait  mx1   wait
		star-exchange user@one.prov.test   gw,gw2 gw2   gw2   gw|gw2 gw|gw2 gw2  wait
		local-not-asked alice@mta.mxhop.test local local local local local local local
		local-not-asked user@vmbox.test    local  local local local  local local local
	END
}

provider_entries() {
	cat <<-'END'
		provider   Key *; Mode exclude; Exclude bad.example
		lifted     Key lifted.bad.test; Mode pass
	END
}

provider_situations() {
	cat <<-'END'
		# row         recipient              may      cold  warm  slow     dead  gone  torn
		no-provider   user@one.bad.test      -        wait  wait  wait     wait  wait  wait
		no-provider   user@one.backup.test   -        wait  wait  wait     wait  wait  wait
		no-provider   user@one.mixed.test    mx1      mx1   mx1   mx1|wait wait  mx1   wait
		no-provider   user@plain.test        mx1,mx2  mx1   mx1   mx1|wait wait  mx1   wait
		no-provider   user@lifted.bad.test   bad      bad   bad   bad      wait  bad   wait
		local-not-asked alice@mta.mxhop.test local    local local local    local local local
	END
}

# What mailq(1) and the log say of mail that waits.
reasons() {
	cat <<-'END'
		nothing known         user@replace-misspelt.test  No usable next hop in the routing override|Addresses of the routing override are not known yet
		all known             user@replace-misspelt.test  No usable next hop in the routing override
		all known             user@replace-us.test        No usable next hop in the routing override
		all known             user@replace-bare-gone.test No usable next hop in the routing override
		all known             user@exclude-only.test      No usable next hop in the routing override
		all known             user@replace-down.test      connect to 192.0.2.99\[192.0.2.99\]:25: Connection refused
		all known             user@transport-missing.test mail transport unavailable
		all known             user@defer.test             Back on Monday
		DNS dead              user@replace.test           Addresses of the routing override are not known yet
		DNS dead              user@exclude.test           No usable next hop in the routing override
		table damaged         user@replace.test           Routing overrides are not available
		mistake in mxhop.cf   user@replace.test           Routing configuration is not usable
	END
}

# --- one table under all conditions ---

# Which expectation holds under a condition.
declare -A COLUMN=([cold]=0 [warm]=1 [slow]=2 [dead]=3 [gone]=4 [torn]=5)

allowed() { # WHO MAY CONDITION
	[[ $2 == '*' || ,$2, == *",$1,"* ]] ||
		[[ ,$2, == *,~,* && $3 =~ ^(slow|dead)$ ]]
}

expected() { # OUTCOME TRANSPORT EXPECTATION
	[[ "|$3|" == *"|$1|"* || "|$3|" == *"|$1@$2|"* ]]
}

# Compares what has happened under CONDITION; the differences go to files. With
# a damaged table mail for our own domains stays here.
judge() { # SITUATIONS CONDITION LABEL
	local row to may want outcome transport text who
	local -a wants
	local -A outcomes=() receivers=()
	while IFS=$'\t' read -r to text; do outcomes[$to]=$text; done <"$SCRATCH/outcomes"
	while read -r to who; do receivers[$to]+="$who "; done <"$SCRATCH/received"
	while read -r row to may want; do
		[[ $row != '#' && ${outcomes[$to]:-} != earlier ]] || continue
		read -ra wants <<<"$want"
		want=${wants[${COLUMN[$2]}]}
		IFS=$'\t' read -r outcome transport text <<<"${outcomes[$to]:-nothing}"
		who=${receivers[$to]:-}
		[[ $outcome != local || $2 == torn ]] || who+=local
		echo "$3: $row: $to: $outcome@$transport, received by ${who:-nobody} $text" >>"$SCRATCH/seen"
		[[ $outcome != reject ]] || allowed reject "$may" "$2" ||
			echo "$3: $row: $to: bounced: $text" >>"$SCRATCH/bounced"
		for who in $who; do
			allowed "$who" "$may" "$2" ||
				echo "$3: $row: $to: taken by $who, allowed: $may" >>"$SCRATCH/forbidden"
		done
		expected "$outcome" "$transport" "$want" ||
			echo "$3: $row: $to: $outcome@$transport, expected $want: $text" \
				>>"$SCRATCH/unexpected"
	done < <($1)
}

message() { # SITUATIONS CONDITION LABEL
	local recipients
	mapfile -t recipients < <($1 | awk '$1 != "#" { print $2 }')
	send_to_all 40 "${recipients[@]}"
	received >"$SCRATCH/received"
	judge "$@"
}

# What waited because the answers were late goes as soon as they are there, and
# as the ration of waiting allows: that of the last ten seconds is used up.
late_mail_goes() { # SITUATIONS
	local i
	dns normal
	sleep 1
	mark
	for i in {1..4}; do
		postqueue -f
		! eventually 5 nothing_late "$1" || break
	done
	outcomes >"$SCRATCH/late"
	awk -F '\t' -v OFS='\t' -v late="$SCRATCH/late" '
		BEGIN { while ((getline <late) > 0) line[$1] = $0 }
		$2 != "wait" { print $1, "earlier"; next }
		{ print $1 in line ? line[$1] : $0 }' \
		"$SCRATCH/outcomes" >"$SCRATCH/outcomes.new"
	mv "$SCRATCH/outcomes.new" "$SCRATCH/outcomes"
	received >"$SCRATCH/received"
	judge "$1" warm "late mail"
}

nothing_late() { # SITUATIONS
	[[ $(queued | grep -o '"address":' | wc -l) -le $($1 | awk '$5 == "wait"' | wc -l) ]]
}

# Rows of the page that are conditions: every situation is tried under them.
CONDITIONS='exclude-cold dns-dead table-damaged cache-damaged broken-config'

promise() { # ENTRIES SITUATIONS
	local how
	: | tee "$SCRATCH"/{bounced,forbidden,unexpected,seen}
	dns normal
	promise_conf >"$CF"
	$1 | promise_overrides
	forget
	message "$2" cold 'nothing known'
	sleep 1
	message "$2" warm 'all known'
	dns dead
	message "$2" dead 'all known, DNS dead'
	dns slow
	forget
	message "$2" slow 'DNS slow'
	late_mail_goes "$2"
	dns dead
	forget
	message "$2" dead 'DNS dead'
	dns gone
	forget
	message "$2" gone 'hosts without address'
	sleep 1
	message "$2" gone 'hosts without address, known'
	dns normal
	forget
	message "$2" cold 'nothing known again'
	damage_cache
	message "$2" cold 'cache damaged'
	damage_table buckets
	sleep 1.5
	message "$2" torn 'table damaged'
	for how in buckets ${MXHOP_LONG:+header cut missing}; do
		$1 | promise_overrides
		damage_table "$how"
		forget
		message "$2" torn "table damaged at the start ($how)"
	done
	$1 | promise_overrides
	promise_conf 'max_hops = many' >"$CF"
	forget
	message "$2" torn 'mistake in mxhop.cf'
	promise_conf >"$CF"
	reload_postfix
	report_promise
}

report_promise() {
	local what
	echo "$(wc -l <"$SCRATCH/seen") messages," \
		"$(wc -l <"$SCRATCH/bounced") bounced by us," \
		"$(wc -l <"$SCRATCH/forbidden") at a host that the override forbids," \
		"$(wc -l <"$SCRATCH/unexpected") not as expected"
	cat "$SCRATCH"/{bounced,forbidden,unexpected}
	[[ ! -s $SCRATCH/bounced && ! -s $SCRATCH/forbidden && ! -s $SCRATCH/unexpected ]] ||
		fail "promises are broken"
}

case_overrides_by_key_recipient_and_exchange() {
	local when to text
	promise entries situations
	while IFS=$'\t' read -r when to text; do
		assert_match "$(grep -F "$when: " "$SCRATCH/seen" | grep -F " $to: wait@")" \
			"$text" "$when: $to"
	done < <(reasons | sed -E 's/  +(user@[^ ]+) +/\t\1\t/')
}

case_star() { promise star_entries star_situations; }
case_no_provider() { promise provider_entries provider_situations; }

# With MXHOP_LONG=yes the same, where each process asks for itself, without any
# cache, and through proxymap(8).
case_other_ways_to_ask() {
	[[ ${MXHOP_LONG:-} ]] || return 0
	CONF='cache = memory'
	promise entries situations
	CONF='cache = none'
	promise entries situations
	CONF='answer = override'
	promise entries situations
	CONF=
	postfix_set "transport_maps = proxy:$M"
	promise entries situations
	promise star_entries star_situations
	promise provider_entries provider_situations
}

# --- what smtpd(8) says ---

# In one session, with a permitted client; true for 2xx.
ask_smtpd() { # FROM RCPT
	local reply
	[[ $(smtp_say RSET) == 2* ]] || fail "RSET"
	reply=$(smtp_say "MAIL FROM:<$1>")
	[[ $reply != 2* ]] || reply=$(smtp_say "RCPT TO:<$2>")
	printf '%s\n' "$reply"
}

# Mail to wait for is accepted, from a client of ours, for a relay domain, and
# from a sender whose domain has the override. Only what is rejected is refused.
case_smtpd_accepts_what_waits() {
	local row to may want relay
	dns normal
	promise_conf >"$CF"
	entries | promise_overrides
	postconf -e 'smtpd_sender_restrictions = reject_unlisted_sender' \
		'smtpd_error_sleep_time = 0' 'smtpd_junk_command_limit = 1000' \
		'in_flow_delay = 0'
	for relay in relayed.test 'relayed.test, test'; do
		postfix_set "relay_domains = $relay"
		exec 7<>/dev/tcp/127.0.0.1/25
		smtp_reply
		smtp_say 'EHLO client.mxhop.test'
		while read -r row to may want _; do
			[[ $row != '#' ]] || continue
			case $want in
			reject) assert_match "$(ask_smtpd bob@plain.test "$to")" '^(550|250) ' "RCPT $to" ;;
			*)
				assert_match "$(ask_smtpd bob@plain.test "$to")" '^250 ' "RCPT $to"
				assert_match "$(ask_smtpd "$to" bob@half.test)" '^250 ' "MAIL FROM $to"
				;;
			esac
		done < <(situations)
		exec 7>&-
	done
	refute_log 'reject: .* 4[0-9][0-9] '
}

# --- what mxhop(1) says ---

# Whatever costs mail is an error of `mxhop check`, by the name of the entry.
case_check_names_what_costs_mail() {
	local name
	dns normal
	promise_conf >"$CF"
	entries | promise_overrides
	assert_status 2 mxhop check
	for name in replace-{misspelt,silent,ipv6,us,us-too,bare-gone,bare-null} \
		prepend-nothing exclude-{only,all,implicit} transport-missing local-misspelt; do
		assert_match "$OUTPUT" "error: [^"$'\n'"]*cn=$name,ou=mxhop,dc=test"
	done
	for name in replace prepend exclude off inside pass-transport; do
		refute_match "$OUTPUT" "error: [^"$'\n'"]*cn=$name,ou=mxhop,dc=test"
	done
}

# --- the page ---

case_every_row_of_the_page_is_run_here() {
	local row rows
	mapfile -t rows < <(sed -nE 's/^\| <a id="([a-z0-9-]+)">.*/\1/p' "$ROOT/docs/overrides.md")
	[[ ${#rows[@]} -ge 50 ]] || fail "${#rows[@]} rows"
	assert_eq "$(sed '1,/^## /d' "$ROOT/docs/overrides.md" | grep -cE '^\| [^w]')" \
		${#rows[@]} "rows with a name"
	{
		situations
		star_situations
		provider_situations
	} | awk '{ print $1 }' >"$SCRATCH/run"
	printf '%s\n' $CONDITIONS >>"$SCRATCH/run"
	sed -nE 's/^case_(.*)\(\).*/\1/p' "$ROOT"/tests/integration/promise*.t |
		tr _ - >>"$SCRATCH/run"
	for row in "${rows[@]}"; do
		grep -qxF -- "$row" "$SCRATCH/run" || fail "nothing runs the row $row"
	done
}

case_postfix_is_well() {
	refute_match "$(<"$MAIL_LOG")" 'panic:|fatal:|killed by signal'
}
