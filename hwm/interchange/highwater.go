package interchange

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"highwater/internal/tezos"
)

// FormatName and Version stand at the beginning of our own files.
const (
	FormatName = "highwater-watermarks"
	Version    = 1
)

type document struct {
	Format  string        `json:"format"`
	Version int           `json:"version"`
	Chain   tezos.ChainID `json:"chain"`
	Rows    []documentRow `json:"rows"`
}

type documentRow struct {
	PKH       tezos.PublicKeyHash `json:"pkh"`
	Kind      tezos.Kind          `json:"kind"`
	Level     int32               `json:"level"`
	Round     int32               `json:"round"`
	UpdatedAt string              `json:"updated_at,omitempty"` // RFC 3339, UTC
}

// Write prints rows, all of one chain, as our own file: sorted by key and kind, ending in a newline. The same rows in
// any order give the same bytes. A row that Parse would change or refuse is an error.
func Write(chain tezos.ChainID, rows []Row) ([]byte, error) {
	rows, err := checked(chain, rows)
	if err != nil {
		return nil, err
	}
	doc := document{Format: FormatName, Version: Version, Chain: chain, Rows: make([]documentRow, 0, len(rows))}
	for _, row := range rows {
		at, err := formatTime(row.UpdatedAt)
		if err != nil {
			return nil, fmt.Errorf("the %s of %s: %w", row.Kind, row.PKH, err)
		}
		doc.Rows = append(doc.Rows, documentRow{row.PKH, row.Kind, row.Level, row.Round, at})
	}
	return marshal(doc)
}

// marshal prints a document short enough for Parse, ending in a newline.
func marshal(doc any) ([]byte, error) {
	b, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, err
	}
	if len(b) >= MaxSize {
		return nil, fmt.Errorf("%w: the rows make a file of %d bytes, where at most %d are read", ErrContent, len(b), MaxSize)
	}
	return append(b, '\n'), nil
}

// checked sorts a copy of the rows. All must be of the chain; a double row, or a row that Parse would refuse, is an
// error.
func checked(chain tezos.ChainID, rows []Row) ([]Row, error) {
	rows = sorted(rows)
	for i, row := range rows {
		if row.Chain != chain {
			return nil, fmt.Errorf("the %s of %s is of chain %s, not %s: %w", row.Kind, row.PKH, row.Chain, chain, ErrOtherChain)
		}
		if row.Level < 0 || row.Round < 0 {
			return nil, fmt.Errorf("%w: the %s of %s is at level %d, round %d", ErrContent, row.Kind, row.PKH,
				row.Level, row.Round)
		}
		if !slices.Contains(tezos.Kinds, row.Kind) {
			return nil, fmt.Errorf("%w: %s of %s has no watermark", ErrContent, row.Kind, row.PKH)
		}
		if i > 0 && rows[i-1].PKH == row.PKH && rows[i-1].Kind == row.Kind {
			return nil, fmt.Errorf("%w: the %s of %s is listed twice", ErrContent, row.Kind, row.PKH)
		}
	}
	return rows, nil
}

func sorted(rows []Row) []Row {
	return slices.SortedFunc(slices.Values(rows), func(a, b Row) int {
		return cmp.Or(a.PKH.Compare(b.PKH), cmp.Compare(a.Kind, b.Kind))
	})
}

// highwater reads Write's document. An unknown version is the first error, and unknown members are refused.
func (p *parser) highwater(doc any) error {
	o, err := p.object("", doc)
	if err != nil {
		return err
	}
	if err = p.header(o); err != nil {
		return err
	}
	rows, ok := o.values["rows"].([]any)
	if !ok {
		return p.fail("rows", "a list is expected, not %s", describe(o.values["rows"]))
	}
	for i, v := range rows {
		if err = p.highwaterRow("rows/"+strconv.Itoa(i+1), v); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) header(o *object) error {
	name, err := p.text("", o, "format")
	if err != nil {
		return err
	}
	if name != FormatName {
		return p.wrap("", fmt.Errorf("%w: the format is %s, not %q", ErrUnknownFormat, short(name), FormatName))
	}
	version, err := p.natural("", o, "version")
	if err != nil {
		return err
	}
	if version != Version {
		return p.wrap("", fmt.Errorf("%w: version %d, and the program knows %d; "+
			"use the version of highwater that wrote the file, or a later version",
			ErrUnknownVersion, version, Version))
	}
	if err = p.only("", o, "format", "version", "chain", "rows"); err != nil {
		return err
	}
	chainText, err := p.text("", o, "chain")
	if err != nil {
		return err
	}
	chain, err := tezos.ParseChainID(chainText)
	if err != nil {
		return p.wrap("chain", fmt.Errorf("%w: %w", ErrContent, err))
	}
	if chain != p.chain {
		return p.wrap("chain", fmt.Errorf("%w: the file is of %s, and the chain is %s", ErrOtherChain, chain, p.chain))
	}
	return nil
}

func (p *parser) highwaterRow(where string, v any) error {
	o, err := p.object(where, v)
	if err != nil {
		return err
	}
	pkhText, err := p.text(where, o, "pkh")
	if err != nil {
		return err
	}
	where += " (" + shortBare(pkhText) + ")"
	if err = p.only(where, o, "pkh", "kind", "level", "round", "updated_at"); err != nil {
		return err
	}
	row := Row{Chain: p.chain}
	if row.PKH, err = p.pkh(where, pkhText); err != nil {
		return err
	}
	kindText, err := p.text(where, o, "kind")
	if err != nil {
		return err
	}
	if row.Kind, err = tezos.ParseKind(kindText); err != nil {
		return p.fail(where, "unknown kind %s; known are block, preattestation, attestation", short(kindText))
	}
	if row.Level, row.Round, err = p.mark(where, o); err != nil {
		return err
	}
	if row.UpdatedAt, err = p.time(where, o); err != nil {
		return err
	}
	return p.add(where, row)
}

// time reads the member updated_at, or its absence.
func (p *parser) time(where string, o *object) (time.Time, error) {
	if !o.has("updated_at") {
		return time.Time{}, nil
	}
	text, err := p.text(where, o, "updated_at")
	if err != nil {
		return time.Time{}, err
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err == nil {
		_, err = formatTime(at)
	}
	if err != nil {
		return time.Time{}, p.fail(where, "updated_at is not a time as in 2026-01-31T12:00:00Z: %s", short(text))
	}
	return at.UTC(), nil
}

var errTime = errors.New("a time outside the years 1970 to 9999")

// formatTime prints a time, or nothing for the zero time.
func formatTime(at time.Time) (string, error) {
	if at.IsZero() {
		return "", nil
	}
	at = at.UTC()
	if at.Year() < 1970 || at.Year() > 9999 {
		return "", errTime
	}
	return at.Format(time.RFC3339Nano), nil
}
