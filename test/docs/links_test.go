package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.+?) *$`)
	// dropped are the characters that an anchor leaves out of its heading.
	dropped = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are the names that links can use for the headings of a page, as GitHub and others make them.
func anchors(text string) []string {
	var all []string
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		all = append(all, strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return all
}

func TestLinksLeadSomewhere(t *testing.T) {
	for _, p := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(p.prose(), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue // tests have no network
			}
			text := p.text
			if target != "" {
				path := filepath.Join(root, filepath.Dir(p.name), target)
				info, err := os.Stat(path)
				if err != nil {
					t.Errorf("%s: the link to %s leads nowhere", p.name, m[1])
					continue
				}
				if anchor == "" || info.IsDir() {
					continue
				}
				content, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				text = string(content)
			}
			if anchor != "" && !slices.Contains(anchors(text), anchor) {
				t.Errorf("%s: the link to %s leads to no heading", p.name, m[1])
			}
		}
	}
}
