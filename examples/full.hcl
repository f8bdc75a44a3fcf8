# A configuration with one server of each kind. docs/configuration.md explains every option.

barman {
  # Where data, lock files and the log live.
  barman_home           = "/var/lib/barman"
  barman_lock_directory = "/run/barman"
  barman_user           = "barman"
  log_file              = "/var/log/barman/barman.log"
  log_level             = "INFO"

  # Files *.hcl in this directory are read after this one. One server per file is a good habit.
  # configuration_files_directory = "/etc/barman.d"

  # Plugins and tools are looked for here first.
  path_prefix = ["/usr/lib/postgresql/15/bin", "/opt/acme/barman"]

  # From here on: defaults of all servers. A server may say something else.
  compression        = "zstd"
  compression_level  = "medium" # low, medium, high or a number
  retention_policy   = "RECOVERY WINDOW OF 4 WEEKS"
  minimum_redundancy = 2
  backup_options     = ["concurrent_backup"]

  # `check` fails when these are not met.
  last_backup_maximum_age  = "2 DAYS"
  last_backup_minimum_size = "1Gi"
  last_wal_maximum_age     = "1 HOUR"

  # Try a failed copy again, three times, after 30 seconds each.
  basebackup_retry_times = 3
  basebackup_retry_sleep = 30
}

# Backup over ssh with rsync; unchanged files are hard links to the previous backup.
server "main" {
  description   = "Main cluster"
  conninfo      = "host=pg1 user=barman dbname=postgres"
  ssh_command   = "ssh postgres@pg1"
  backup_method = "rsync"
  reuse_backup  = "link"
  archiver      = true

  parallel_jobs              = 4
  bandwidth_limit            = 20000                         # kB/s
  tablespace_bandwidth_limit = { archive = 4000, hot = 8000 } # kB/s
  network_compression        = true
  immediate_checkpoint       = true

  # Hook scripts are shell commands. A retry script runs until it succeeds, or ends with exit code 62 or 63.
  pre_backup_retry_script = "/usr/local/bin/fence ${server.name}"

  # Other hooks are plugins with options of their own.
  hook "post_backup" "webhook" {
    retry   = true
    timeout = 60
    config {
      url   = "https://ops.example/backup"
      token = env("OPS_TOKEN", "")
    }
  }
}

# Backup and WAL over the replication protocol: nothing is installed on the database host, and no ssh is needed.
server "streaming" {
  description        = "Streams everything"
  conninfo           = "host=pg2 user=barman dbname=postgres"
  streaming_conninfo = "host=pg2 user=streaming_barman dbname=postgres"
  backup_method      = "postgres"
  streaming_archiver = true
  slot_name          = "barman"
  create_slot        = "auto"

  retention_policy = "REDUNDANCY 3"
}

# PostgreSQL runs on this host; no network is involved.
server "local" {
  conninfo      = "host=/run/postgresql user=barman dbname=postgres"
  backup_method = "local-rsync"
  archiver      = true
  compression   = "gzip"
}

# A copy of the backups of another Barman host, which has a server of the same name.
server "elsewhere" {
  description         = "Second copy, in another data centre"
  primary_ssh_command = "ssh barman@backup1"
}

# Values for server "main" after a switchover: barman config-switch main main:dr
model "main:dr" {
  cluster     = "main"
  conninfo    = "host=pg1-dr user=barman dbname=postgres"
  ssh_command = "ssh postgres@pg1-dr"
}

# Options of a plugin, for all servers.
plugin "compress" "zstd" {
  config {
    workers = 2
  }
}
