package architecture

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// optionsOfTheManual are the options that the Barman manual's chapter "Features in detail" names; its twenty hook scripts are added.
var optionsOfTheManual = strings.Fields(`reuse_backup bandwidth_limit tablespace_bandwidth_limit network_compression backup_compression
	backup_compression_workers backup_compression_level backup_compression_location backup_compression_format recovery_staging_path
	backup_options conninfo streaming_conninfo ssh_command primary_conninfo backup_method streaming_archiver immediate_checkpoint
	description compression custom_compression_filter custom_decompression_filter custom_compression_magic streaming_archiver_name
	minimum_redundancy retention_policy wal_retention_policy retention_policy_mode barman_lock_directory barman_home path_prefix
	parallel_jobs primary_ssh_command forward_config_path`)

var (
	code = regexp.MustCompile("`([^`]+)`")
	// counts are at the top of a page: what is proven, and what is not.
	counts = regexp.MustCompile(`\*\*Proven: (\d+)\. (?:Not yet|Wanted): (\d+)\.\*\*`)
)

func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rows are the cells of all tables of a page, without their headings.
func rows(t *testing.T, text string) (all [][2]string) {
	t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch cells := strings.Split(strings.Trim(line, "|"), "|"); {
		case !strings.HasPrefix(line, "|"):
		case strings.HasPrefix(line, "|---") && len(all) > 0:
			all = all[:len(all)-1] // the line before was the heading
		case len(cells) != 2 || strings.TrimSpace(cells[0]) == "" || strings.TrimSpace(cells[1]) == "":
			t.Errorf("not two cells: %s", line)
		default:
			all = append(all, [2]string{strings.TrimSpace(cells[0]), strings.TrimSpace(cells[1])})
		}
	}
	return all
}

// checkProof tells what is wrong with the name of a test or of a script of the command line.
func checkProof(name string) error {
	file, test, found := strings.Cut(name, ":")
	content, err := os.ReadFile(filepath.Join(root, file))
	switch {
	case err != nil:
		return err
	case strings.HasPrefix(file, "cmd/barman/testdata/script/") && strings.HasSuffix(file, ".txtar") && !found:
		return nil
	case !strings.HasSuffix(file, "_test.go") || !strings.HasPrefix(test, "Test"):
		return fmt.Errorf("%s names neither a script nor a test", name)
	}
	test, sub, found := strings.Cut(test, "/")
	if !strings.Contains(string(content), "\nfunc "+test+"(t *testing.T)") {
		return fmt.Errorf("%s has no %s", file, test)
	}
	if !found || strings.Contains(string(content), `"`+sub+`"`) {
		return nil
	}
	// The cases of some tests are files.
	for _, pattern := range []string{"testdata/*/", "testdata/"} {
		if cases, err := filepath.Glob(filepath.Join(root, filepath.Dir(file), pattern, sub+".*")); err != nil || len(cases) > 0 {
			return err
		}
	}
	return fmt.Errorf("%s of %s has no case %q", test, file, sub)
}

// checkProofs wants one or more names, separated by commas, and nothing else.
func checkProofs(t *testing.T, statement, cell string) {
	t.Helper()
	names := code.FindAllStringSubmatch(cell, -1)
	if rest := strings.Trim(code.ReplaceAllString(cell, ""), ", "); rest != "" || len(names) == 0 {
		t.Errorf("%s: the proof is not a list of tests: %s", statement, cell)
	}
	for _, m := range names {
		if err := checkProof(m[1]); err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

// checkCounts compares the counts at the top of a page with what is in it.
func checkCounts(t *testing.T, text string, proven, open int) {
	t.Helper()
	m := counts.FindStringSubmatch(text)
	if want := []string{fmt.Sprint(proven), fmt.Sprint(open)}; m == nil || !slices.Equal(m[1:], want) {
		t.Errorf("the top says %q, the rows %q", m, want)
	}
}

func TestCoverageOfTheManualNamesItsTests(t *testing.T) {
	text := page(t, "seed-coverage.md")
	proven, open := 0, 0
	for _, row := range rows(t, text) {
		statement, proof := row[0], row[1]
		waitsFor, isOpen := strings.CutPrefix(proof, "not yet:")
		if !isOpen {
			proven++
			checkProofs(t, statement, proof)
			continue
		}
		open++
		if len(strings.TrimSpace(waitsFor)) < 3 {
			t.Errorf("%s: not yet, and nobody says what for", statement)
		}
	}
	checkCounts(t, text, proven, open)
}

func TestCoverageHasEveryOptionOfTheManual(t *testing.T) {
	var named []string
	text := page(t, "seed-coverage.md")
	for _, m := range code.FindAllStringSubmatch(text, -1) {
		named = append(named, strings.Fields(m[1])[0])
	}
	wanted := slices.Clone(optionsOfTheManual)
	for _, event := range []string{"backup", "delete", "archive", "wal_delete", "recovery"} {
		for _, phase := range []string{"pre", "post"} {
			wanted = append(wanted, phase+"_"+event+"_script", phase+"_"+event+"_retry_script")
		}
	}
	for _, option := range wanted {
		if !slices.Contains(named, option) {
			t.Errorf("no row about %s", option)
		}
	}
}

// A promise is a line of a list: "* What is promised. `test`, `test`". What is below the heading of wishes has no test.
func TestPromisesNameTheirTests(t *testing.T) {
	text := page(t, "promises.md")
	kept, wishes, found := strings.Cut(text, "\n## Wanted, not proven yet\n")
	if !found {
		t.Fatal("no heading for what is not proven yet")
	}
	promises, open := bullets(kept), bullets(wishes)
	for _, line := range promises {
		sentence, proof, ok := strings.Cut(line, " — ")
		if !ok || !strings.HasSuffix(sentence, ".") {
			t.Errorf("not a sentence and its tests: %s", line)
			continue
		}
		checkProofs(t, sentence, proof)
	}
	for _, line := range open {
		if strings.Contains(line, " — ") {
			t.Errorf("a wish with a proof is a promise: %s", line)
		}
	}
	if len(promises) > 0 && !strings.Contains(promises[0], "stable storage") {
		t.Error("the first promise is that acknowledged WAL is on stable storage")
	}
	checkCounts(t, text, len(promises), len(open))
}

func bullets(text string) (lines []string) {
	for line := range strings.Lines(text) {
		if item, ok := strings.CutPrefix(strings.TrimSpace(line), "* "); ok {
			lines = append(lines, item)
		}
	}
	return lines
}
