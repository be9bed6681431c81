package auditlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/internal/chain"
	"highwater/internal/config"
	"highwater/internal/hints"
	"highwater/internal/missed"
	"highwater/internal/node"
	"highwater/internal/rights"
	"highwater/internal/terminal"
	"highwater/internal/tezos"
	"highwater/internal/words"
	"highwater/operate"
)

const missedLong = `Account for each right of the keys to attest or to make a block: its outcome on chain, and for a missed right the cause, by this
machine's audit log. The rights and blocks are asked of the octez node. Only final levels count, with four blocks on top.

Preattestations leave no trace on chain. A kind that a key may not sign here (allow) is left out. In a pair, a right that the
peer served is included; for a right missed by the peer, run the command on the peer.`

const missedExample = `  highwater missed
  highwater missed --last 2h --all
  highwater missed --cycle 1042 --json
  highwater missed --levels 9123400-9123500 --key consensus`

// missedFlags are the flags of the command.
type missedFlags struct {
	filter
	span   missed.Span
	cycle  int32
	levels string
	node   string
	all    bool
}

func (a *app) missedCmd() *cobra.Command {
	var f missedFlags
	c := &cobra.Command{
		Use: "missed", Short: "Account for missed rights: the outcome on chain, and the cause", Args: cli.NoArgs,
		Long: missedLong, Example: missedExample,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.read(c); err != nil {
				return err
			}
			if err := a.prepare(&f.filter); err != nil {
				return err
			}
			return a.WithAdmin(c.Context(), false, func(cfg *config.Config, admin operate.Admin) error {
				return a.missed(c.Context(), cfg, admin, &f)
			})
		},
	}
	c.Flags().DurationVar(&f.span.Last, "last", 24*time.Hour, "the levels of this `TIME` up to now, as 24h or 90m")
	c.Flags().Int32Var(&f.cycle, "cycle", 0, "the levels of this `CYCLE`")
	c.Flags().StringVar(&f.levels, "levels", "", "this level, or the levels `FROM-TO`")
	c.Flags().StringVar(&f.key, "key", "", "only this `KEY`: an address, or an alias of the configuration")
	c.Flags().StringVar(&f.node, "node", "", "ask the octez node at this `URL`, in the place of the configured one")
	c.Flags().BoolVar(&f.all, "all", false, "list every right, not only the missed")
	return a.AddJSON(c)
}

// read checks the flags of the span.
func (f *missedFlags) read(c *cobra.Command) error {
	given := 0
	for _, name := range []string{"last", "cycle", "levels"} {
		if c.Flags().Changed(name) {
			given++
		}
	}
	switch {
	case given > 1:
		return terminal.Usagef("%s wants one of --last, --cycle and --levels", c.CommandPath())
	case c.Flags().Changed("cycle"):
		if f.cycle < 0 {
			return terminal.Usagef("--cycle %d: cycles are counted from 0", f.cycle)
		}
		f.span = missed.Span{Cycle: &f.cycle}
	case c.Flags().Changed("levels"):
		first, last, isRange := strings.Cut(f.levels, "-")
		if !isRange {
			last = first
		}
		from, err := strconv.ParseInt(first, 10, 32)
		to, err2 := strconv.ParseInt(last, 10, 32)
		if err != nil || err2 != nil || from < 1 || from > to || to == math.MaxInt32 {
			return terminal.Usagef("--levels %q: expected a level like 9123456, or levels like 9123400-9123500", f.levels)
		}
		f.span = missed.Span{Levels: &node.Levels{First: int32(from), Last: int32(to)}}
	case f.span.Last < time.Minute:
		return terminal.Usagef("--last %s: expected a time of a minute or more, like 24h", f.span.Last)
	}
	return nil
}

