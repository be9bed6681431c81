package marks

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/internal/config"
	"highwater/internal/hints"
	"highwater/internal/tezos"
	"highwater/internal/words"
	"highwater/operate"
)

func (a *app) hwmShowCmd() *cobra.Command {
	return a.AddJSON(&cobra.Command{
		Use: "show KEY", Short: "Show the marks, the horizon and the ceiling of a key", Args: cli.OneKey,
		Example: "  highwater hwm show consensus",
		Long: "Show a key, by address or alias: a mark for each kind, the horizon (up to this level signatures\n" +
			"wait for no disk), and the ceiling (above this level nothing is signed). With --json the rows\n" +
			"are the rows of \"hwm list\".",
		RunE: func(c *cobra.Command, args []string) error {
			return a.WithAdmin(c.Context(), false, func(_ *config.Config, admin operate.Admin) error {
				marks, err := marksOf(c.Context(), admin, args[0])
				if err != nil {
					return err
				}
				if a.AsJSON {
					return a.JSON(marks)
				}
				return a.showMarks(marks)
			})
		},
	})
}

// marksOf gives the rows of one key, at least one row. An address also finds the marks of a key that no device offers.
func marksOf(ctx context.Context, admin operate.Admin, name string) ([]operate.MarkRow, error) {
	keys, err := admin.Keys(ctx)
	if err != nil {
		return nil, err
	}
	key, unknown := cli.FindKey(keys, name)
	pkh := key.PKH
	if unknown != nil {
		if pkh, err = tezos.ParsePublicKeyHash(name); err != nil {
			return nil, unknown
		}
	}
	marks, err := admin.Marks(ctx)
	if err != nil {
		return nil, err
	}
	marks = slices.DeleteFunc(marks, func(m operate.MarkRow) bool { return m.PKH != pkh })
	if len(marks) == 0 {
		return nil, errors.Join(unknown, hints.Add(fmt.Errorf("%s has no marks here", pkh), "see: highwater hwm list"))
	}
	return marks, nil
}

// showMarks shows the rows of one key. Horizon and ceiling belong to the key and chain, and repeat in each row.
func (a *app) showMarks(marks []operate.MarkRow) error {
	m := marks[0]
	a.Say("key       %s", m.PKH)
	a.Say("alias     %s", words.Dash(m.Alias))
	for i, m := range marks {
		if i > 0 && m.Chain == marks[i-1].Chain {
			continue
		}
		a.Say("chain     %s", m.Chain)
		a.Say("horizon   %s", m.HorizonText())
		a.Say("ceiling   %s", m.CeilingText())
	}
	a.Say("")
	return a.MarksTable(marks)
}
