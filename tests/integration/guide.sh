# shellcheck shell=bash disable=SC2016
# guide.sh: types in the commands of a guide of docs and compares what they print.
# A file.t reads it at its top, defines what stands in for what only a real
# machine has, and says in one case: guide_works docs/FILE.md

# Numbers, times and ids that are another machine's. Empty lines do not count.
same_ids() {
	sed -E '/^$/d; s/\b([GU]ID) [0-9]+/\1 N/g; s/\(id [0-9a-f]{8}\)/(id N)/
		s/\b[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z/TIME/g
		s/\b(TTL |for )[0-9]+( s)?/\1N/g; s/\b[0-9]+ s old/N old/'
}

# What a line of the guide is typed as.
typed_as() { printf '%s\n' "$1"; } # COMMAND

# What happens elsewhere when the guide has come to a paragraph.
meanwhile() { :; } # TEXT

# Runs COMMAND in this shell, so that `cd` lasts, and compares what it prints.
type_in() { # COMMAND EXPECTED
	local output status=0
	set +o pipefail # as in a shell that somebody types at
	eval "$(typed_as "$1")" >"$SCRATCH/typed" 2>&1 || status=$?
	set -o pipefail
	output=$(same_ids <"$SCRATCH/typed")
	[[ $output == "$(same_ids <<<"$2")" ]] ||
		fail "# $1"$'\n'"printed:"$'\n'"$output"$'\n'"expected:"$'\n'"$2"
	[[ $status -eq 0 ]] || fail "# $1: status $status"
}

session() { # LINE...
	local command='' expected='' line
	for line; do
		if [[ $line == '# '* ]]; then
			[[ ! $command ]] || type_in "$command" "$expected"
			command=${line#'# '} expected=''
		else
			expected+=${expected:+$'\n'}$line
		fi
	done
	type_in "$command" "$expected"
}

# A block is a session, or what to write into the file named just before.
block() { # TEXT-BEFORE LINE...
	local before=$1
	shift
	if [[ $1 == '# '* ]]; then
		session "$@"
	else
		assert_match "$before" '`([^`]+)`:$' "text before $1"
		printf '%s\n' "$@" >"${BASH_REMATCH[1]}"
	fi
}

guide_works() { # FILE
	local line text='' last='' lines=() blocks=0 guide
	mapfile -t guide < <(cat "$ROOT/$1" && echo end)
	cd "$SCRATCH" || exit
	for line in "${guide[@]}"; do
		if [[ $line == '    '* ]]; then
			[[ ${#lines[@]} -gt 0 ]] || meanwhile "$text"
			lines+=("${line#    }")
			continue
		fi
		if [[ ${#lines[@]} -gt 0 && $line ]]; then
			block "$text" "${lines[@]}"
			lines=() text='' blocks=$((blocks + 1))
		fi
		[[ ! $line ]] || text=${last:+$text }$line
		last=$line
	done
	assert_eq "$blocks" "$(grep -c '^$' <(sed -n '/^    /,/^$/p' "$ROOT/$1"))" blocks
}
