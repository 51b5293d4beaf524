#!/bin/bash
# deps.sh [build|test|lint|bench|all]: install what is needed, say nothing if
# nothing is missing.
#
# Tools and libraries are installed with apt. Mail and name servers never are
# (a newcomer's own mail server is sacred, and Debian's Postfix and Exim exclude
# each other): they are downloaded, with whatever they need that the machine
# lacks, and unpacked below build/mta: into root, which tests/support/ground lays
# over the system, and exim, which tests that want Exim lay over that, as a bench
# does with sts-resolver. Newer releases of Postfix come with their own C library,
# from other suites of Debian that the machine's apt knows nothing of, before or
# after.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
mta=${MXHOP_MTA:-$root/build/mta}

build_packages=(gcc make pkg-config libc6-dev libidn2-dev
	libldap-dev libxxhash-dev libpsl-dev libjansson-dev
	libcurl4-openssl-dev)
test_packages=(check valgrind iproute2 util-linux procps strace openssl
	python3 faketime)
lint_packages=(clang-format-14 cppcheck mandoc shellcheck clang-14 clang
	libclang-rt-14-dev)
daemons=(postfix postfix-lmdb postfix-cdb nsd unbound bind9-dnsutils dnsperf
	ldnsutils slapd ldap-utils systemd)
exim=(exim4-daemon-heavy)
resolver=(postfix-mta-sts-resolver)
suites=(trixie sid) # whose Postfix is unpacked as postfix-SUITE

installed() { # PACKAGE
	[[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null) == ii* ]]
}

missing_of() { # PACKAGE...
	local p
	for p; do
		installed "$p" || printf '%s\n' "$p"
	done
}

is_debian() { grep -qs '^ID=debian$' /etc/os-release; }

apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"
}

# Package lists may be absent (a fresh container) or too old to download from.
with_fresh_lists() { # COMMAND...
	"$@" >"$log" 2>&1 && return
	apt update >"$log" 2>&1 && "$@" >"$log" 2>&1 && return
	cat "$log" >&2
	return 1
}

refuse() { # WHAT...
	printf 'mxhop needs these Debian 12 packages, to be installed by root:\n' >&2
	printf '  %s\n' "$@" >&2
	exit 1
}

# None of ours brings a service, but one of their dependencies may one day.
forbid_services() {
	[[ -e /usr/sbin/policy-rc.d ]] && return
	policy=/usr/sbin/policy-rc.d
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
}

install_packages() { # PACKAGE...
	local missing
	mapfile -t missing < <(missing_of "$@")
	[[ ${#missing[@]} -eq 0 ]] && return
	if [[ $(id -u) -ne 0 ]] || ! is_debian; then
		refuse "${missing[@]}"
	fi
	echo "installing ${missing[*]}"
	forbid_services
	with_fresh_lists apt --no-install-recommends install "${missing[@]}"
}

# What apt would install for PACKAGES here, without doing it. Upgrades of what
# the machine already has (a version in brackets) are left out.
closure() { # PACKAGE...
	{
		printf '%s\n' "$@"
		apt-get -s --no-install-recommends install "$@" |
			awk '/^Inst/ && $3 ~ /^\(/ { print $2 }'
	} | sort -u
}

download_closure() { # PACKAGE...
	local packages
	packages=$(closure "$@") || return
	# The sandbox user could not write here; as root is fine for a temporary place.
	# shellcheck disable=SC2086 # one word a package
	(cd "$new" && apt-get -q -o APT::Sandbox::User=root download $packages)
}

# Postfix of SUITE and the libraries that it needs, from lists that live as long
# as this program. The libraries run the machine's own programs as well.
download_of_suite() { # SUITE
	local lists=$new/lists options packages
	mkdir -p "$lists"/{state/lists/partial,cache/archives/partial}
	: >"$lists/status"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
		"http://deb.debian.org/debian $1 main" >"$lists/sources.list"
	options=(-q -o APT::Sandbox::User=root -o Acquire::Languages=none
		-o "Dir::State=$lists/state" -o "Dir::State::status=$lists/status"
		-o "Dir::Cache=$lists/cache" -o Dir::Etc::sourceparts=-
		-o "Dir::Etc::sourcelist=$lists/sources.list"
		-o Dir::Etc::preferencesparts=- -o Dir::Etc::preferences=-)
	apt-get "${options[@]}" update || return
	packages=$(apt-get "${options[@]}" -s --no-install-recommends install postfix |
		awk '$1 == "Inst" && $2 ~ /^(lib|zlib|postfix)/ &&
			$2 !~ /^lib(systemd-shared|c-gconv|pam-modules)/ { print $2 }') || return
	# shellcheck disable=SC2086 # one word a package
	(cd "$new" && apt-get "${options[@]}" download $packages)
}

# A half unpacked tree must never be taken for a whole one: rename at the end.
# Nor one of a shorter list: .complete holds what was asked for.
unpack() { # TREE DOWNLOAD-FUNCTION WHAT...
	local deb tree=$mta/$1 marker=$mta/$1/.complete download=$2
	shift 2
	[[ -e $marker && $(<"$marker") == "$*" ]] && return
	is_debian || refuse "$@"
	echo "unpacking $* into $tree"
	mkdir -p "$mta"
	new=$(mktemp -d "$mta/new.XXXXXX")
	with_fresh_lists "$download" "$@"
	mkdir -p "$new/root/usr"
	for deb in "$new"/*.deb; do
		dpkg -x "$deb" "$new/root"
		# shellcheck disable=SC2016 # words of dpkg-deb
		dpkg-deb -W --showformat='${Package} ${Version}\n' "$deb" \
			>>"$new/root/.versions"
	done
	merge_usr "$new/root"
	chmod 755 "$new/root"
	echo "$*" >"$new/root/.complete"
	[[ ! -e $tree ]] || mv "$tree" "$new/old"
	mv "$new/root" "$tree"
	rm -rf "$new"
}

# /lib and friends are links on a Debian 12 machine, but not in its packages.
merge_usr() { # TREE
	local d
	for d in bin sbin lib lib64; do
		[[ -d $1/$d ]] || continue
		mkdir -p "$1/usr/$d"
		cp -a "$1/$d/." "$1/usr/$d/"
		rm -r "${1:?}/$d"
	done
}

cleanup() {
	rm -f "$log" ${policy:+"$policy"}
	rm -rf ${new:+"$new"}
}

what=${1:-all}
packages=("${build_packages[@]}")
need_daemons='' need_resolver=''
case $what in
build) ;;
test | bench)
	packages+=("${test_packages[@]}")
	need_daemons=yes
	[[ $what == test ]] || need_resolver=yes
	;;
lint) packages+=("${lint_packages[@]}") ;;
all)
	packages+=("${test_packages[@]}" "${lint_packages[@]}")
	need_daemons=yes need_resolver=yes
	;;
*)
	echo "usage: deps.sh [build|test|lint|bench|all]" >&2
	exit 64
	;;
esac

log=$(mktemp)
policy='' new=''
trap cleanup EXIT
mkdir -p "$root/build"
exec 9>"$root/build/.deps.lock"
flock 9
install_packages "${packages[@]}"
if [[ $need_daemons ]]; then
	unpack root download_closure "${daemons[@]}"
	unpack exim download_closure "${exim[@]}"
	for suite in "${suites[@]}"; do
		unpack "postfix-$suite" download_of_suite "$suite"
	done
fi
[[ ! $need_resolver ]] || unpack sts-resolver download_closure "${resolver[@]}"
