# shellcheck shell=bash disable=SC2016
# `make install' over an installation that is in use.

setup() {
	"${CC:-cc}" -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -g \
		-o "$SCRATCH/dlhost" "$ROOT/tests/support/dlhost.c" -ldl
	printf 'cache = none\n' >/etc/mxhop/mxhop.cf
	make -s -C "$ROOT" install DESTDIR="$SCRATCH/root" >&2
	# What `make install' does about two of the files, again.
	make -n -C "$ROOT" install DESTDIR="$SCRATCH/root" |
		sed -e ':join' -e '/\\$/N' -e 's/\\\n//' -e 't join' |
		grep -E '/(exim-mxhop\.so|bin/mxhop) ' >"$SCRATCH/again"
	assert_eq "$(wc -l <"$SCRATCH/again")" 2
}

# Like the processes of a busy MTA, each of which loads what lies there now.
ask_again_and_again() {
	local at=$SCRATCH/root/usr/local
	while [[ ! -e $SCRATCH/enough ]]; do
		"$SCRATCH/dlhost" "$at/lib/mxhop/exim-mxhop.so" <<<'mxhop_route [192.0.2.1]' |
			grep '^4 address literal$' >/dev/null || echo "plugin: ${PIPESTATUS[*]}"
		"$at/bin/mxhop" --version >/dev/null || echo "command: $?"
	done >"$SCRATCH/asked" 2>&1
}

# With install(1) alone a round in twenty meets half a file, or none.
case_install_over_what_is_in_use() {
	local round rounds=50 asker
	[[ ! ${MXHOP_LONG:-} ]] || rounds=300
	ask_again_and_again &
	asker=$!
	for ((round = 0; round < rounds; round++)); do
		bash -e "$SCRATCH/again"
	done
	touch "$SCRATCH/enough"
	wait "$asker"
	assert_eq "$(head -n 5 "$SCRATCH/asked")" '' "those who asked meanwhile"
	assert_eq "$(find "$SCRATCH/root" -name '.*.new')" ''
}
