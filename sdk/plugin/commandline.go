package plugin

import (
	"fmt"
	"io"
)

// commandLine answers a person who runs the plugin by hand, and returns the exit code.
func commandLine(def Definition, args []string, stdout, stderr io.Writer) int {
	command := ""
	if len(args) > 0 {
		command = args[0]
	}
	switch {
	case len(args) > 1:
		fmt.Fprintf(stderr, "%s: too many arguments; try --help\n", def.Executable())
		return 2
	case command == "describe":
		text, err := describe(def)
		if err != nil {
			fmt.Fprintf(stderr, "%s: %v\n", def.Executable(), err)
			return 1
		}
		fmt.Fprintln(stdout, text)
		return 0
	case command == "--version":
		fmt.Fprintf(stdout, "%s %s\n", def.Executable(), def.Version)
		return 0
	case command == "--help", command == "-h", command == "help":
		help(def, stdout)
		return 0
	case command == "":
		fmt.Fprintf(stderr, "%s is a plugin of Barman and is started by it.\n\n", def.Executable())
		help(def, stderr)
		return 1
	}
	fmt.Fprintf(stderr, "%s: unknown argument %q; try --help\n", def.Executable(), command)
	return 2
}

func help(def Definition, w io.Writer) {
	fmt.Fprintf(w, `%[1]s %[2]s: %[3]s

To use it, install it in a directory of path_prefix and name it in Barman's configuration:

    %[4]s

Usage:
    %[1]s describe     print what it offers, as JSON
    %[1]s --version    print its version
    %[1]s --help       print this text
`, def.Executable(), def.Version, def.Summary, usageExample(def))
	for i, a := range def.Schema {
		if i == 0 {
			fmt.Fprintf(w, "\nOptions of its config block:\n")
		}
		fmt.Fprintf(w, "    %-20s %s%s\n        %s\n", a.Name, a.Type, requiredOrDefault(a.Required, a.Default), a.Help)
	}
}

func requiredOrDefault(required bool, def any) string {
	switch {
	case required:
		return ", required"
	case def != nil:
		return fmt.Sprintf(", default %v", def)
	}
	return ""
}

func usageExample(def Definition) string {
	switch def.Type() {
	case TypeCompress:
		return fmt.Sprintf("compression = %q", def.Name)
	case TypeTransfer:
		return fmt.Sprintf("backup_method = %q", def.Name)
	}
	return fmt.Sprintf("hook \"post_backup\" %q { config { … } }", def.Name)
}
