package marks

import (
	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/hwm"
	"highwater/internal/config"
	"highwater/internal/words"
	"highwater/operate"
)

const journalLong = `Show the journal of the watermark file: every change of role, every lowered mark and every lifted
ceiling, with time and reason, oldest first. The newest 1000 entries are kept.`

func (a *app) hwmJournalCmd() *cobra.Command {
	return a.AddJSON(&cobra.Command{
		Use: "journal", Short: "Show the journal: acts and their reasons", Args: cli.NoArgs, Long: journalLong,
		Example: "  highwater hwm journal --json",
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
		a.Say("the journal is empty: no role was changed, no mark lowered, no ceiling lifted")
		return nil
	}
	rows := [][]string{}
	for _, e := range entries {
		rows = append(rows, []string{words.Time(e.At), e.Action, words.Dash(e.What), words.Dash(e.Why)})
	}
	return a.Table([]string{"time", "act", "change", "reason"}, rows)
}
