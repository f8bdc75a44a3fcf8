package architecture

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/barman-go/barman"

type pkg struct {
	ImportPath string
	Doc        string
	Imports    []string
	Deps       []string
}

// rule says that packages below From must not use packages below To, directly or, with Deep, through others.
type rule struct {
	from, to string
	except   []string
	deep     bool
	why      string
}

var rules = []rule{
	{from: "sdk", to: "core", deep: true, why: "plugin authors use the SDK without the engine"},
	{from: "sdk", to: "plugins", deep: true, why: "the SDK serves every plugin alike"},
	{from: "core", to: "plugins", deep: true, why: "the engine knows plugins only through their contract"},
	{from: "core", to: "cmd", deep: true, why: "the engine does not know its command line"},
	{from: "plugins", to: "core", deep: true, why: "bundled plugins use what every author has, the SDK"},
	{
		from: "", to: "github.com/hashicorp/go-plugin", except: []string{"core/pluginhost", "sdk/plugin", "sdk/plugintest", "test"},
		why: "the process protocol has one home on each side",
	},
	{from: "", to: "github.com/hashicorp/hcl/v2", except: []string{"core/config"}, why: "HCL ends at the configuration"},
	{from: "", to: "github.com/jackc/pgx/v5", except: []string{"core/postgres", "test"}, why: "only core/postgres talks to PostgreSQL"},
	{
		from: "", to: "github.com/klauspost/compress", except: []string{"plugins/compress", "cmd/barman-wal-archive", "cmd/barman-wal-restore", "test"},
		why: "encoding belongs to compress plugins and the two stand-alone clients",
	},
	{
		from: "", to: "github.com/pierrec/lz4/v4", except: []string{"plugins/compress", "cmd/barman-wal-archive", "cmd/barman-wal-restore", "test"},
		why: "encoding belongs to compress plugins and the two stand-alone clients",
	},
	{
		from: "", to: "github.com/dsnet/compress", except: []string{"plugins/compress", "cmd/barman-wal-archive", "cmd/barman-wal-restore", "test"},
		why: "encoding belongs to compress plugins and the two stand-alone clients",
	},
	{
		from: "", to: "github.com/ulikunitz/xz", except: []string{"plugins/compress", "cmd/barman-wal-archive", "cmd/barman-wal-restore", "test"},
		why: "encoding belongs to compress plugins and the two stand-alone clients",
	},
	{from: "core/wal", to: "os", why: "pure"},
	{from: "core/retention", to: "os", why: "pure"},
}

func TestImportRules(t *testing.T) {
	packages := list(t)
	for _, r := range rules {
		for _, p := range packages {
			name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
			if !below(name, r.from) || anyBelow(name, r.except) {
				continue
			}
			used := p.Imports
			if r.deep {
				used = p.Deps
			}
			for _, dep := range used {
				target := dep
				if strings.HasPrefix(dep, module) {
					target = strings.TrimPrefix(strings.TrimPrefix(dep, module), "/")
				}
				if below(target, r.to) {
					t.Errorf("%s uses %s: %s", p.ImportPath, dep, r.why)
				}
			}
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range list(t) {
		if strings.Contains(p.ImportPath, "/sdk/pb/") {
			continue
		}
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

func TestNoPackageIsNamedAfterNothing(t *testing.T) {
	for _, p := range list(t) {
		last := p.ImportPath[strings.LastIndex(p.ImportPath, "/")+1:]
		switch last {
		case "util", "utils", "common", "helpers", "misc":
			t.Errorf("%s: the name says nothing", p.ImportPath)
		}
	}
}

func below(name, prefix string) bool {
	return prefix == "" || name == prefix || strings.HasPrefix(name, prefix+"/")
}

func anyBelow(name string, prefixes []string) bool {
	for _, p := range prefixes {
		if below(name, p) {
			return true
		}
	}
	return false
}

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps=false", "-json=ImportPath,Doc,Imports,Deps", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	var packages []pkg
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
