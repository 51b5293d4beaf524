# shellcheck shell=bash disable=SC2016
# ldap.sh: words for cases that need a directory: slapd, certificates, entries.
# A file.t reads it at its top: . "$ROOT/tests/integration/ldap.sh"
#
# The data of a slapd called NAME outlive it, in $SCRATCH/NAME.db, so that one
# can be stopped, given other options, and started again.

SUFFIX=dc=mxhop,dc=test
BASE=ou=mxhop,$SUFFIX
ADMIN=cn=admin,$SUFFIX
ADMIN_PW=admin-secret
READER=cn=mxhop-reader,$SUFFIX
READER_PW=reader-secret
CA=$SCRATCH/ca.pem

# --- certificates ---

# An authority of the case's own: $CA, with which certificates are made.
ldap_ca() {
	[[ ! -e $CA ]] || return 0
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca \
		-addext basicConstraints=critical,CA:TRUE \
		-addext keyUsage=critical,keyCertSign \
		-keyout "$SCRATCH/ca.key" -out "$CA" 2>/dev/null
	: >"$SCRATCH/ca.index"
	printf '%s\n' '[ca]' 'default_ca = d' '[d]' "database = $SCRATCH/ca.index" \
		"new_certs_dir = $SCRATCH/tmp" 'default_md = sha256' 'policy = p' \
		'rand_serial = yes' 'unique_subject = no' '[p]' 'commonName = supplied' \
		'[x]' 'subjectAltName = ${ENV::SAN}' >"$SCRATCH/ca.conf"
}

# $SCRATCH/NAME.pem and NAME.key, good for 127.0.0.1, NAME.mxhop.test, localhost
# (libldap takes that for this machine's name), and clients called CN=NAME. FROM
# and UNTIL are as in date -d: '2 days ago' '1 day ago' makes one that expired.
ldap_certificate() { # NAME [FROM UNTIL]
	local name=$1
	ldap_ca
	openssl req -new -newkey rsa:2048 -nodes -subj "/CN=$name" \
		-keyout "$SCRATCH/$name.key" -out "$SCRATCH/$name.csr" 2>/dev/null
	SAN="DNS:mta.mxhop.test,DNS:$name.mxhop.test,IP:127.0.0.1" openssl ca -batch \
		-config "$SCRATCH/ca.conf" -extensions x -notext \
		-cert "$CA" -keyfile "$SCRATCH/ca.key" \
		-startdate "$(date -u -d "${2:-1 hour ago}" +%Y%m%d%H%M%SZ)" \
		-enddate "$(date -u -d "${3:-1 day}" +%Y%m%d%H%M%SZ)" \
		-in "$SCRATCH/$name.csr" -out "$SCRATCH/$name.pem" 2>"$SCRATCH/ca.log" ||
		fail "certificate $name: $(<"$SCRATCH/ca.log")"
}

# --- slapd ---

slapd_modules() { # slapd.conf
	printf 'moduleload %s\n' back_mdb
	sed -nE 's/^overlay ([a-z]+).*/moduleload \1/p' "$1"
}

