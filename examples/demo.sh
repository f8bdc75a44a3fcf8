#!/usr/bin/env bash
# The story of one accident: a server is backed up twice under load, a table is dropped, the whole server is lost, and
# everything comes back as it was a moment before. Every command of barman is printed as you would type it.
#
# Needs nothing but Debian 12 with Go: what is missing is installed. Leaves nothing running and nothing behind.
set -euo pipefail
cd "$(dirname "$0")/.."

bold=$(tput bold 2>/dev/null || true) dim=$(tput dim 2>/dev/null || true) plain=$(tput sgr0 2>/dev/null || true)
step() { printf '\n%s%s%s\n' "$bold" "== $*" "$plain"; }
say() { printf '%s\n' "   $*"; }
die() { printf 'demo: %s\n' "$*" >&2; exit 1; }

step "0. Build"
./packaging/deps.sh
make --no-print-directory build | sed 's/^/   /'
pgbin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
[ -x "$pgbin/initdb" ] || die "no PostgreSQL server in /usr/lib/postgresql"

# PostgreSQL refuses to run as root, and a local copy of its files wants the same user.
if [ "$(id -u)" = 0 ]; then owner=postgres; else owner=$(id -un); fi
home=$(mktemp -d /tmp/barman-demo.XXXXXX)
chmod 755 "$home"
install -d -m 755 "$home/bin/plugins"
install -m 755 bin/barman "$home/bin/"
install -m 755 bin/plugins/* "$home/bin/plugins/"
install -d -m 700 -o "$owner" "$home/pg" "$home/barman" "$home/tbs" "$home/run" "$home/restored" "$home/restored_tbs"
export PATH="$home/bin:$pgbin:$PATH"

as() { # runs a command as the owner of the cluster
	if [ "$(id -un)" = "$owner" ]; then "$@"; else setpriv --reuid="$owner" --regid="$(id -g "$owner")" --init-groups env HOME="$home" PATH="$PATH" "$@"; fi
}
free_port() { # a port that nobody listens on
	local p
	for p in $(shuf -i 20000-40000 -n 50); do (exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null || { echo "$p"; return; }; done
}
port=$(free_port)
sql() { as psql -XqAt -h "$home/run" -p "${2:-$port}" -d postgres -v ON_ERROR_STOP=1 -c "$1"; }
type_and_run() { # prints a barman command as one would type it, and runs it
	local word line="barman"
	for word in "$@"; do
		case $word in *[!A-Za-z0-9_./:=-]*) word="'$word'" ;; esac
		line="$line $word"
	done
	printf '%s   $ %s%s\n' "$dim" "$line" "$plain"
	as barman -c "$home/barman.hcl" "$@" 2>&1 | sed 's/^/     /'
	return "${PIPESTATUS[0]}"
}
stop_load() {
	[ -n "${load:-}" ] || return 0
	kill "$(cat "$home/run/pgbench.pid")" 2>/dev/null || true
	wait "$load" 2>/dev/null || true
	load=
}
cleanup() {
	set +e
	stop_load
	for d in "$home/pg/data" "$home/restored/data"; do
		[ -f "$d/postmaster.pid" ] && as pg_ctl -D "$d" -m immediate stop >/dev/null 2>&1
	done
	rm -rf "$home"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

step "1. A PostgreSQL server in use"
as initdb -D "$home/pg/data" -A trust >/dev/null
# archive_command sends each segment with its checksum; on a database host of its own this is barman-wal-archive over ssh.
cat >"$home/bin/send-wal" <<EOT
#!/bin/sh
set -e
cd "\$(dirname "\$1")"
t=\$(mktemp -d)
trap 'rm -rf "\$t"' EXIT
cp -p "\$2" "\$t/"
(cd "\$t" && sha256sum "\$2" >SHA256SUMS && tar -cf - "\$2" SHA256SUMS) | $home/bin/barman -c $home/barman.hcl put-wal demo
EOT
chmod 755 "$home/bin/send-wal"
cat >>"$home/pg/data/postgresql.conf" <<EOT
port = $port
listen_addresses = ''
unix_socket_directories = '$home/run'
archive_mode = on
archive_command = '$home/bin/send-wal %p %f'
EOT
as pg_ctl -D "$home/pg/data" -w -l "$home/pg/log" start >/dev/null
sql "CREATE TABLESPACE fast LOCATION '$home/tbs'"
as pgbench -q -i -s 5 --tablespace=fast -h "$home/run" -p "$port" postgres 2>/dev/null
sql "CREATE TABLE orders AS SELECT g AS id, md5(g::text) AS item FROM generate_series(1, 20000) g"
say "PostgreSQL $("$pgbin/postgres" --version | awk '{print $3}'), a tablespace \"fast\", tables of pgbench, and a table \"orders\" with 20000 rows"

step "2. The configuration"
cat >"$home/barman.hcl" <<EOT
barman {
  barman_home = "$home/barman"     # backups, WAL and the catalog
  barman_user = "$owner"
  log_file    = "$home/barman/barman.log"
  path_prefix = ["$pgbin"]         # where pg_basebackup is
}

server "demo" {
  description    = "The server of this story"
  conninfo       = "host=$home/run port=$port user=$owner dbname=postgres"
  backup_method  = "local-rsync"   # a copy with rsync on the same host; "rsync" does it over ssh
  backup_options = "concurrent_backup"
  archiver       = true            # WAL comes through archive_command
  compression    = "zstd"          # and is compressed
  immediate_checkpoint = true
}
EOT
chown "$owner" "$home/barman.hcl"
sed 's/^/     /' "$home/barman.hcl"
type_and_run config validate

step "3. Load, and a first look"
as sh -c "echo \$\$ > '$home/run/pgbench.pid'; exec pgbench -n -T 600 -c 2 -h '$home/run' -p $port postgres" >/dev/null 2>&1 &
load=$!
say "pgbench writes from now on"
type_and_run switch-wal --force --archive demo
type_and_run check demo

step "4. A backup with local-rsync, and one with pg_basebackup"
type_and_run backup --wait demo
sed -i 's/"local-rsync"   # a copy.*/"postgres"/' "$home/barman.hcl"
type_and_run backup --wait demo
type_and_run list-backups demo

