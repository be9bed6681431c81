package markfiles

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"highwater/hwm/interchange"
	"highwater/internal/durable"
	"highwater/internal/hints"
	"highwater/internal/tezos"
)

// OtherSigners print watermarks in the file formats of foreign signers.
var OtherSigners = map[string]func(tezos.ChainID, []interchange.Row) ([]interchange.File, error){
	interchange.OctezSigner.String(): interchange.WriteOctezSigner,
	interchange.Signatory.String():   interchange.WriteSignatory,
}

// WriteNew writes new files, readable by their owner alone. WriteNew writes all files or none.
func WriteNew(dir string, files []interchange.File) error {
	paths := make([]string, len(files))
	for i, f := range files {
		paths[i] = filepath.Join(dir, filepath.FromSlash(f.Name))
		if _, err := os.Lstat(paths[i]); err == nil {
			return hints.Add(fmt.Errorf("%s exists already, perhaps with higher marks, or with marks of different keys",
				paths[i]),
				fmt.Sprintf("take the marks over first (highwater hwm import %s), and name a new directory", paths[i]))
		}
	}
	for i, f := range files {
		err := os.MkdirAll(filepath.Dir(paths[i]), 0o700)
		if err == nil {
			err = durable.Create(paths[i], f.Data)
		}
		if err != nil {
			return fmt.Errorf("nothing was exported: %w", errors.Join(err, removeAll(paths[:i])))
		}
	}
	return nil
}

func removeAll(paths []string) (err error) {
	for _, path := range paths {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}
