# shellcheck shell=bash disable=SC2016
# `make demo', which is the first thing that a newcomer runs, on this ground.

# What it starts lives as long as the ground, and would hold a pipe open.
case_it_shows_what_it_should() {
	mkdir -p "$SCRATCH/demo"
	SCRATCH=$SCRATCH/demo "$ROOT/contrib/demo/demo" --inside >"$SCRATCH/shown" 2>&1 ||
		fail "$(tail -n 20 "$SCRATCH/shown")"
	assert_match "$(<"$SCRATCH/shown")" 'everything above has been checked'
	assert_eq "$(grep -c '^\$ ' "$SCRATCH/shown")" 13 commands
}