# Each provider consumes the others; all of a set have the same list, and know
# themselves in it by their own addresses.
slapd_peers() { # URI...
	local uri rid=1
	for uri; do
		printf '%s' "syncrepl rid=$((rid++)) provider=$uri searchbase=$SUFFIX" \
			' type=refreshAndPersist retry="1 +" keepalive=2:2:1' \
			" bindmethod=simple binddn=$ADMIN credentials=$ADMIN_PW" \
			' network-timeout=2 timeout=2' $'\n'
	done
	[[ $# -eq 0 ]] || echo 'multiprovider on'
}

# What is particular to the database, in slapd.conf(5).
slapd_database() { # NAME
	local access=${opt[access]:-}
	printf '%s\n' 'database mdb' 'maxsize 4294967296' 'dbnosync' \
		"directory $SCRATCH/$1.db" "suffix $SUFFIX" \
		"rootdn $ADMIN" "rootpw $ADMIN_PW" 'index objectClass,cn eq' \
		'index entryCSN,entryUUID eq' 'index mxhopKey eq' "limits ${opt[limits]}"
	[[ ! $access ]] || printf 'access %s\n' "$access"
	printf '%s\n' "access to attrs=userPassword by anonymous auth by * none" \
		'access to * by * read'
	slapd_peers ${peers[@]+"${peers[@]}"}
	if [[ ${opt[syncprov]-} ]]; then
		echo 'overlay syncprov'
		[[ ${opt[syncprov]} -eq 0 ]] || echo "syncprov-sessionlog ${opt[syncprov]}"
	fi
	[[ ! ${database[*]-} ]] || printf '%s\n' "${database[@]}"
}

slapd_conf() { # NAME
	local tls=${opt[tls]:-}
	printf 'include /etc/ldap/schema/%s.schema\n' core cosine inetorgperson misc
	echo "include ${opt[schema]:-$ROOT/contrib/ldap/mxhop.schema}"
	printf '%s\n' 'modulepath /usr/lib/ldap' "pidfile $SCRATCH/$1.pid" \
		'threads 4' 'sizelimit 500' "serverID ${opt[id]}"
	[[ ! $tls ]] || printf '%s\n' "TLSCACertificateFile $CA" \
		"TLSCertificateFile $SCRATCH/$tls.pem" \
		"TLSCertificateKeyFile $SCRATCH/$tls.key" "TLSVerifyClient allow"
	[[ ! ${global[*]-} ]] || printf '%s\n' "${global[@]}"
	slapd_database "$1" >"$SCRATCH/$1.database"
	slapd_modules "$SCRATCH/$1.database"
	cat "$SCRATCH/$1.database"
}

slapd_base() {
	printf '%s\n' "dn: $SUFFIX" 'objectClass: dcObject' \
		'objectClass: organization' 'dc: mxhop' 'o: test' '' \
		"dn: $BASE" 'objectClass: organizationalUnit' 'ou: mxhop' '' \
		"dn: $READER" 'objectClass: organizationalRole' \
		'objectClass: simpleSecurityObject' 'cn: mxhop-reader' \
		"userPassword: $READER_PW"
}

ldapi_uri() { echo "ldapi://%2Frun%2Fslapd%2F$1"; } # NAME

slapd_answers() { # NAME
	ldapsearch -x -LLL -H "$(ldapi_uri "$1")" -o nettimeout=1 \
		-s base -b '' 1.1 >/dev/null 2>&1
}

# Starts slapd in the background, to be stopped with `stop NAME`. It holds
# $SUFFIX with an empty $BASE, unless it held something before. Options:
#   address=A port=N   where it listens besides ldapi_uri (127.0.0.1, 389)
#   tls=CERT           StartTLS with this ldap_certificate
#   tls_port=N         and ldaps there
#   syncprov=N         RFC 4533, with a session log of N entries (0: none)
#   limits=TEXT        instead of unlimited, as behind `limits` in slapd.conf(5)
#   access=TEXT        a first access rule
#   id=N peer=URI...   one of several providers, and all of them
#   empty=yes          without $SUFFIX: it comes from a peer
#   schema=FILE        instead of ours
#   global=LINE... database=LINE...   more of slapd.conf(5); an overlay among
#                      them sees an operation first
start_slapd() { # NAME [OPTION=VALUE...]
	local name=$1 o
	local -A opt=([address]=127.0.0.1 [port]=389 [id]=0 [limits]='* size=unlimited')
	local peers=() global=() database=() urls
	shift
	for o; do
		case $o in
		peer=*) peers+=("${o#*=}") ;;
		global=*) global+=("${o#*=}") ;;
		database=*) database+=("${o#*=}") ;;
		*=*) opt[${o%%=*}]=${o#*=} ;;
		*) fail "start_slapd: $o" ;;
		esac
	done
	stop "$name"
	mkdir -p /run/slapd "$SCRATCH/$name.db"
	slapd_conf "$name" >"$SCRATCH/$name.conf"
	urls="$(ldapi_uri "$name") ldap://${opt[address]}:${opt[port]}"
	[[ ! ${opt[tls_port]-} ]] || urls+=" ldaps://${opt[address]}:${opt[tls_port]}"
	echo "$urls" >"$SCRATCH/$name.urls"
	[[ ${opt[empty]-} || -e $SCRATCH/$name.db/data.mdb ]] ||
		slapd_base | slapd_load "$name"
	restart_slapd "$name"
}

