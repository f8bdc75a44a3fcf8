package postgres

import (
	"crypto/tls"
	"fmt"
	"net"
	"os/user"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"
)

// refuseUnkept refuses parameters that demand a protection which this client does not have: to connect without it would be worse than not
// to connect. Their values are not secret.
func refuseUnkept(info Conninfo) error {
	for _, key := range []string{"sslcrl", "sslcrldir"} {
		if info.Get(key) != "" {
			return fmt.Errorf("%w: %s: lists of revoked certificates are not supported", ErrConninfo, key)
		}
	}
	if info.Get("gssencmode") == "require" {
		return fmt.Errorf("%w: gssencmode=require: GSSAPI encryption is not supported", ErrConninfo)
	}
	return nil
}

// tlsVersions are the names of libpq.
var tlsVersions = map[string]uint16{
	"tlsv1": tls.VersionTLS10, "tlsv1.1": tls.VersionTLS11, "tlsv1.2": tls.VersionTLS12, "tlsv1.3": tls.VersionTLS13,
}

// limitTLS honours ssl_min_protocol_version and ssl_max_protocol_version. Without the first, libpq takes TLS 1.2, and so does Go.
func limitTLS(info Conninfo, config *pgx.ConnConfig) error {
	configs := []*tls.Config{config.TLSConfig}
	for _, fallback := range config.Fallbacks {
		configs = append(configs, fallback.TLSConfig)
	}
	for key, set := range map[string]func(*tls.Config, uint16){
		"ssl_min_protocol_version": func(c *tls.Config, version uint16) { c.MinVersion = version },
		"ssl_max_protocol_version": func(c *tls.Config, version uint16) { c.MaxVersion = version },
	} {
		text := info.Get(key)
		if text == "" {
			continue
		}
		version, known := tlsVersions[strings.ToLower(text)]
		if !known {
			return fmt.Errorf("%w: %s is none of TLSv1, TLSv1.1, TLSv1.2 and TLSv1.3", ErrConninfo, key)
		}
		for _, c := range configs {
			if c != nil { // this one is for a connection without TLS
				set(c, version)
			}
		}
	}
	return nil
}

// checkPeer honours requirepeer: the server behind a Unix domain socket must belong to that user.
func checkPeer(conn net.Conn, name string) error {
	local, ok := conn.(*net.UnixConn)
	if !ok || name == "" {
		return nil
	}
	raw, err := local.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	controlErr := raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if controlErr != nil {
		return controlErr
	}
	if err != nil {
		return fmt.Errorf("requirepeer: %w", err)
	}
	owner, err := user.LookupId(strconv.FormatUint(uint64(peer.Uid), 10))
	if err != nil {
		return fmt.Errorf("requirepeer: %w", err)
	}
	if owner.Username != name {
		return fmt.Errorf("requirepeer specifies %q, but actual peer user name is %q", name, owner.Username)
	}
	return nil
}
