set -u
umask 077
LC_ALL=C
export LC_ALL

# durable PATH: sync one file or directory, or everything where sync takes no names.
durable() { sync "$1" 2>/dev/null || sync; }

# sync_tree PATH: write back the whole file system that holds a directory.
sync_tree() {
	if [ ! -d "$1" ]; then printf '%s is not a directory\n' "$1" >&2; return 1; fi
	sync -f "$1" 2>/dev/null || sync
}

# parent PATH: the directory of an absolute path.
parent() { printf '%s/' "${1%/*}"; }

# absent PATH: true when there is surely nothing. When that cannot be known, what is done next fails with the reason.
absent() {
	if [ -e "$1" ] || [ -h "$1" ]; then return 1; fi
	said=$(ls -d "$1" 2>&1 >/dev/null) || :
	case $said in
	*"No such file"*|*"Not a directory"*|*"not found"*|*"does not exist"*) return 0 ;;
	esac
	printf '%s\n' "$said" >&2
	return 1
}

# numbers PATH: size and modification time of the file itself, in bytes and seconds.
numbers() { stat -c '%s %Y' "$1" 2>/dev/null || stat -f '%z %m' "$1"; }

# mode PATH: permission bits in octal.
mode() { stat -L -c '%a' "$1" 2>/dev/null || stat -L -f '%Lp' "$1"; }

# read_file PATH MAX
read_file() {
	if absent "$1"; then printf 'missing\n'; return; fi
	if [ ! -e "$1" ]; then return 1; fi
	if [ ! -f "$1" ]; then printf 'irregular\n'; return; fi
	printf 'file %s\n' "$(mode "$1")" && head -c "$(($2 + 1))" "$1"
}

# write_file PATH MODE SIZE CONTENT: CONTENT is escaped for printf.
write_file() {
	if [ -d "$1" ]; then printf '%s is a directory\n' "$1" >&2; return 1; fi
	new=$(parent "$1").barman-$$.tmp
	rm -f "$new" &&
		printf '%b' "$4" >"$new" &&
		[ "$(($(wc -c <"$new")))" -eq "$3" ] &&
		chmod "$2" "$new" &&
		durable "$new" &&
		mv -f "$new" "$1" &&
		durable "$(parent "$1")" && return 0
	rm -f "$new"
	return 1
}

# make_dirs MODE PATH...: each one level below the one before; MODE is for the last.
make_dirs() {
	last=$1
	shift
	while [ $# -gt 0 ]; do
		if [ ! -d "$1" ]; then
			mkdir "$1" || return 1
			if [ $# -eq 1 ]; then chmod "$last" "$1" || return 1; fi
			durable "$(parent "$1")" || return 1
		fi
		shift
	done
}

# make_link PATH TARGET
make_link() {
	if [ -h "$1" ]; then
		rm -f "$1" || return 1
	elif [ -e "$1" ]; then
		printf '%s exists and is not a link\n' "$1" >&2
		return 1
	fi
	ln -s -- "$2" "$1" && durable "$(parent "$1")"
}

# remove PATH
remove() {
	if absent "$1"; then return 0; fi
	if [ -d "$1" ] && [ ! -h "$1" ]; then rmdir "$1"; else rm -f "$1"; fi && durable "$(parent "$1")"
}

# move PATH TARGET: mv would move into a directory.
move() {
	if [ -h "$2" ]; then
		rm -f "$2" || return 1
	elif [ -d "$2" ]; then
		rmdir "$2" || return 1
	fi
	mv -f "$1" "$2" && durable "$(parent "$2")" && durable "$(parent "$1")"
}

# look PATH: "type size mtime entries writable|df line".
look() {
	kind=missing numbers='0 0' entries=0 writable=0
	if ! absent "$1"; then
		if [ -h "$1" ]; then kind=symlink
		elif [ -f "$1" ]; then kind=file
		elif [ -d "$1" ]; then kind=directory
		else kind=other; fi
		numbers=$(numbers "$1") || return 1
	fi
	if [ "$kind" = directory ]; then
		ls -A "$1" >/dev/null || return 1
		if [ "$(($(ls -A "$1" | head -c 1 | wc -c)))" -gt 0 ]; then entries=1; fi
	fi
	dir=$1
	while [ ! -d "$dir" ]; do
		dir=${dir%/*}
		if [ -z "$dir" ]; then dir=/; fi
	done
	if [ -w "$dir" ] && [ -x "$dir" ]; then writable=1; fi
	printf '%s %s %s %s|%s\n' "$kind" "$numbers" "$entries" "$writable" "$(df -Pk "$dir" | tail -n 1)"
}

# step FUNCTION ARGUMENT...: one change, unless an earlier one failed. What it complains about is part of the answer.
going=1
step() {
	if [ "$going" = 0 ]; then return 0; fi
	if "$@" 2>&1; then printf '%s+\n' "$mark"; else going=0; fi
}
