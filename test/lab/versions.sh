#!/bin/bash
# versions.sh [CACHE] - fetch the PostgreSQL and Barman versions that this machine's distribution does not have.
#
# For each Debian suite in the table below it makes a small system with debootstrap, installs the packages there, and copies
# out what tests run natively, as any user, beside the programs of this machine:
#
#   CACHE/chroot/SUITE/          the system itself
#   CACHE/pg/MAJOR/bin/          postgres, initdb, pg_basebackup, …
#   CACHE/barman/X.Y/bin/        barman and the barman-cli commands in Python
#   CACHE/pgbackrest/X.Y/bin/    pgbackrest
#
# The copies bring their libraries and the matching dynamic loader; patchelf writes both paths into the programs, so CACHE
# must not be moved afterwards. The share directory keeps its place relative to bin, where PostgreSQL looks for it.
#
# CACHE is the argument, $BARMAN_TEST_CACHE, or /var/cache/barman-test; the package lab looks in the last two. Packages come
# from the mirror that apt is configured for. What is complete already is not touched: run it as often as you like, and
# remove a directory to have it made anew. Needs root, debootstrap, patchelf, and about 2 GB.
set -euo pipefail
umask 022

cache=${1:-${BARMAN_TEST_CACHE:-/var/cache/barman-test}}

# suite, packages
suites=(
	"trixie postgresql-17 barman barman-cli python3-zstandard python3-lz4 python3-snappy"
	"forky postgresql-18 barman barman-cli pgbackrest python3-zstandard python3-lz4 python3-snappy"
	"bullseye postgresql-13"
)

say() { printf '%s\n' "versions: $*"; }
fail() { printf '%s\n' "versions: $*" >&2; exit 1; }

# mirror prints the URI of the Debian archive that apt uses here.
mirror() {
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sed -n '1{s#/*$##;p}'
}

# keyring prints the newest trustworthy keyring: that of a suite made before, whose packages were verified, or our own.
keyring() {
	local candidate
	for candidate in "$cache"/chroot/{forky,trixie}/usr/share/keyrings/debian-archive-keyring.{pgp,gpg} \
		/usr/share/keyrings/debian-archive-keyring.{pgp,gpg}; do
		if [ -e "$candidate" ]; then
			printf '%s\n' "$candidate"
			return
		fi
	done
	fail "no Debian keyring: apt-get install debian-archive-keyring"
}

# enter ROOT COMMAND… runs a command in a system; mounts vanish with it.
enter() {
	unshare --mount --propagation private -- sh -c '
		root=$1; shift
		mount -t proc proc "$root/proc"
		exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"' sh "$@"
}

make_system() { # SUITE PACKAGES…
	local suite=$1 root="$cache/chroot/$1" script
	shift
	if [ ! -d "$root" ]; then
		say "$suite: debootstrap"
		script=/usr/share/debootstrap/scripts/$suite
		[ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid # a suite newer than our debootstrap
		rm -rf "$root.new"
		debootstrap --variant=minbase --keyring="$(keyring)" "$suite" "$root.new" "$uri" "$script" >"$cache/$suite.log" 2>&1 ||
			fail "debootstrap failed, see $cache/$suite.log"
		mv "$root.new" "$root"
	fi
	if [ -e "$root/.complete" ] && [ "$(cat "$root/.complete")" = "$*" ]; then
		return
	fi
	say "$suite: install $*"
	# Nothing is started in there, and no cluster is made.
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod 755 "$root/usr/sbin/policy-rc.d"
	mkdir -p "$root/etc/postgresql-common"
	echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.conf"
	cp /etc/resolv.conf "$root/etc/resolv.conf"
	# A mirror may serve a frozen state whose signature is still good but whose date has passed.
	local apt=(apt-get -q -y -o Acquire::Check-Valid-Until=false -o Dpkg::Options::=--force-confold)
	{
		enter "$root" "${apt[@]}" update &&
			enter "$root" dpkg --configure --pending &&
			enter "$root" "${apt[@]}" install --no-install-recommends "$@"
	} >>"$cache/$suite.log" 2>&1 || fail "installation failed, see $cache/$suite.log"
	echo "$*" >"$root/.complete"
}

# libraries ROOT FILE… prints the shared libraries (paths inside ROOT) that the files need, the loader among them. The files
# that are no dynamic programs are passed over.
libraries() {
	local root=$1
	shift
	enter "$root" ldd "$@" 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*ld-[^ ]*\) .*/\1/p' | sort -u || true
}

