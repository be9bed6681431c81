package auditlog

import (
	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/hwm"
	"highwater/internal/config"
	"highwater/internal/words"
	"highwater/operate"
)

const journalLong = `Show the acts of operators and the changes of role, oldest first: time, act, user, result and reason. Refused acts are
there too; dry runs and looks are not. The user is the process at the other end of the admin socket, by the kernel; a login
behind sudo is named too. A dash: the instance itself.

The journal is in the watermark file. The newest 1000 entries are kept, and the first line counts the older ones. "highwater
audit show" has the requests for signatures.`

func (a *app) journalCmd() *cobra.Command {
	return a.AddJSON(&cobra.Command{
		Use: "journal", Short: "Show the acts of operators: when, by whom, and why", Args: cli.NoArgs, Long: journalLong,
		Example: "  highwater journal --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.WithAdmin(c.Context(), false, func(_ *config.Config, admin operate.Admin) error {
				entries, err := admin.Journal(c.Context())
				if err != nil {
					return err
				}
				if a.AsJSON {
					return a.JSON(entries)
				}
				return a.journalTable(entries)
			})
		},
	})
}

func (a *app) journalTable(entries []hwm.JournalEntry) error {
	if len(entries) == 0 {
		a.Say("the journal is empty: no operator did anything yet")
		return nil
	}
	rows := [][]string{}
	for _, e := range entries {
		rows = append(rows, []string{
			words.Time(e.At), e.Action, words.Dash(e.What), words.Dash(e.Who), words.Dash(e.Result), words.Dash(e.Why),
		})
	}
	return a.Table([]string{"time", "act", "change", "who", "result", "reason"}, rows)
}
