package postgres

import (
	"crypto/tls"
	"errors"
	"net"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestProtectionIsKeptOrRefused(t *testing.T) {
	for text, min := range map[string]uint16{
		"host=pg sslmode=prefer": 0,
		"host=pg sslmode=verify-full ssl_min_protocol_version=TLSv1.3":                         tls.VersionTLS13,
		"host=pg,pg2 sslmode=prefer ssl_min_protocol_version=tlsv1.3 gssencmode=prefer":        tls.VersionTLS13,
		"host=pg sslmode=require ssl_min_protocol_version=TLSv1.1 ssl_max_protocol_version=''": tls.VersionTLS11,
	} {
		info, err := ParseConninfo(text)
		if err != nil {
			t.Fatal(err)
		}
		config, err := pgxConfig(info, "barman")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		configs := []*tls.Config{config.TLSConfig}
		for _, f := range config.Fallbacks {
			configs = append(configs, f.TLSConfig)
		}
		for i, c := range configs {
			if c != nil && c.MinVersion != min {
				t.Errorf("%s: attempt %d takes TLS from version %x on, want %x", text, i+1, c.MinVersion, min)
			}
		}
	}
	for _, text := range []string{
		"sslcrl=/etc/crl.pem", "sslcrldir=/etc/crl", "gssencmode=require", "ssl_min_protocol_version=SSLv3", "ssl_max_protocol_version=2",
	} {
		info, err := ParseConninfo("host=pg sslmode=verify-full " + text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pgxConfig(info, "barman"); !errors.Is(err, ErrConninfo) || !strings.Contains(err.Error(), info.Without("host", "sslmode").only()) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// only is the name of the only parameter.
func (c Conninfo) only() string {
	for key := range c.params {
		return key
	}
	return ""
}

func TestTheOwnerOfTheSocketIsChecked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{me.Username: true, "somebody-else": false} {
		dial, err := dialFunc(Conninfo{}.With("requirepeer", name), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := dial(t.Context(), "unix", path)
		if (err == nil) != want {
			t.Errorf("requirepeer=%s: %v", name, err)
		}
		if conn != nil {
			_ = conn.Close()
		}
	}
}
