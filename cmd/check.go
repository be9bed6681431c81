package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"highwater/hwm"
	"highwater/internal/checklist"
	"highwater/internal/config"
	"highwater/internal/device"
	"highwater/internal/hints"
	"highwater/internal/terminal"
	"highwater/internal/words"
	"highwater/operate"
	"highwater/store"
)

const checkLong = `Look at everything that signing needs, and change nothing: configuration, permissions, listeners and certificates, the
state directory and its disk, USB buses and devices, each key and the device that should hold it, the node, the clocks, the role,
the guard. Exit status 1 when something is wrong; each finding says what to do.`

func (a *app) checkCmd() *cobra.Command {
	return a.addJSON(&cobra.Command{
		Use: "check", Short: "Check configuration, permissions, devices, disk and clock; change nothing", Long: checkLong, Args: noArgs,
		Example: "  highwater check --config /etc/highwater/highwater.toml",
		RunE:    func(c *cobra.Command, _ []string) error { return a.check(c.Context()) },
	})
}

func (a *app) check(ctx context.Context) error {
	findings := a.findings(ctx)
	if a.jsonFlag {
		if err := a.JSON(findings); err != nil {
			return err
		}
	} else if err := a.showFindings(findings); err != nil {
		return err
	}
	if slices.ContainsFunc(findings, func(f checklist.Line) bool { return f.Result == checklist.Bad }) {
		return errSaid
	}
	return nil
}

func (a *app) findings(ctx context.Context) []checklist.Line {
	cfg, err := a.config()
	if err != nil {
		return []checklist.Line{checklist.Failed(checklist.Configuration, err)}
	}
	out := []checklist.Line{checklist.Good(checklist.Configuration, "%s, chain %s", cfg.Path, cfg.ChainID)}
	dir := checkStateDir(cfg)
	out = append(out, checkConfigMode(cfg.Path))
	out = append(out, checkListeners(cfg)...)
	out = append(append(out, checkTLS(cfg, time.Now())...), dir)
	if dir.Result != checklist.Bad { // or it would be said twice
		out = append(append(out, checkFileSystem(cfg.StateDir)...), checkSync(cfg.StateDir))
	}
	out = append(out, checkRuntime(cfg), checkClock())
	out = append(out, checkNode(ctx, cfg, time.Now)...)
	out = append(out, checkBuses(cfg)...)
	return append(out, a.checkInstance(ctx, cfg)...)
}

func checkConfigMode(path string) checklist.Line {
	if err := config.CheckMode(path); err != nil {
		return checklist.Failed(checklist.Permissions, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return checklist.Failed(checklist.Permissions, err)
	}
	return checklist.Good(checklist.Permissions, "%s is %04o", path, info.Mode().Perm())
}

func checkStateDir(cfg *config.Config) checklist.Line {
	dir := cfg.StateDir
	info, err := os.Stat(dir)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = hints.Add(fmt.Errorf("there is no directory %s", dir), fmt.Sprintf("is its disk mounted (findmnt -T %s), and is state_dir right? A new instance gets it from: highwater init --config %s", dir, cfg.Path))
		}
		return checklist.Failed(checklist.StateDirectory, config.ExplainAccess(err))
	}
	if info.Mode().Perm()&0o077 != 0 {
		return checklist.New(checklist.StateDirectory, checklist.Warning, fmt.Sprintf("%s is %04o: others can look into it", dir, info.Mode().Perm()), "chmod 700 "+dir)
	}
	if err := unix.Access(dir, unix.W_OK); err != nil {
		return checklist.Failed(checklist.StateDirectory, &store.DiskError{Err: fmt.Errorf("%s cannot be written by this user: %w", dir, err)})
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return checklist.Failed(checklist.StateDirectory, err)
	}
	const enough = 64 << 20
	if free := fs.Bavail * uint64(fs.Bsize); free < enough { //nolint:gosec // not negative
		return checklist.New(checklist.StateDirectory, checklist.Bad, fmt.Sprintf("%d MiB are free", free>>20), "make room: a full disk ends signing")
	}
	return checklist.Good(checklist.StateDirectory, "%s", dir)
}

