package bringup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"highwater/hwm"
	"highwater/hwm/interchange"
	"highwater/internal/checklist"
	"highwater/internal/hints"
	"highwater/internal/markfiles"
	"highwater/internal/words"
)

// Files of octez-baker in its base directory, after the first 13 characters of the chain id (baking_files.ml). Older
// releases kept seed nonces in "nonces", newer releases in "stateful_nonces".
const bakerMarks = "highwatermarks"

var bakerNonces = []string{"stateful_nonces", "nonces", "orphaned_nonces"}

// shortChain is the number of characters of the chain id in the names of the files.
const shortChain = 13

// checkBakerFiles looks for octez-baker's own files. Only the operator knows whether the files are the first machine's
// newest.
func (b *Backup) checkBakerFiles(ctx context.Context) checklist.Line {
	if b.BakerDir == "" {
		return checklist.Line{
			Detail: "nobody said where octez-baker's base directory is",
			Hint: "copy the files from the first machine, and name their directory: " +
				"highwater bring-up --baker-dir ~/.tezos-client",
		}
	}
	at := func(name string) string { return filepath.Join(b.BakerDir, b.Config.Chain[:shortChain]+"_"+name) }
	var have []string
	nonces := 0
	for _, name := range bakerNonces {
		info, err := os.Stat(at(name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return broken(hints.Add(err, "may highwater look into "+b.BakerDir+"? If not: "+
				"highwater bring-up --state baker-files='copied from the first machine'"))
		}
		nonces++
		have = append(have, fileWords(info))
	}
	text, behind, err := b.bakerMarksWords(ctx, at(bakerMarks))
	if err != nil {
		return broken(err)
	}
	if text != "" {
		have = append(have, text)
	}
	copyHint := "stop octez-baker here, copy " + at("*nonces") + " and " + at(
		bakerMarks) + " from the first machine, and again at each switch"
	switch {
	case text == "" && nonces == 0:
		return waiting(copyHint, "%s has neither nonces nor highwatermarks of the chain", b.BakerDir)
	case nonces == 0:
		return waiting(copyHint, "%s has no nonces: %s", b.BakerDir, strings.Join(have, ", "))
	case text == "":
		return waiting(copyHint, "%s has no highwatermarks: %s", b.BakerDir, strings.Join(have, ", "))
	}
	f := fine("%s", strings.Join(have, ", "))
	if behind {
		f.Result, f.Hint = checklist.Warning,
			"the baker's own marks are above the marks here: highwater hwm import "+at(bakerMarks)
	}
	return f
}

func fileWords(info os.FileInfo) string {
	return fmt.Sprintf("%s (%d bytes, written %s ago)", info.Name(), info.Size(), words.Age(time.Since(info.ModTime())))
}

// bakerMarksWords reads the baker's own highwatermarks, and tells whether a mark is above the mark here. No words: no
// such file.
func (b *Backup) bakerMarksWords(ctx context.Context, path string) (words string, above bool, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	data, err := markfiles.ReadFile(path)
	if err != nil {
		return "", false, err
	}
	rows, _, err := interchange.Parse(filepath.Base(path), data, b.Config.ChainID)
	if err != nil {
		return "", false, hints.Add(err, "copy the file from the first machine again")
	}
	st, err := b.Look(ctx)
	if err != nil {
		return "", false, err
	}
	highest := int32(-1)
	for _, r := range rows {
		highest = max(highest, r.Level)
		for _, m := range st.Marks {
			if m.PKH != r.PKH || m.Kind != r.Kind || m.Level == nil {
				continue
			}
			theirs := hwm.Position{Level: r.Level, Round: r.Round}
			above = above || theirs.Compare(hwm.Position{Level: *m.Level, Round: *m.Round}) > 0
		}
	}
	return fmt.Sprintf("%s, %s", fileWords(info), upTo(highest)), above, nil
}
