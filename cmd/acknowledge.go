package cmd

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/internal/config"
	"highwater/internal/hints"
	"highwater/internal/terminal"
	"highwater/internal/words"
	"highwater/operate"
	"highwater/signer"
)

const acknowledgeLong = `Show the standing alarms, each with its number, and end the named alarms. An ended alarm
comes back only when its cause is found again. Alarms are for the operator alone: an alarm stops no signature,
and ending an alarm allows none.

Without a number, a single standing alarm is ended; several alarms are only shown. --all ends all shown alarms.

Exit status 0: ended, or no alarm stands. 1: several alarms stand, and none was named; or a failure. 2: no alarm
has the number.`

func (a *app) acknowledgeCmd() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use: "acknowledge [NUMBER...]", Short: "Show the standing alarms, and end the named alarms", Long: acknowledgeLong,
		Example: "  highwater acknowledge 3",
		RunE: func(c *cobra.Command, args []string) error {
			var ids []uint64
			for _, arg := range args {
				id, err := strconv.ParseUint(arg, 10, 64)
				if err != nil || all {
					return terminal.Usagef("use highwater acknowledge with numbers of alarms, or with --all, not %q", arg)
				}
				ids = append(ids, id)
			}
			return a.WithAdmin(c.Context(), true,
				func(_ *config.Config, admin operate.Admin) error { return a.acknowledge(c.Context(), admin, ids, all) })
		},
	}
	c.Flags().BoolVar(&all, "all", false, "end all shown alarms")
	return a.AddJSON(cli.Reasoned(c))
}

func (a *app) acknowledge(ctx context.Context, admin operate.Admin, ids []uint64, all bool) error {
	st, err := admin.Status(ctx)
	if err != nil {
		return err
	}
	if len(ids) == 0 && len(st.Alarms) > 1 && !all {
		a.numberAlarms(st.Alarms)
		return hints.Add(fmt.Errorf("%s stand, and none was named: none was ended", words.Count(len(st.Alarms), "alarm")),
			fmt.Sprintf("highwater acknowledge %d, for the first; --all for all alarms", st.Alarms[0].ID))
	}
	ended, err := named(st.Alarms, ids)
	if err != nil {
		return err
	}
	if len(ended) > 0 { // by number: an alarm that arises meanwhile stays
		var request operate.AcknowledgeRequest
		for _, m := range ended {
			request.IDs = append(request.IDs, m.ID)
		}
		if _, err = admin.Acknowledge(ctx, request); err != nil {
			return err
		}
	}
	if a.AsJSON {
		return a.JSON(ended)
	}
	a.showAlarms(ended)
	a.Say("%s acknowledged", words.Count(len(ended), "alarm"))
	return nil
}

// named gives the alarms with these numbers, or all alarms when no number is given.
func named(alarms []signer.Alarm, ids []uint64) ([]signer.Alarm, error) {
	if len(ids) == 0 {
		return alarms, nil
	}
	var out []signer.Alarm
	for _, id := range ids {
		before := len(out)
		for _, m := range alarms {
			if m.ID == id {
				out = append(out, m)
			}
		}
		if len(out) == before {
			return nil, hints.Add(terminal.Usagef("no alarm has the number %d", id), "see: highwater acknowledge")
		}
	}
	return out, nil
}

// numberAlarms shows the alarms with the numbers that end them. JSON results have the numbers already.
func (a *app) numberAlarms(alarms []signer.Alarm) {
	for _, m := range alarms {
		a.Note("alarm %d: %s: %s\n  hint: %s", m.ID, m.Name, m.Text, m.Hint)
	}
}
