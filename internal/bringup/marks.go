package bringup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"highwater/hwm"
	"highwater/hwm/bundle"
	"highwater/internal/checklist"
	"highwater/internal/hints"
	"highwater/internal/markfiles"
	"highwater/internal/words"
	"highwater/operate"
)

// checkKeys compares with the peer; without a link, with a bundle of the peer; else the operator must compare.
func (b *Backup) checkKeys(ctx context.Context) checklist.Line {
	if b.paired(ctx) {
		f, _ := b.planFinding(ctx, checklist.Keys)
		return f
	}
	st, err := b.Look(ctx)
	if err != nil {
		return broken(err)
	}
	if b.Config.Shared() && st.Register != nil {
		if f, known := sharedKeys(st); known {
			return f
		}
	}
	if err := b.openBundles(ctx); err != nil {
		return broken(err)
	}
	var there []string
	for _, from := range b.bundles {
		if texts := missingKeys(from, st.Keys); len(texts) > 0 {
			return checklist.Line{
				Result: checklist.Bad, Detail: strings.Join(texts, "; "),
				Hint: "connect the device with the key, and see: highwater keys list",
			}
		}
		there = append(there, fmt.Sprintf(
			"%s of the bundle of %s, written %s: all are here", words.Count(len(from.Keys), "key"), from.Instance.Short(),
			words.Time(from.When)))
	}
	if len(there) > 0 {
		return fine("%s", strings.Join(there, "; "))
	}
	names := make([]string, 0, len(st.Keys))
	for _, k := range st.Keys {
		names = append(names, k.PKH.String())
	}
	return checklist.Line{
		Detail: "the keys here are " + strings.Join(names, ", "),
		Hint: "compare with the first machine, and run: " +
			"highwater bring-up --state keys='compared with the first machine'",
	}
}

// missingKeys are the peer's keys that cannot sign here.
func missingKeys(from *bundle.Bundle, here []operate.KeyRow) []string {
	var out []string
	for _, k := range from.Keys {
		i := slices.IndexFunc(here, func(row operate.KeyRow) bool { return row.PKH == k.PKH })
		switch {
		case i < 0:
			out = append(out, fmt.Sprintf("the first machine has key %s, the backup has not", k.PKH))
		case here[i].Unable() != nil:
			out = append(out, fmt.Sprintf("the first machine's key %s cannot sign here: %s", k.PKH, here[i].Unable().Text))
		}
	}
	return out
}

// openBundles reads the bundles among the imported files, once.
func (b *Backup) openBundles(ctx context.Context) error {
	if b.bundles != nil {
		return nil
	}
	b.bundles = []*bundle.Bundle{}
	for _, path := range b.Files {
		data, err := markfiles.ReadFile(path)
		if err != nil {
			return err
		}
		if !bundle.Is(data) {
			continue
		}
		from, err := markfiles.OpenBundle(path, data)
		if err == nil {
			err = b.with(ctx, false, func(admin operate.Admin) error {
				_, whose := b.Trust.Check(ctx, b.Config, admin, from)
				return whose
			})
		}
		if err != nil {
			return err
		}
		b.bundles = append(b.bundles, from)
	}
	return nil
}

func (b *Backup) checkMarks(ctx context.Context) checklist.Line {
	st, err := b.Look(ctx)
	if err != nil {
		return broken(err)
	}
	missing, highest, newest := 0, int32(-1), time.Time{}
	for _, m := range st.Marks {
		if m.Level == nil {
			missing++
			continue
		}
		highest = max(highest, *m.Level)
		if m.UpdatedAt.After(newest) {
			newest = *m.UpdatedAt
		}
	}
	text := fmt.Sprintf("%s, %s", words.Count(len(st.Marks), "mark"), upTo(highest))
	if b.Config.Shared() {
		return sharedMarks(missing, text)
	}
	switch {
	case missing > 0 && !b.paired(ctx):
		return waiting("take the marks over: on the first machine, highwater bundle export --out bundle.json; "+
			"here, with the file, highwater bring-up --import bundle.json", "%s missing", words.Count(missing, "mark"))
	case missing > 0:
		return waiting("the marks come from the peer, as soon as the peer has marks: on the peer, highwater hwm set or "+
			"activate --level", "%s missing", words.Count(missing, "mark"))
	case !b.paired(ctx):
		return checklist.Line{
			Result: checklist.Warning, Detail: fmt.Sprintf(
				"%s, taken over %s: the first machine's later signatures are not in the marks", text, words.Time(newest)),
			Hint: "take the marks over again before the activation here; or make a pair: highwater peer add",
		}
	case !st.Pair.Peer.Following:
		return waiting("highwater peer show; the marks are followed within seconds of the peer's answer",
			"%s; the peer's marks are not followed", text)
	}
	return fine("%s; the marks follow the peer's", text)
}

// upTo names the highest level of marks; a negative level stands for no mark.
func upTo(level int32) string {
	if level < 0 {
		return "nothing signed yet"
	}
	return fmt.Sprintf("up to level %d", level)
}

// takeMarks imports the named files, and waits for marks from the peer.
func (b *Backup) takeMarks(ctx context.Context, f checklist.Line) checklist.Line {
	if len(b.Files) > 0 {
		if err := b.importFiles(ctx); err != nil {
			return broken(err)
		}
		b.lookAgain()
		f = b.checkMarks(ctx)
	}
	if !b.paired(ctx) && !b.Config.Shared() {
		return f
	}
	return b.until(ctx, b.Wait, f, b.checkMarks)
}

func (b *Backup) importFiles(ctx context.Context) error {
	return b.with(ctx, false, func(admin operate.Admin) error {
		read, err := markfiles.ReadAll(ctx, b.Config, admin, b.Files, b.Trust)
		if err != nil {
			return err
		}
		for _, r := range read.Refused {
			b.Note("refused: %s of %s: %s", r.Kind, r.PKH, r.Why)
		}
		if len(read.Rows) == 0 {
			return errors.New("the files hold no watermarks of the configured chain")
		}
		if _, err = admin.Raise(ctx, operate.RaiseRequest{Rows: read.Rows, Bundles: read.Bundles}); operate.ReasonOf(err) == string(hwm.TooFar) {
			return hints.Add(err, "look at the levels again; if the levels are right: "+
				"highwater hwm import --far "+strings.Join(b.Files, " "))
		}
		return err
	})
}
