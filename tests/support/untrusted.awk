# untrusted.awk: what a process of uid 0 did with files that another user owns
# or may write, from the output of
#
#   strace -f -y -o FILE -e trace=%process,openat,open,mmap,flock,fcntl,\
#       setuid,setreuid,setresuid
#
# awk -v dirs='/run/mxhop /var/lib/mxhop' -f untrusted.awk FILE
#
# Each such file below `dirs` may only be opened for reading, with O_NONBLOCK
# and O_NOFOLLOW, and is never mapped or locked. One line for each fault, and
# at the end how often root opened one at all.

BEGIN { n_dirs = split(dirs, dir, " ") }

# A call that another thread interrupted is on two lines.
/<unfinished \.\.\.>$/ {
	sub(/ *<unfinished \.\.\.>$/, "")
	begun[$1] = $0
	next
}
/<\.\.\. [a-z0-9_]+ resumed>/ {
	rest = $0
	sub(/^.*resumed>/, "", rest)
	$0 = begun[$1] rest
}

{ pid = $1 }

/ (clone|clone3|fork|vfork)\(.* = [0-9]+/ {
	match($0, / = [0-9]+/)
	euid[substr($0, RSTART + 3, RLENGTH - 3)] = euid[pid]
}

/ setuid\([0-9]+\) += 0/ { match($0, /\([0-9]+/); euid[pid] = substr($0, RSTART + 1, RLENGTH - 1) }
/ set(re|res)uid\(.*\) += 0/ {
	split($0, part, /[(,)] */)
	if (part[3] != "-1" && part[3] != "4294967295")
		euid[pid] = part[3]
}

function below(path,    i) {
	for (i = 1; i <= n_dirs; i++)
		if (index(path, dir[i] "/") == 1)
			return 1
	return 0
}

# Regular files of others, or that others may write; a directory is only
# passed through.
function untrusted(path,    command, line) {
	if (!below(path))
		return 0
	if (!(path in known)) {
		command = "stat -c '%u %A' '" path "' 2>/dev/null"
		line = "0 ----------"
		command | getline line
		close(command)
		known[path] = line ~ /^[1-9][0-9]* -/ || line ~ /^[0-9]+ -....w/ || line ~ /^[0-9]+ -.......w/
	}
	return known[path]
}

euid[pid] + 0 == 0 && / open(at)?\(/ && match($0, / = [0-9]+<[^>]*>/) {
	path = substr($0, RSTART, RLENGTH)
	sub(/^ = [0-9]+</, "", path)
	sub(/>$/, "", path)
	if (!untrusted(path) || /O_PATH/)
		next
	opened++
	if (/O_RDWR|O_WRONLY|O_CREAT|O_TRUNC/ || !/O_NONBLOCK/ || !/O_NOFOLLOW/)
		print "fault: " $0
}

euid[pid] + 0 == 0 && / (mmap|flock|fcntl)\(/ && match($0, /[0-9]+<[^>]*>/) {
	path = substr($0, RSTART, RLENGTH)
	sub(/^[0-9]+</, "", path)
	sub(/>$/, "", path)
	if (untrusted(path) && (!/ fcntl\(/ || /F_SETLK|F_OFD_SETLK|F_SETLEASE/))
		print "fault: " $0
}

END { print "opened " opened + 0 }
