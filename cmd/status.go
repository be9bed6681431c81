package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"highwater/hwm"
	"highwater/internal/config"
	"highwater/internal/device"
	"highwater/internal/hints"
	"highwater/internal/terminal"
	"highwater/internal/words"
	"highwater/operate"
	"highwater/signer"
)

func (a *app) statusCmd() *cobra.Command {
	return a.addJSON(&cobra.Command{
		Use: "status", Short: "Show role, devices, keys and watermarks on one screen", Args: noArgs,
		Long: "Show who may sign and why, the devices, the keys and their watermarks. Exit status 1 when a request could not be\n" +
			"signed now, with a reason for each no.",
		Example: "  highwater status",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withAdmin(c.Context(), true, func(_ *config.Config, admin operate.Admin) error { return a.status(c.Context(), admin) })
		},
	})
}

func (a *app) status(ctx context.Context, admin operate.Admin) error {
	st, err := admin.Status(ctx)
	if err != nil {
		return err
	}
	if a.jsonFlag {
		err = a.JSON(st)
	} else {
		err = a.showStatus(st)
	}
	if err == nil && !st.Ready {
		return errSaid
	}
	return err
}

func (a *app) showStatus(st operate.Status) error {
	a.Say("%s  epoch %d, since %s: %s", a.paintRole(st.Role.Role), st.Role.Epoch, words.Time(st.Role.Since), st.Role.Why)
	a.Say("chain   %s\ninstance %s…", st.Chain, st.Instance[:16])
	if l := st.LastRun; l != nil && len(l.Floors) > 0 {
		a.Say("last run  %s", l.Line())
	}
	a.showGuard(st.Guard)
	a.showPair(st.Pair)
	if v := st.Pair; v != nil && v.Peer == nil && st.Role.Role != hwm.Active { // alone, and in need of advice
		a.showNext(v.Next)
	}
	rows := [][]string{}
	for _, d := range st.Devices {
		rows = append(rows, []string{d.Name, a.paintHealth(d.Health), strings.TrimSpace(d.Model + " " + d.App), words.Dash(d.ID), words.Dash(strings.Join(d.Remarks(), "; "))})
	}
	if err := a.Table([]string{"device", "health", "model", "id", "what to do"}, rows); err != nil {
		return err
	}
	a.Say("")
	if err := a.marksTable(st.Marks); err != nil {
		return err
	}
	a.Say("")
	a.showAlarms(st.Alarms)
	for _, note := range st.Notes {
		a.Say("%s %s", a.Paint(terminal.Yellow, "note:"), note)
	}
	if st.Ready {
		a.Say("%s: a request could be signed now", a.Paint(terminal.Green, "ready"))
		return nil
	}
	a.Say("%s:", a.Paint(terminal.Red, "not ready"))
	for _, no := range st.NotReady {
		a.Say("  - %s", no)
	}
	return nil
}

// showGuard is the part of the status that is about the look at the chain.
func (a *app) showGuard(g operate.Guard) {
	text := g.Line()
	if g.State == operate.GuardBlind {
		text = a.Paint(terminal.Red, text)
	}
	a.Say("guard   %s", text)
	if g.Hint != "" {
		a.Say("        hint: %s", g.Hint)
	}
	if g.Finding != nil {
		a.Say("        %s: %s", a.Paint(terminal.Red, "it saw"), g.Finding.Text)
	}
	a.Say("")
}

// showAlarms shows alarms with what to do about each.
func (a *app) showAlarms(alarms []signer.Alarm) {
	for _, m := range alarms {
		a.Say("%s %s: %s\n  hint: %s", a.Paint(terminal.Red, "alarm:"), m.Name, m.Text, m.Hint)
	}
}

func (a *app) paintRole(r hwm.Role) string {
	switch r {
	case hwm.Active:
		return a.Paint(terminal.Green, "active")
	case hwm.Fenced:
		return a.Paint(terminal.Red, "fenced")
	case hwm.Standby:
	}
	return a.Paint(terminal.Yellow, r.String())
}

func (a *app) paintHealth(h device.Health) string {
	if h == device.Ready {
		return a.Paint(terminal.Green, string(h))
	}
	return a.Paint(terminal.Red, string(h))
}

// marksTable shows marks, one line for each key and kind; with the chain, where there are those of several.
func (a *app) marksTable(marks []operate.MarkRow) error {
	header := []string{"key", "alias", "kind", "level", "round", "horizon", "ceiling", "source", "updated"}
	several := slices.ContainsFunc(marks, func(m operate.MarkRow) bool { return m.Chain != marks[0].Chain })
	if several {
		header = append(header, "chain")
	}
	rows := [][]string{}
	for _, m := range marks {
		at := "-"
		if m.UpdatedAt != nil {
			at = words.Time(*m.UpdatedAt)
		}
		row := []string{m.PKH.String(), words.Dash(words.ShortAlias(m.Alias)), m.Kind.String(), m.LevelText(), m.RoundText(), m.HorizonText(), m.CeilingText(), words.Dash(m.Source), at}
		if several {
			row = append(row, m.Chain.String())
		}
		rows = append(rows, row)
	}
	return a.Table(header, rows)
}