// syncs is how often a sync is measured; the median counts.
const syncs = 21

// slowSync is the time above which a sync eats a good part of what a device leaves of a round.
const slowSync = 100 * time.Millisecond

// checkSync measures what makes a mark durable: an append and an fdatasync, in a file of its own.
func checkSync(dir string) checklist.Line {
	median, worst, err := measureSync(dir)
	if err != nil {
		return checklist.Failed(checklist.DiskSync, err)
	}
	text := fmt.Sprintf("median %s, worst %s of %d", median.Round(10*time.Microsecond), worst.Round(10*time.Microsecond), syncs)
	if median > slowSync {
		return checklist.New(checklist.DiskSync, checklist.Warning, text, "a faster disk for "+dir+" (an SSD, no network file system)")
	}
	return checklist.Good(checklist.DiskSync, "%s", text)
}

func measureSync(dir string) (median, worst time.Duration, err error) {
	f, err := os.CreateTemp(dir, ".check-")
	if err != nil {
		return 0, 0, err
	}
	took := make([]time.Duration, 0, syncs)
	block := make([]byte, 4096)
	for range syncs {
		start := time.Now()
		_, werr := f.Write(block)
		if err = errors.Join(werr, unix.Fdatasync(int(f.Fd()))); err != nil {
			break
		}
		took = append(took, time.Since(start))
	}
	if err = errors.Join(err, f.Close(), os.Remove(filepath.Clean(f.Name()))); err != nil {
		return 0, 0, err
	}
	slices.Sort(took)
	return took[len(took)/2], took[len(took)-1], nil
}

// checkClock compares with a date that is past for certain: a machine without a battery starts in 1970.
func checkClock() checklist.Line {
	if built := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); time.Now().Before(built) {
		return checklist.New(checklist.Clock, checklist.Warning, "it shows "+time.Now().UTC().Format(time.RFC3339), "run a time service: chrony, or systemd-timesyncd")
	}
	return checklist.Good(checklist.Clock, "%s", time.Now().UTC().Format(time.RFC3339))
}

// checkInstance asks the daemon, or opens the store and the devices.
func (a *app) checkInstance(ctx context.Context, cfg *config.Config) []checklist.Line {
	admin, done, err := a.admin(ctx, cfg, true)
	if err != nil {
		return []checklist.Line{checklist.Failed(checklist.WatermarkFile, err)}
	}
	st, err := admin.Status(ctx)
	if err = errors.Join(err, done()); err != nil {
		return []checklist.Line{checklist.Failed(checklist.WatermarkFile, err)}
	}
	out := []checklist.Line{checklist.Good(checklist.WatermarkFile, "%s, %s", filepath.Join(cfg.StateDir, "marks.db"), words.Count(len(st.Marks)-missingMarks(st), "mark"))}
	out = append(out, checkRole(st), checkGuard(cfg, st))
	out = append(out, checkPeerClock(st)...)
	for _, d := range st.Devices {
		out = append(out, checkDevice(d))
	}
	out = append(out, checkKeys(st)...)
	for _, m := range st.Alarms {
		out = append(out, checklist.New(checklist.Alarm, checklist.Warning, m.Text, m.Hint).Named("alarm "+string(m.Name)))
	}
	return append(append(out, checkMarks(st)), checkLevels(st)...)
}

// checkLevels tells which keys would not sign the level after the head.
func checkLevels(st operate.Status) []checklist.Line {
	out := make([]checklist.Line, 0, len(st.Ahead))
	for _, a := range st.Ahead {
		f := checklist.New(checklist.Levels, checklist.Warning, a.Text, "")
		if a.Far {
			f.Result = checklist.Bad
		}
		out = append(out, f)
	}
	return out
}

func checkDevice(d operate.DeviceRow) checklist.Line {
	f := checklist.Good(checklist.Device, "%s, %s %s, %s", d.Health, d.Model, d.App, words.Count(d.Keys, "key")).Named("device " + d.Name)
	switch {
	case d.Health != device.Ready:
		f.Result, f.Detail, f.Hint = checklist.Bad, string(d.Health), d.Advice
		if d.Detail != "" {
			f.Detail += ": " + d.Detail
		}
	case d.Alarm != "":
		f.Result, f.Detail, f.Hint = checklist.Warning, strings.Join(d.Remarks(), "; "), "find out why before you trust the device's own mark"
	case d.Note() != "":
		f.Detail += ": " + d.Note() // a mark that is behind is as it should be, after a power cut with the setting off
	}
	return f
}

