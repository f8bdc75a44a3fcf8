package postgres_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/test/lab"
)

// TestOneConnectionForEachSession lets the server count: without TLS, with it, and where TLS is there but not for this role.
func TestOneConnectionForEachSession(t *testing.T) {
	c := lab.StartCluster(t, lab.ClusterOptions{
		Settings: map[string]string{"log_connections": "on"},
		HBA: []string{
			"hostssl all encrypted 127.0.0.1/32 trust", "hostnossl all encrypted 127.0.0.1/32 reject",
			"hostssl all clear 127.0.0.1/32 reject", "hostnossl all clear 127.0.0.1/32 trust",
		},
	})
	c.MustSQL(t, "CREATE ROLE encrypted LOGIN; CREATE ROLE clear LOGIN")
	received := func() int {
		text, err := os.ReadFile(c.LogFile)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), "connection received: host=127.0.0.1")
	}
	// encrypted asks the server, in the session it is about.
	encrypted := func(conninfo string) string {
		conn := connect(t, conninfo)
		defer conn.Close()
		pid := c.MustSQL(t, "SELECT pid FROM pg_stat_activity WHERE application_name = 'barman'")
		return c.MustSQL(t, "SELECT ssl FROM pg_stat_ssl WHERE pid = "+pid)
	}
	for _, s := range []struct {
		kind, conninfo, ssl string
		connections         int
	}{
		{"no TLS", c.Conninfo("postgres", ""), "f", 1},
		{"no TLS, two hosts", strings.Replace(c.Conninfo("postgres", ""), "host=127.0.0.1", "host=127.0.0.1,127.0.0.1", 1), "f", 1},
		{"TLS", c.Conninfo("encrypted", ""), "t", 1},
		{"TLS is wanted", c.Conninfo("encrypted", "") + " sslmode=require", "t", 1},
		{"TLS, but not for this role", c.Conninfo("clear", ""), "f", 2},
		{"TLS is not asked for first", c.Conninfo("encrypted", "") + " sslmode=allow", "t", 2},
	} {
		if s.kind == "TLS" {
			serveTLS(t, c)
		}
		before := received()
		if got := encrypted(s.conninfo); got != s.ssl {
			t.Errorf("%s: encrypted is %q, want %q", s.kind, got, s.ssl)
		}
		if got := received() - before; got != s.connections {
			t.Errorf("%s: %d connections, want %d", s.kind, got, s.connections)
		}
	}
}

// TestReplicationTakesOneConnection is the same for sessions that stream.
func TestReplicationTakesOneConnection(t *testing.T) {
	c := lab.StartCluster(t, lab.ClusterOptions{Settings: map[string]string{"log_connections": "on"}})
	conn, err := postgres.ConnectReplication(t.Context(), parse(t, c.Conninfo("postgres", "")), "barman")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.IdentifySystem(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(c.LogFile)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "connection received: host=127.0.0.1"); n != 1 {
		t.Errorf("%d connections for one session", n)
	}
}

// serveTLS gives the server a certificate, which nobody checks.
func serveTLS(t *testing.T, c *lab.Cluster) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"server.crt": {Type: "CERTIFICATE", Bytes: certificate}, "server.key": {Type: "PRIVATE KEY", Bytes: private},
	} {
		write := c.Owner.Command(t.Context(), c.Data, "sh", "-c", "umask 077; cat > "+name)
		write.Stdin = strings.NewReader(string(pem.EncodeToMemory(block)))
		if out, err := write.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	c.MustSQL(t, "ALTER SYSTEM SET ssl = on")
	c.MustSQL(t, "SELECT pg_reload_conf()")
	if err := c.WaitSQL(t.Context(), "SHOW ssl", "on"); err != nil {
		t.Fatal(err)
	}
}
