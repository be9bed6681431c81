package interchange

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"highwater/internal/tezos"
)

// File is one file of another signer.
type File struct {
	Name string // its path below the signer's base directory, with slashes
	Data []byte
}

// octez-signer wants a hash beside each mark, and compares it only where a signature stands with it. None does here: a mark without a
// signature refuses its own place and all below.
var noHash = strings.Repeat("0", 64)

type octezMark struct {
	Level int32  `json:"level"`
	Round int32  `json:"round"`
	Hash  string `json:"hash"`
}

// signatoryMark is Signatory's entry. Its hash may be null; it takes part in no comparison.
type signatoryMark struct {
	Level int32   `json:"level"`
	Round int32   `json:"round"`
	Hash  *string `json:"hash"`
}

// WriteOctezSigner prints rows, all of one chain, as octez-signer keeps them with --check-high-watermark: one file a kind, and a second
// one of the kind's older name, since a release reads only its own names. A kind without rows has no file. Rows as for Write.
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

// WriteSignatory prints rows, all of one chain, as Signatory's file backend keeps them, under each name that a release knows a kind by:
// it compares names, and an attestation with DAL would be signed beside one without. Rows as for Write.
//
// A block's round is written as it is. Signatory compares it with the payload round of the block that is asked for, which is never
// above the block's own round, so that no round at or below ours is signed there.
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
