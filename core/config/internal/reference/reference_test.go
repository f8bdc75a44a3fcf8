package reference

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/config"
)

func TestDocumentationIsUpToDate(t *testing.T) {
	got, err := os.ReadFile("../../../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(Markdown()), string(got)); diff != "" {
		t.Errorf("run: go run ./core/config/internal/gendoc\n%s", diff)
	}
}

func TestEveryOptionAndKindIsDocumented(t *testing.T) {
	doc := string(Markdown())
	for _, o := range config.Options() {
		if n := strings.Count(doc, "\n| `"+o.Name+"` |"); n != 1 {
			t.Errorf("option %s has %d rows", o.Name, n)
		}
		if kindText(o) == "" || strings.HasPrefix(kindText(o), ":") {
			t.Errorf("kind of option %s is not described", o.Name)
		}
	}
}