func (a *app) missed(ctx context.Context, cfg *config.Config, admin operate.Admin, f *missedFlags) error {
	client, err := f.dial(cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	var notes []string
	_, err = client.Check(ctx, cfg.ChainID, time.Now(), time.Minute)
	switch {
	case errors.Is(err, node.ErrNotSynced):
		notes = append(notes, err.Error())
	case err != nil:
		return err
	}
	keys, alias, err := servedKeys(ctx, admin, f.pkh)
	if err != nil {
		return err
	}
	levels, more, err := f.span.Find(ctx, client)
	if err != nil {
		return err
	}
	past, err := missed.Read(ctx, chain.New(client, cfg.ChainID), keys, levels, a.progress(levels))
	if err != nil {
		return err
	}
	st, err := admin.Status(ctx)
	if err != nil {
		return err
	}
	now := time.Time{}
	if st.Running {
		now = time.Now()
	}
	log := missed.ReadLog(cfg.AuditDir(), past, now)
	if log.Fault != nil {
		notes = append(notes, "the causes are not all known: "+log.Fault.Error())
	}
	r := missed.Tell(levels, past, log, alias, f.all)
	r.Notes = append(append(r.Notes, notes...), more...)
	return a.account(r)
}

// dial makes a client of the node to ask.
func (f *missedFlags) dial(cfg *config.Config) (*node.Client, error) {
	at := cmp.Or(f.node, cfg.Node)
	if at == "" {
		return nil, hints.Add(errors.New("no octez node is configured: the rights of the keys are not known"),
			"set node = \"http://127.0.0.1:8732\" in "+cfg.Path+", or name a node with --node")
	}
	return node.New(node.Config{URL: at})
}

// servedKeys are the keys of this instance, with their aliases: those of the devices, and those with marks.
func servedKeys(ctx context.Context, admin operate.Admin, only string) (
	keys []rights.Key, alias func(tezos.PublicKeyHash) string, err error,
) {
	names := map[tezos.PublicKeyHash]string{}
	add := func(pkh tezos.PublicKeyHash, name string, kinds []tezos.Kind) {
		if _, ok := names[pkh]; !ok && (only == "" || pkh.String() == only) {
			names[pkh], keys = name, append(keys, rights.Key{PKH: pkh, Kinds: kinds})
		}
	}
	rows, err := admin.Keys(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, k := range rows {
		add(k.PKH, words.ShortAlias(k.Alias), k.Allow)
	}
	marks, err := admin.Marks(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, m := range marks {
		add(m.PKH, words.ShortAlias(m.Alias), nil)
	}
	if len(keys) == 0 {
		return nil, nil, hints.Add(errors.New("no such key is known here"), "see: highwater keys list")
	}
	return keys, func(pkh tezos.PublicKeyHash) string { return names[pkh] }, nil
}

// progressEvery is the time between two lines of progress.
const progressEvery = 5 * time.Second

// progress tells how far a long look is.
func (a *app) progress(l node.Levels) func(done int32) {
	last := time.Now()
	return func(done int32) {
		if time.Since(last) >= progressEvery {
			last = time.Now()
			a.Note("%d of %d levels read", done, l.Last-l.First+1)
		}
	}
}

// account shows a report: the sum first.
func (a *app) account(r missed.Report) error {
	if a.AsJSON {
		return a.JSON(r)
	}
	a.Say("levels %d to %d", r.From, r.To)
	a.Say("%s", r.Attestations.Line("attestation", "attest", "included"))
	a.Say("%s", r.Blocks.Line("block", "make a block", "made"))
	for _, n := range r.Notes {
		a.Say("note: %s", n)
	}
	if len(r.Rights) > 0 {
		a.Say("")
		if err := a.Table([]string{"level", "block's time", "key", "right", "result", "why"}, rowsOf(r)); err != nil {
			return err
		}
	}
	steps := r.Steps()
	if len(steps) > 0 {
		a.Say("")
	}
	for _, step := range steps {
		a.Say("%s", step)
	}
	return nil
}

func rowsOf(r missed.Report) (out [][]string) {
	for _, row := range r.Rights {
		right := row.Kind
		if row.Kind == tezos.Block.String() {
			right = fmt.Sprintf("block of round %d", row.Round)
		}
		key := cmp.Or(row.Alias, row.PKH.String())
		at := "-"
		if !row.At.IsZero() {
			at = words.Time(row.At)
		}
		out = append(out, []string{strconv.Itoa(int(row.Level)), at, key, right, row.Outcome.String(), why(row)})
	}
	return out
}

// why is the last column of a table.
func why(r missed.Row) string {
	switch {
	case r.Cause != "":
		return fmt.Sprintf("%s: %s", r.Cause, r.Text)
	case r.Outcome == rights.Unknown:
		return "the node does not show the block"
	case r.Verdict == "":
		return "-" // asked of another machine, or not in the log
	}
	text := fmt.Sprintf("%s in %d ms", r.Verdict, *r.TookMS)
	if r.AfterMS != nil {
		text += fmt.Sprintf(", asked %d ms after the block", max(*r.AfterMS, 0))
	}
	return text
}
