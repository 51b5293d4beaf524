# shellcheck shell=bash
# lib.sh: what the benches are written with. One script a figure; each sources
# this first, and is then run in the namespaces of tests/support/ground, alone
# or by tests/bench/bench. What it prints is kept in build/bench/NAME.txt, and
# where it fails its logs in build/bench/NAME.logs.
#
# A bench ends with a status other than 0 if it could not measure, or if
# something is not so that no slow machine explains (`must`). A missed target
# of time or size is printed as MISSED.

set -euo pipefail
BENCH_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BENCH=${0##*/}
export MXHOP_BUILD=${MXHOP_BUILD:-$(realpath "$BENCH_DIR/../..")/build}
BENCH_OUT=$MXHOP_BUILD/bench

if [[ ${MXHOP_GROUND:-} != "$BENCH" ]]; then
	mkdir -p "$BENCH_OUT"
	rm -rf "${BENCH_OUT:?}/$BENCH.logs"
	MXHOP_GROUND=$BENCH SCRATCH=/run/bench "$BENCH_DIR/../support/ground" \
		"$(realpath "$0")" 2>"$BENCH_OUT/$BENCH.err" | tee "$BENCH_OUT/$BENCH.txt"
	status=${PIPESTATUS[0]}
	[[ $status -eq 0 ]] || {
		echo "  FAILED: see $BENCH_OUT/$BENCH.err" | tee -a "$BENCH_OUT/$BENCH.txt"
		tail -n 5 "$BENCH_OUT/$BENCH.err" >&2
	}
	exit "$status"
fi

# shellcheck source=tests/integration/lib.sh
. "$BENCH_DIR/../integration/lib.sh"
PROGRAMS=$MXHOP_BUILD/tests/bench
FAULTDNS=$PROGRAMS/faultdns
# shellcheck disable=SC2034 # for tests/integration/ldap.sh
FAULTLINK=$PROGRAMS/faultlink
cd "$SCRATCH"

keep_logs() {
	[[ $? -ne 0 ]] || return 0
	mkdir -p "$BENCH_OUT/$BENCH.logs"
	cp "$SCRATCH"/*.log "$BENCH_OUT/$BENCH.logs/"
}
trap keep_logs EXIT
set -E
trap 'echo "${BASH_SOURCE[0]##*/}:$LINENO: status $?: $BASH_COMMAND" >&2' ERR

# --- time and statistics ---

# Sets ELAPSED_US. Output is the caller's to redirect.
# shellcheck disable=SC2034
timed() { # COMMAND...
	local from=${EPOCHREALTIME/./}
	"$@"
	ELAPSED_US=$((${EPOCHREALTIME/./} - from))
}

# Of numbers on standard input, one a line.
quantile() { # PERCENT
	sort -g | awk -v p="$1" '{ v[NR] = $1 }
		END { i = int(NR * p / 100 + 0.999999); print v[i < 1 ? 1 : i] }'
}
median() { quantile 50; }

divide() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f\n", a / b }'; } # A B

# Line by line, then the median of the quotients.
median_ratio() { # FILE-A FILE-B
	paste "$1" "$2" | awk '{ printf "%.4f\n", $1 / $2 }' | median
}

# --- output ---

say() { printf '%s\n' "$*"; }

holds() { awk -v a="$1" -v b="$3" "BEGIN { exit !(a $2 b) }"; } # A OP B

# A line of the result, with what was aimed at.
figure() { # WHAT VALUE UNIT [OP TARGET]
	local verdict=
	if [[ $# -gt 3 ]]; then
		verdict="target $4 $5: met"
		holds "$2" "$4" "$5" || verdict="target $4 $5: MISSED"
	fi
	printf '  %-46s %10s %-8s %s\n' "$1" "$2" "${3-}" "$verdict" | sed 's/ *$//'
}

# What no slow machine explains.
must() { # WHAT A OP B
	holds "$2" "$3" "$4" || fail "$1: $2 is not $3 $4"
}
