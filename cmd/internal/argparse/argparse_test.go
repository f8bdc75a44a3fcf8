package argparse

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

func argsCommand() *cobra.Command {
	root := &cobra.Command{Use: "barman"}
	root.PersistentFlags().StringP("config", "c", "", "")
	root.PersistentFlags().BoolP("quiet", "q", false, "")
	backup := &cobra.Command{Use: "backup", Aliases: []string{"bk"}, Run: func(*cobra.Command, []string) {}}
	f := backup.Flags()
	f.IntP("jobs", "j", 1, "")
	f.Int("jobs-start-batch-size", 10, "")
	f.Bool("immediate-checkpoint", false, "")
	f.BoolP("wait", "w", false, "")
	f.Int("wait-timeout", 0, "")
	f.String("reuse-backup", "", "")
	f.Lookup("reuse-backup").NoOptDefVal = "link"
	f.Lookup("reuse-backup").Annotations = map[string][]string{OptionalValue: {}}
	root.AddCommand(backup)
	return root
}

func TestExpand(t *testing.T) {
	for name, tc := range map[string]struct {
		args, want []string
		ambiguous  bool
	}{
		"full names stay":              {args: []string{"backup", "--jobs", "4", "main"}, want: []string{"backup", "--jobs", "4", "main"}},
		"unique prefix":                {args: []string{"backup", "--imm", "main"}, want: []string{"backup", "--immediate-checkpoint", "main"}},
		"the manual's --j":             {args: []string{"backup", "--j", "4", "main"}, want: []string{"backup", "--jobs", "4", "main"}},
		"prefix with value":            {args: []string{"backup", "--wait-t=5", "main"}, want: []string{"backup", "--wait-timeout=5", "main"}},
		"exact name is never a prefix": {args: []string{"backup", "--wait", "main"}, want: []string{"backup", "--wait", "main"}},
		"ambiguous":                    {args: []string{"backup", "--wa", "main"}, ambiguous: true},
		"global before the command":    {args: []string{"--conf", "f", "backup", "--im", "x"}, want: []string{"--config", "f", "backup", "--immediate-checkpoint", "x"}},
		"global after the command":     {args: []string{"backup", "--qui", "x"}, want: []string{"backup", "--quiet", "x"}},
		"a value is not a command":     {args: []string{"-c", "backup", "backup", "--im"}, want: []string{"-c", "backup", "backup", "--immediate-checkpoint"}},
		"optional value taken":         {args: []string{"backup", "--reuse-backup", "off", "main"}, want: []string{"backup", "--reuse-backup=off", "main"}},
		"the next word is the value":   {args: []string{"backup", "--reuse", "main"}, want: []string{"backup", "--reuse-backup=main"}},
		"optional value left out":      {args: []string{"backup", "--reuse", "--im", "main"}, want: []string{"backup", "--reuse-backup", "--immediate-checkpoint", "main"}},
		"left out before the dashes":   {args: []string{"backup", "--reuse", "--", "main"}, want: []string{"backup", "--reuse-backup", "--", "main"}},
		"alias":                        {args: []string{"bk", "--im"}, want: []string{"bk", "--immediate-checkpoint"}},
		"after the double dash":        {args: []string{"backup", "--", "--im"}, want: []string{"backup", "--", "--im"}},
		"unknown stays for cobra":      {args: []string{"backup", "--nope"}, want: []string{"backup", "--nope"}},
		"short group with value":       {args: []string{"backup", "-wj", "4", "--im"}, want: []string{"backup", "-wj", "4", "--immediate-checkpoint"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := Expand(argsCommand(), tc.args)
			if (err != nil) != tc.ambiguous {
				t.Fatalf("error %v, want ambiguous: %v", err, tc.ambiguous)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
