# The least that Barman needs: where to keep its data, and one server.
# Check it with: barman -c examples/minimal.hcl config validate

barman {
  barman_home = "/var/lib/barman"
}

server "main" {
  conninfo       = "host=pg1 user=barman dbname=postgres"
  ssh_command    = "ssh postgres@pg1"
  backup_options = "concurrent_backup"
  archiver       = true # PostgreSQL: archive_command = 'barman-wal-archive backup-host main %p'
}
