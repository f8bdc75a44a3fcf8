#!/bin/sh
# Installs what the tests and the demo need on Debian 12 and its relatives. Does nothing, and needs no rights, when
# everything is there.
set -eu

packages="postgresql-15 postgresql-contrib rsync openssh-server pigz bzip2 xz-utils zstd lz4
python3-grpcio protobuf-compiler gcc libc6-dev strace debootstrap patchelf"

missing=""
for p in $packages; do
	state=$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null || true)
	[ "$state" = installed ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "deps: these packages are needed, and there is no apt-get to install them:$missing" >&2
	exit 1
fi
sudo=""
[ "$(id -u)" = 0 ] || sudo=sudo

# The package would start a cluster of its own, which nobody asked for and which takes port 5432.
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
	$sudo mkdir -p /etc/postgresql-common
	echo "create_main_cluster = false" | $sudo tee /etc/postgresql-common/createcluster.conf >/dev/null
fi
echo "deps: installing$missing"
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
# shellcheck disable=SC2086 # a list of words
$sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