# bundle ROOT DEST FILE… copies the libraries of the files to DEST/libs, and makes the programs among the files (paths inside
# ROOT, copied to DEST before) use them.
bundle() {
	local root=$1 dest=$2 file loader
	shift 2
	mkdir -p "$dest/libs"
	# Name services are loaded by the C library itself, unseen by ldd.
	for file in $(libraries "$root" "$@") $(inside "$root" "/lib/*-linux-gnu/libnss_files.so.2" "/lib/*-linux-gnu/libnss_dns.so.2"); do
		# Read inside, where absolute symbolic links lead to the right place.
		enter "$root" cat "$file" >"$dest/libs/$(basename "$file")"
	done
	chmod 755 "$dest"/libs/*
	loader=$(basename "$(ls "$dest"/libs/ld-linux* | head -n 1)")
	for file in "$@"; do
		[ -f "$dest$file" ] && [ ! -L "$dest$file" ] || continue
		patchelf --print-interpreter "$dest$file" >/dev/null 2>&1 || continue
		# The old kind of path: it counts for the libraries' own needs and for modules loaded later, too.
		patchelf --force-rpath --set-rpath "$dest/libs" --set-interpreter "$dest/libs/$loader" "$dest$file"
	done
}

inside() { # ROOT GLOB… prints matching paths inside ROOT
	local root=$1 pattern path
	shift
	for pattern in "$@"; do
		for path in $root$pattern; do
			[ -e "$path" ] && printf '%s\n' "${path#"$root"}"
		done
	done
	return 0
}

copy_postgres() { # SUITE
	local root="$cache/chroot/$1" major dest
	for major in $(ls "$root/usr/lib/postgresql" 2>/dev/null); do
		dest="$cache/pg/$major"
		[ ! -e "$dest/.complete" ] || continue
		rm -rf "$dest"
		mkdir -p "$dest/usr/lib/postgresql" "$dest/usr/share/postgresql"
		cp -a "$root/usr/lib/postgresql/$major" "$dest/usr/lib/postgresql/"
		cp -a "$root/usr/share/postgresql/$major" "$dest/usr/share/postgresql/"
		# Just-in-time compilation brings 150 MB of LLVM; without its module PostgreSQL does without.
		rm -rf "$dest/usr/lib/postgresql/$major/lib/"{llvmjit*,bitcode}
		bundle "$root" "$dest" $(inside "$root" "/usr/lib/postgresql/$major/bin/*" "/usr/lib/postgresql/$major/lib/*.so" |
			grep -v llvmjit)
		ln -s "usr/lib/postgresql/$major/bin" "$dest/bin"
		touch "$dest/.complete"
		say "ready: $dest/bin"
	done
}

copy_barman() { # SUITE
	local root="$cache/chroot/$1" version dest python script
	[ -x "$root/usr/bin/barman" ] || return 0
	version=$(enter "$root" barman --version | sed -n '1s/^\([0-9]*\.[0-9]*\).*/\1/p')
	dest="$cache/barman/$version"
	[ ! -e "$dest/.complete" ] || return 0
	rm -rf "$dest"
	python=$(basename "$(readlink -f "$root/usr/bin/python3")")
	mkdir -p "$dest/usr/bin" "$dest/usr/lib/python3" "$dest/bin"
	cp -a "$root/usr/bin/$python" "$dest/usr/bin/"
	# Python finds its library, and Debian's dist-packages, relative to its program.
	cp -a "$root/usr/lib/$python" "$dest/usr/lib/"
	cp -a "$root/usr/lib/python3/dist-packages" "$dest/usr/lib/python3/"
	bundle "$root" "$dest" "/usr/bin/$python" $(cd "$root" && find usr/lib/"$python" usr/lib/python3 -name '*.so' -printf '/%p\n')
	for script in "$root"/usr/bin/barman*; do
		{
			# -s -E: nothing of the user's own Python gets in. The scripts start themselves again by their own path.
			printf '#!%s -sE\n' "$dest/usr/bin/$python"
			tail -n +2 "$script"
		} >"$dest/bin/$(basename "$script")"
	done
	chmod 755 "$dest"/bin/*
	touch "$dest/.complete"
	say "ready: $dest/bin"
}

copy_pgbackrest() { # SUITE
	local root="$cache/chroot/$1" version dest
	[ -x "$root/usr/bin/pgbackrest" ] || return 0
	version=$(enter "$root" pgbackrest version | sed -n 's/^pgBackRest \([0-9.]*\).*/\1/p')
	dest="$cache/pgbackrest/$version"
	[ ! -e "$dest/.complete" ] || return 0
	rm -rf "$dest"
	mkdir -p "$dest/usr/bin"
	cp -a "$root/usr/bin/pgbackrest" "$dest/usr/bin/"
	bundle "$root" "$dest" /usr/bin/pgbackrest
	ln -s usr/bin "$dest/bin"
	touch "$dest/.complete"
	say "ready: $dest/bin"
}

[ "$(id -u)" = 0 ] || fail "must be root, for debootstrap"
for tool in debootstrap patchelf unshare; do
	command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install debootstrap patchelf util-linux"
done
case $cache in *[[:space:]]*) fail "the path of the cache must not hold blanks: $cache" ;; esac
mkdir -p "$cache/chroot" "$cache/pg" "$cache/barman" "$cache/pgbackrest"
uri=$(mirror)
[ -n "$uri" ] || fail "apt knows no Debian mirror: run apt-get update first"
for entry in "${suites[@]}"; do
	# shellcheck disable=SC2086 # the packages are words
	make_system $entry
	suite=${entry%% *}
	copy_postgres "$suite"
	copy_barman "$suite"
	copy_pgbackrest "$suite"
done