# As Debian installs it: configured in cn=config, which root may change, and with
# $SUFFIX, but nothing below. Started, stopped and asked like others.
install_slapd() { # NAME URL
	local name=$1
	mkdir -p /run/slapd "$SCRATCH/$name".{db,d}
	sed "s/@SUFFIX@/$SUFFIX/; s/@PASSWORD@/$ADMIN_PW/
		s|^olcDbDirectory: .*|olcDbDirectory: $SCRATCH/$name.db|
		s/^olcLogLevel: .*/olcLogLevel: stats sync/" \
		/usr/share/slapd/slapd.init.ldif | slapadd -n 0 -F "$SCRATCH/$name.d"
	printf '%s\n' "dn: $SUFFIX" 'objectClass: dcObject' \
		'objectClass: organization' 'dc: mxhop' 'o: test' |
		slapadd -n 1 -F "$SCRATCH/$name.d"
	echo "$(ldapi_uri "$name") $2" >"$SCRATCH/$name.urls"
	restart_slapd "$name"
}

# Not by ldapdelete: with syncprov that is a change as others are.
empty_slapd() { # NAME
	stop "$1"
	rm "$SCRATCH/$1.db"/*.mdb
	restart_slapd "$1"
}

ldap_as_root() { # COMMAND NAME [OPTION...]
	local command=$1 name=$2
	shift 2
	"$command" -Q -Y EXTERNAL -H "$(ldapi_uri "$name")" "$@"
}

# As it was started last, with the data that it had.
restart_slapd() { # NAME
	local name=$1 settings=(-f "$SCRATCH/$1.conf")
	[[ ! -d $SCRATCH/$name.d ]] || settings=(-F "$SCRATCH/$name.d")
	stop "$name"
	spawn "$name" slapd -d stats -h "$(<"$SCRATCH/$name.urls")" "${settings[@]}"
	eventually 10 slapd_answers "$name" ||
		fail "slapd $name: $(tail -n 3 "$SCRATCH/$name.log")"
}

# Adds entries to the data of a slapd that does not run; fast.
slapd_load() { # NAME < LDIF
	! alive "$1" || fail "slapd_load: $1 runs"
	slapadd -q -w -f "$SCRATCH/$1.conf" >"$SCRATCH/slapadd.log" 2>&1 ||
		fail "slapadd: $(tail -n 3 "$SCRATCH/slapadd.log")"
}

# No data, as new.
wipe_slapd() { # NAME
	stop "$1"
	rm -rf "${SCRATCH:?}/$1.db"
}

# It takes connections (the kernel does) but says nothing until it is thawed.
# Not before all threads stand still: one may be about to answer.
freeze() { # NAME
	local pid
	pid=$(cat "$SCRATCH/pids/$1")
	kill -STOP "$pid"
	eventually 5 stands_still "$pid" || fail "$1 does not stop"
}
stands_still() { ! grep -qv '^State:.T' <(grep -h '^State:' "/proc/$1/task/"*/status); } # PID
thaw() { kill -CONT "$(cat "$SCRATCH/pids/$1")"; }   # NAME

# A link to a directory that breaks as RULE says, see tests/support/faultlink.c;
# fault_rule changes the rule for the connections to come.
fault_rule() { echo "$2" >"$SCRATCH/rules/$1"; } # NAME RULE