// checkRole says who this instance is, and what it lacks to sign.
func checkRole(st operate.Status) checklist.Line {
	f := checklist.Good(checklist.Role, "%s, epoch %d", st.Role.Role, st.Role.Epoch)
	switch {
	case st.Role.Role == hwm.Fenced:
		return checkFenced(st)
	case st.Role.Role != hwm.Active:
		f.Detail += ": it signs nothing"
	case !st.Running:
		f.Detail += ": it signs as soon as highwater serve runs"
	}
	return f
}

// checkGuard says whether somebody looks on chain for what these keys sign elsewhere, and what that needs.
func checkGuard(cfg *config.Config, st operate.Status) checklist.Line {
	const what = "this instance fences itself when it sees on chain what its key signed and it did not"
	paired := st.Pair != nil && st.Pair.Peer != nil
	switch {
	case cfg.Node == "" && paired:
		return checklist.New(checklist.Guard, checklist.Warning, "off, and there is another instance: with a node "+what, "set node = \"http://…\" (your octez node) in "+cfg.Path+", and restart")
	case cfg.Node == "":
		return checklist.Good(checklist.Guard, "off; with node = \"http://…\" (your octez node) %s", what)
	case !st.Running:
		return checklist.Good(checklist.Guard, "on as soon as highwater serve runs, with the node at %s", cfg.Node)
	case st.Guard.State == operate.GuardOff:
		return checklist.New(checklist.Guard, checklist.Warning, "off: the daemon was started before a node was configured", "restart the daemon")
	case st.Guard.State == operate.GuardBlind:
		return checklist.New(checklist.Guard, checklist.Warning, st.Guard.Line(), st.Guard.Hint)
	}
	return checklist.Good(checklist.Guard, "on, %s", st.Guard.Line())
}

// raiseCommand gives all keys their marks, up to the level: in the same step with the right to sign, where that is not here yet.
func raiseCommand(st operate.Status) string {
	if st.Role.Role == hwm.Active {
		return "highwater hwm set --all --level "
	}
	return "highwater activate --level "
}

func missingMarks(st operate.Status) int {
	missing := 0
	for _, m := range st.Marks {
		if m.Level == nil {
			missing++
		}
	}
	return missing
}

func checkMarks(st operate.Status) checklist.Line {
	switch missing := missingMarks(st); {
	case len(st.Marks) == 0:
		return checklist.New(checklist.Watermarks, checklist.Warning, "no key is known yet: there is nothing to sign with", "connect a device that holds one: highwater keys list")
	case missing > 0:
		f := checklist.New(checklist.Watermarks, checklist.Warning, words.Count(missing, "mark")+" missing: those keys do not sign", "above all that these keys ever signed (docs/migrate.md): "+raiseCommand(st)+"LEVEL")
		if i := slices.IndexFunc(st.Marks, func(m operate.MarkRow) bool { return m.Chain.String() != st.Chain }); i >= 0 {
			f.Detail += fmt.Sprintf("; there are marks for chain %s, and `chain` is %s", st.Marks[i].Chain, st.Chain)
		}
		return f
	}
	return checklist.Good(checklist.Watermarks, "every key has them")
}

func (a *app) showFindings(findings []checklist.Line) error {
	colours := map[checklist.Result]string{checklist.OK: terminal.Green, checklist.Warning: terminal.Yellow, checklist.Bad: terminal.Red}
	rows := [][]string{}
	for _, f := range findings {
		rows = append(rows, []string{a.Paint(colours[f.Result], string(f.Result)), f.Name, f.Detail})
	}
	if err := a.Table([]string{"result", "what", "found"}, rows); err != nil {
		return err
	}
	for _, f := range findings {
		if f.Hint != "" {
			a.Note("hint: %s: %s", f.Name, f.Hint)
		}
	}
	return nil
}