func (a *app) keysCmd() *cobra.Command {
	list := a.addJSON(&cobra.Command{
		Use: "list", Short: "List the keys that may be asked for", Args: noArgs, Example: "  highwater keys list --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withAdmin(c.Context(), true, func(_ *config.Config, admin operate.Admin) error {
				keys, err := admin.Keys(c.Context())
				if err != nil {
					return err
				}
				if a.jsonFlag {
					return a.JSON(keys)
				}
				if len(keys) == 0 {
					a.Note("hint: no key is known: connect a device that holds one, and see: highwater check")
				}
				return a.keysTable(keys)
			})
		},
	})
	show := a.addJSON(&cobra.Command{
		Use: "show KEY", Short: "Show one key, by address or alias", Args: oneKey, Example: "  highwater keys show consensus",
		RunE: func(c *cobra.Command, args []string) error {
			return a.withAdmin(c.Context(), true, func(_ *config.Config, admin operate.Admin) error { return a.showKey(c.Context(), admin, args[0]) })
		},
	})
	pop := a.addJSON(&cobra.Command{
		Use: "pop KEY", Short: "Show the proof of possession of a tz4 key", Args: oneKey, Example: "  highwater keys pop consensus",
		Long: "Show the proof of possession of a tz4 key, which octez-client wants when the key is registered or set as consensus or\n" +
			"companion key.",
		RunE: func(c *cobra.Command, args []string) error {
			return a.withAdmin(c.Context(), true, func(_ *config.Config, admin operate.Admin) error { return a.showProof(c.Context(), admin, args[0]) })
		},
	})
	return group("keys", "List and show keys", "The keys that a baker may ask for: those of the configuration, or all that the devices offer.",
		"  highwater keys list", list, show, pop)
}

func oneKey(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return hints.Add(terminal.Usagef("%s wants one key: its address or alias", c.CommandPath()), "see: highwater keys list")
	}
	return nil
}

func (a *app) keysTable(keys []operate.KeyRow) error {
	rows := [][]string{}
	for _, k := range keys {
		rows = append(rows, []string{k.PKH.String(), k.Curve, words.Dash(words.ShortAlias(k.Alias)), words.Dash(k.Device), a.paintHealth(device.Health(k.Health)), words.Dash(k.Advice)})
	}
	return a.Table([]string{"key", "curve", "alias", "device", "health", "what to do"}, rows)
}

func (a *app) showKey(ctx context.Context, admin operate.Admin, name string) error {
	keys, err := admin.Keys(ctx)
	if err != nil {
		return err
	}
	k, err := findKey(keys, name)
	if err != nil {
		return err
	}
	if a.jsonFlag {
		return a.JSON(k)
	}
	allow := []string{}
	for _, kind := range k.Allow {
		allow = append(allow, kind.String())
	}
	for _, line := range [][2]string{
		{"key", k.PKH.String()},
		{"public key", words.Dash(k.PublicKey)},
		{"curve", k.Curve},
		{"alias", words.Dash(k.Alias)},
		{"device", words.Dash(k.Device)},
		{"spares", words.Dash(strings.Join(k.Spares, ", "))},
		{"health", k.Health},
		{"may sign", strings.Join(allow, ", ")},
	} {
		a.Say("%-11s %s", line[0], line[1])
	}
	return nil
}

func (a *app) showProof(ctx context.Context, admin operate.Admin, name string) error {
	keys, err := admin.Keys(ctx)
	if err != nil {
		return err
	}
	k, err := findKey(keys, name)
	if err != nil {
		return err
	}
	proof, err := admin.Prove(ctx, k.PKH)
	if err != nil {
		return err
	}
	if a.jsonFlag {
		return a.JSON(proof)
	}
	a.Say("%s", proof.Proof)
	return nil
}

// findKey finds a key by its address or its alias, a Ledger's also as the tables shorten it.
func findKey(keys []operate.KeyRow, name string) (operate.KeyRow, error) {
	var found []operate.KeyRow
	for _, k := range keys {
		if k.PKH.String() == name {
			return k, nil
		}
		if name != "" && (k.Alias == name || words.ShortAlias(k.Alias) == name) {
			found = append(found, k)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return operate.KeyRow{}, hints.Add(fmt.Errorf("no key %q is known", name), "see: highwater keys list")
	}
	return operate.KeyRow{}, hints.Add(fmt.Errorf("%d keys have the alias %q", len(found), name), "use the address: highwater keys list")
}