step "5. The accident"
stop_load
sql "INSERT INTO orders SELECT g, md5(g::text) FROM generate_series(20001, 21000) g"
rows=$(sql "SELECT count(*) FROM orders")
digest=$(sql "SELECT md5(string_agg(o::text, ',' ORDER BY id)) FROM orders o")
history=$(sql "SELECT count(*), coalesce(sum(delta), 0) FROM pgbench_history")
moment=$(sql "SELECT clock_timestamp()")
say "at $moment table orders has $rows rows"
sleep 1
printf '%s   postgres=# DROP TABLE orders;%s\n' "$dim" "$plain"
sql "DROP TABLE orders"
type_and_run switch-wal --archive demo
type_and_run archive-wal demo

step "6. The disaster: the server and its disk are gone"
as pg_ctl -D "$home/pg/data" -m immediate stop >/dev/null
rm -rf "$home/pg/data" "$home/tbs"
say "removed PGDATA and the tablespace"

step "7. Recover to the moment before the accident"
type_and_run recover --target-time "$moment" --target-action promote --tablespace "fast:$home/restored_tbs" demo latest "$home/restored/data"

step "8. Start it and compare"
port=$(free_port)
cat >>"$home/restored/data/postgresql.auto.conf" <<EOT
port = $port
archive_mode = off
EOT
as pg_ctl -D "$home/restored/data" -w -t 120 -l "$home/restored/log" start >/dev/null || { cat "$home/restored/log"; die "the recovered server does not start"; }
for _ in $(seq 120); do [ "$(sql 'SELECT pg_is_in_recovery()')" = f ] && break; sleep 0.5; done
compare() { # what, wanted, found
	[ "$2" = "$3" ] || die "$1: wanted $2, found $3"
	say "$1: identical ($3)"
}
compare "rows of orders" "$rows" "$(sql 'SELECT count(*) FROM orders')"
compare "content of orders" "$digest" "$(sql "SELECT md5(string_agg(o::text, ',' ORDER BY id)) FROM orders o")"
compare "pgbench_history (rows|sum)" "$history" "$(sql 'SELECT count(*), coalesce(sum(delta), 0) FROM pgbench_history')"
as pg_ctl -D "$home/restored/data" -m fast stop >/dev/null

step "Done: the recovered server has every row of that moment."
