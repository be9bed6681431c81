package interchange

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"highwater/internal/tezos"
)

// File is a file of a foreign signer.
type File struct {
	Name string // the path below the signer's base directory, with slashes
	Data []byte
}

// octez-signer wants a hash beside each mark, and compares the hash only beside a signature. Our marks have no
// signature: octez-signer then refuses the mark's own place and all places below.
var noHash = strings.Repeat("0", 64)

type octezMark struct {
	Level int32  `json:"level"`
	Round int32  `json:"round"`
	Hash  string `json:"hash"`
}

// signatoryMark is Signatory's entry. The hash may be null, and takes part in no comparison.
type signatoryMark struct {
	Level int32   `json:"level"`
	Round int32   `json:"round"`
	Hash  *string `json:"hash"`
}

// WriteOctezSigner prints rows, all of one chain, in octez-signer's form for --check-high-watermark: a file for each
// kind, and a second file under the kind's older name, since a release reads only its own names. A kind without rows
// has no file. Rows as for Write.
func WriteOctezSigner(chain tezos.ChainID, rows []Row) ([]File, error) {
	rows, err := checked(chain, rows)
	if err != nil {
		return nil, err
	}
	var files []File
	for _, name := range slices.Sorted(maps.Keys(signerKinds)) {
		marks := make(map[tezos.PublicKeyHash]octezMark)
		for _, row := range rows {
			if row.Kind == signerKinds[name] {
				marks[row.PKH] = octezMark{row.Level, row.Round, noHash}
			}
		}
		if len(marks) == 0 {
			continue
		}
		data, err := marshal(map[tezos.ChainID]map[tezos.PublicKeyHash]octezMark{chain: marks})
		if err != nil {
			return nil, err
		}
		files = append(files, File{Name: name + "_high_watermarks", Data: data})
	}
	return files, nil
}

// WriteSignatory prints rows, all of one chain, in the form of Signatory's file backend, under all names of a kind in
// all releases: Signatory compares names, and would sign an attestation with DAL beside an attestation without. Rows as
// for Write.
//
// A block's round is written unchanged. Signatory compares the mark with the payload round of the requested block. A
// payload round is never above the block's own round, so Signatory signs no round at or below our round.
func WriteSignatory(chain tezos.ChainID, rows []Row) ([]File, error) {
	rows, err := checked(chain, rows)
	if err != nil {
		return nil, err
	}
	keys := make(map[tezos.PublicKeyHash]map[string]signatoryMark)
	for _, row := range rows {
		if keys[row.PKH] == nil {
			keys[row.PKH] = make(map[string]signatoryMark)
		}
		for name, kind := range signatoryKinds {
			if kind == row.Kind {
				keys[row.PKH][name] = signatoryMark{Level: row.Level, Round: row.Round}
			}
		}
	}
	data, err := marshal(keys)
	if err != nil {
		return nil, err
	}
	return []File{{Name: path.Join("watermark_v2", fmt.Sprintf("%s.json", chain)), Data: data}}, nil
}
