package cmd

import (
	"slices"

	"github.com/spf13/cobra"
)

// helpGroups are the headings of "highwater --help", in their order, and the commands below each.
var helpGroups = []struct {
	title    string
	commands []string
}{
	{"Every day", []string{
		"init", "check", "serve", "status", "top", "missed", "keys", "hwm", "activate", "standby", "acknowledge",
		"journal", "audit",
	}},
	{"Devices", []string{"ledger", "tezsign"}},
	{"A second machine", []string{
		"peer", "register", "bring-up", "bundle", "drill", "wait-window", "handover", "release", "accept", "takeover",
	}},
	{"Other", []string{"demo", "version", "completion"}},
}

// groupHelp puts the commands of root below the headings of the help.
func groupHelp(root *cobra.Command) {
	for _, g := range helpGroups {
		root.AddGroup(&cobra.Group{ID: g.title, Title: g.title})
		for _, c := range root.Commands() {
			if slices.Contains(g.commands, c.Name()) {
				c.GroupID = g.title
			}
		}
	}
}