start_faultlink() { # NAME ADDRESS:PORT TO:PORT RULE
	fault_rule "$1" "$4"
	spawn "$1" "$FAULTLINK" "$2" "$3" "$SCRATCH/rules/$1"
	eventually 5 smtp_listening "${2%:*}" "${2##*:}" || fail "$1: $(<"$SCRATCH/$1.log")"
}

# --- entries ---

ldap_as_admin() { # COMMAND NAME [OPTION...]
	local command=$1 name=$2
	shift 2
	"$command" -x -H "$(ldapi_uri "$name")" -D "$ADMIN" -w "$ADMIN_PW" "$@"
}

ldap_add() { ldap_as_admin ldapadd "$1" >/dev/null; }       # NAME < LDIF
ldap_modify() { ldap_as_admin ldapmodify "$1" >/dev/null; } # NAME < CHANGES

ldap_delete() { # NAME CN...
	local name=$1
	shift
	printf '%s\n' "${@/%/,$BASE}" | sed 's/^/cn=/' | ldap_as_admin ldapdelete "$name"
}

ldap_rename() { # NAME CN NEW-CN
	ldap_as_admin ldapmodrdn "$1" -r "cn=$2,$BASE" "cn=$3"
}

# Replaces all values of an attribute by these; none deletes it.
ldap_set() { # NAME CN ATTRIBUTE [VALUE...]
	local name=$1 cn=$2 attribute=$3
	shift 3
	{
		printf '%s\n' "dn: cn=$cn,$BASE" 'changetype: modify' "replace: $attribute"
		[[ $# -eq 0 ]] || printf "$attribute: %s\n" "$@"
	} | ldap_modify "$name"
}

# LDIF of one override. A word with = is an attribute without its `mxhop`, as
# in Mode=prepend; others are hops. KEY may be `-`: none.
override() { # CN KEY [HOP|Attribute=VALUE...]
	local word
	printf '%s\n' "dn: cn=$1,$BASE" 'objectClass: mxhopOverride' "cn: $1"
	[[ $2 == - ]] || echo "mxhopKey: $2"
	shift 2
	for word; do
		[[ $word == [A-Z]*=* ]] || word=Hop=$word
		echo "mxhop${word%%=*}: ${word#*=}"
	done
	echo
}

# LDIF of overrides nFROM to nTO: dN.bulk.test goes to 192.0.2.(N modulo 250).
bulk_overrides() { # FROM TO
	awk -v base="$BASE" -v from="$1" -v to="$2" 'BEGIN {
		for (i = from; i <= to; i++)
			printf "dn: cn=n%d,%s\nobjectClass: mxhopOverride\ncn: n%d\n" \
				"mxhopKey: d%d.bulk.test\nmxhopHop: [192.0.2.%d]\n\n",
				i, base, i, i, i % 250
	}'
}

# --- services ---

unit_value() { # UNIT NAME
	sed -nE "s/^$2=//p" "/usr/local/lib/systemd/system/$1"
}

# As systemd would run it, a command of UNIT (installed by make install): as its
# user, without privileges, with a state directory of its own.
prepare_unit() { # UNIT
	local user group dir
	user=$(unit_value "$1" User) group=$(unit_value "$1" Group)
	dir=/var/lib/$(unit_value "$1" StateDirectory)
	install -d -m "$(unit_value "$1" StateDirectoryMode)" "$dir"
	[[ $(stat -c %U "$dir") == "$user" ]] || chown -R "$user:$group" "$dir"
	UNIT=(env -i "PATH=$PATH" bash -c 'umask $0; exec "$@"'
		"$(unit_value "$1" UMask)" setpriv --reuid "$user" --regid "$group"
		--groups "$group"
		--no-new-privs --bounding-set=-all --inh-caps=-all)
}

run_unit() { # UNIT
	prepare_unit "$1"
	# shellcheck disable=SC2046 # the words of the command
	"${UNIT[@]}" $(unit_value "$1" ExecStart)
}

start_unit() { # UNIT
	prepare_unit "$1"
	# shellcheck disable=SC2046
	spawn "$1" "${UNIT[@]}" $(unit_value "$1" ExecStart)
}
