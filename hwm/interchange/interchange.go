// Package interchange reads and writes files of watermarks: Highwater's own export, and the files of octez-signer,
// octez-baker and Signatory. The package takes and gives bytes, and touches no file.
//
// Everything that decides a watermark is strict: level and round must be present (absent is not zero), whole and not
// negative; nothing may be named twice; an unknown kind or version is an error, and an error gives no rows at all. The
// rest of a foreign file (hashes, signatures, members to come) is passed over.
package interchange

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"highwater/internal/tezos"
)

// MaxSize is the length of the longest file, in bytes: some ten thousand keys, where a baker has a handful.
const MaxSize = 4 << 20

var (
	// ErrUnknownFormat is returned when neither the name nor the content tells the format.
	ErrUnknownFormat = errors.New("not a watermark file of a known kind")
	// ErrUnknownVersion is returned for an export of a later version of Highwater.
	ErrUnknownVersion = errors.New("an unknown version")
	// ErrOtherChain is returned when the whole file belongs to a foreign chain.
	ErrOtherChain = errors.New("another chain")
	// ErrContent is returned when a file is damaged, or has an impossible watermark.
	ErrContent = errors.New("not a usable watermark file")
)

// FileError names the file, the place in the file, and the fault. The error wraps one of the sentinels above.
type FileError struct {
	Name string // the file's name, as given
	Row  string // where: names of members and list positions, joined by slashes; empty for the file as a whole
	Err  error
}

func (e *FileError) Error() string {
	if e.Row == "" {
		return fmt.Sprintf("%s: %v", e.Name, e.Err)
	}
	return fmt.Sprintf("%s: %s: %v", e.Name, e.Row, e.Err)
}

func (e *FileError) Unwrap() error { return e.Err }

// Row is a watermark of a file: a floor for its kind at (Level, Round).
type Row struct {
	// Chain is the file's own. Only octez-signer's files hold several chains, and so foreign chains. The name of
	// octez-baker's file has the first 13 of a chain id's 15 characters; where the 13 fit, Chain is the chain of the
	// call.
	Chain tezos.ChainID
	PKH   tezos.PublicKeyHash
	Kind  tezos.Kind
	Level int32 // never negative
	// Round is never negative. Where the file cannot tell the round, Round is the highest round, so that nothing at the
	// level is signed: an entry from before rounds has no round, and Signatory keeps a block's payload round.
	Round int32
	// UpdatedAt is when the mark was made, in UTC; zero if the file does not say (only ours does).
	UpdatedAt time.Time
	// Source names the kind of file and the file, such as "octez-signer block_high_watermarks".
	Source string
}

// Format is a program's kind of file.
type Format int

// The formats. The zero value is none.
const (
	Highwater   Format = iota + 1 // ours
	OctezSigner                   // <base-dir>/block_high_watermarks, preattestation_…, attestation_…, and older names
	OctezBaker                    // <base-dir>/<first 13 characters of the chain id>_highwatermarks
	Signatory                     // <base-dir>/watermark_v2/<chain id>.json
	SignatoryV1                   // <base-dir>/watermark_v1/<chain id>.json, of an older release: one mark for a key
	SignatoryV0                   // <base-dir>/watermark/<chain id>.json, of a release older still
)

// String is the name of the writing program.
func (f Format) String() string {
	switch f {
	case Highwater:
		return "highwater"
	case OctezSigner:
		return "octez-signer"
	case OctezBaker:
		return "octez-baker"
	case Signatory:
		return "signatory"
	case SignatoryV1:
		return "signatory watermark_v1"
	case SignatoryV0:
		return "signatory watermark"
	default:
		return fmt.Sprintf("format(%d)", int(f))
	}
}

// The names may have a prefix (a copy "old-block_high_watermarks" is fine), if the prefix ends in no letter or digit.
var (
	signerName = regexp.MustCompile(
		`(?:^|[^A-Za-z0-9])(block|preattestation|attestation|preendorsement|endorsement)_high_watermarks?(?:\.json)?$`)
	bakerName     = regexp.MustCompile(`(?:^|[^A-Za-z0-9])(Net[A-Za-z0-9]{10})_highwatermarks(?:\.json)?$`)
	signatoryName = regexp.MustCompile(`(?:^|[^A-Za-z0-9])(Net[A-Za-z0-9]{12})\.json$`)
)

// Detect tells the format: of our own file by the content, of foreign files by the end of the name, since the name
// holds kind or chain. name may be a path. The error is a *FileError.
func Detect(name string, data []byte) (Format, error) {
	doc, err := readFile(name, data)
	if err != nil {
		return 0, err
	}
	return detect(name, doc)
}

func detect(name string, doc any) (Format, error) {
	if o, ok := doc.(*object); ok && o.has("format") {
		return Highwater, nil
	}
	base := baseName(name)
	switch {
	case signerName.MatchString(base):
		return OctezSigner, nil
	case bakerName.MatchString(base):
		return OctezBaker, nil
	case signatoryName.MatchString(base):
		return signatoryLayout(doc), nil
	}
	if o, ok := doc.(*object); ok && o.has("height") {
		return 0, &FileError{Name: name, Err: fmt.Errorf("%w: a height, as in the state of a CometBFT validator "+
			"(tmkms): no Tezos signer writes a height", ErrUnknownFormat)}
	}
	return 0, &FileError{
		Name: name,
		Err: fmt.Errorf("%w: expected an export of highwater, or a file with a name as from its program: "+
			"block_high_watermarks, preattestation_…, attestation_… (octez-signer), NetXdQprcVkpa_highwatermarks "+
			"(octez-baker), NetXdQprcVkpaWU.json (signatory)", ErrUnknownFormat),
	}
}

// Parse reads a file of any of the formats. name may be a path; its last part decides, as for Detect. chain is the
// signer's chain: a file of a foreign chain is ErrOtherChain, while rows of foreign chains inside octez-signer's files
// are returned with their chain. Rows come in the file's order. The error is a *FileError, and comes without rows.
func Parse(name string, data []byte, chain tezos.ChainID) ([]Row, Format, error) {
	doc, err := readFile(name, data)
	if err != nil {
		return nil, 0, err
	}
	format, err := detect(name, doc)
	if err != nil {
		return nil, 0, err
	}
	p := &parser{
		name: name, format: format, source: format.String() + " " + baseName(name), chain: chain,
		seen: make(map[rowID]bool),
	}
	switch format {
	case Highwater:
		err = p.highwater(doc)
	case OctezSigner:
		err = p.octezSigner(doc)
	case OctezBaker:
		err = p.octezBaker(doc)
	case Signatory, SignatoryV1, SignatoryV0:
		err = p.signatory(format, doc)
	}
	if err != nil {
		return nil, 0, err
	}
	return p.rows, format, nil
}

// baseName is the last part of a path of either kind.
func baseName(name string) string { return path.Base(strings.ReplaceAll(name, `\`, "/")) }

// encodings are what a copy on another system makes of a file. No signer writes or reads them.
var encodings = []struct {
	beginning []byte
	says      string
}{
	{[]byte("\x1f\x8b"), "compressed: gzip -d gives the file"},
	{[]byte("BZh"), "compressed: bzip2 -d gives the file"},
	{[]byte("\xfd7zXZ\x00"), "compressed: xz -d gives the file"},
	{[]byte("\x28\xb5\x2f\xfd"), "compressed: zstd -d gives the file"},
	{[]byte("PK\x03\x04"), "an archive: unzip gives the file"},
	{[]byte("\xef\xbb\xbf"), "text with a byte order mark, as an editor writes: take the signer's own file"},
	{[]byte("\xff\xfe"), "UTF-16 text, as PowerShell writes: take the signer's own file"},
	{[]byte("\xfe\xff"), "UTF-16 text: take the signer's own file"},
	{[]byte("{\x00"), "UTF-16 text: take the signer's own file"},
	{[]byte("\x00{"), "UTF-16 text: take the signer's own file"},
}

func readFile(name string, data []byte) (any, error) {
	fail := func(format string, args ...any) (any, error) {
		return nil, &FileError{Name: name, Err: fmt.Errorf("%w: "+format, append([]any{ErrContent}, args...)...)}
	}
	if len(data) > MaxSize {
		return fail("%d bytes, where at most %d are read", len(data), MaxSize)
	}
	if len(bytes.Trim(data, " \t\r\n\x00")) == 0 {
		return fail("%d bytes, and all of them empty, as after a power cut; "+
			"look for an older copy, or set the marks by hand",
			len(data))
	}
	for _, e := range encodings {
		if bytes.HasPrefix(data, e.beginning) {
			return fail("the file is %s", e.says)
		}
	}
	doc, row, err := readJSON(data)
	if err != nil {
		return nil, &FileError{Name: name, Row: row, Err: err}
	}
	return doc, nil
}

type rowID struct {
	chain tezos.ChainID
	pkh   tezos.PublicKeyHash
	kind  tezos.Kind
}

// parser collects the rows of a file.
type parser struct {
	name, source string
	format       Format
	chain        tezos.ChainID
	rows         []Row
	seen         map[rowID]bool
}

// add appends a row; where is the row's place in the file.
func (p *parser) add(where string, row Row) error {
	id := rowID{row.Chain, row.PKH, row.Kind}
	if p.seen[id] {
		return p.fail(where, "%s of %s is named twice", row.Kind, row.PKH)
	}
	p.seen[id] = true
	row.Source = p.source
	p.rows = append(p.rows, row)
	return nil
}

func (p *parser) fail(where, format string, args ...any) error {
	return p.wrap(where, fmt.Errorf("%w: "+format, append([]any{ErrContent}, args...)...))
}

func (p *parser) wrap(where string, err error) error {
	return &FileError{Name: p.name, Row: where, Err: err}
}

// object, pkh and mark read a required value.
func (p *parser) object(where string, v any) (*object, error) {
	o, ok := v.(*object)
	if !ok {
		return nil, p.fail(where, "an object is expected, not %s", describe(v))
	}
	return o, nil
}

func (p *parser) pkh(where, text string) (tezos.PublicKeyHash, error) {
	h, err := tezos.ParsePublicKeyHash(text)
	if err != nil {
		return tezos.PublicKeyHash{}, p.wrap(where, fmt.Errorf("%w: %w", ErrContent, err))
	}
	return h, nil
}

// mark reads the members level and round of an object.
func (p *parser) mark(where string, o *object) (level, round int32, err error) {
	if level, err = p.natural(where, o, "level"); err != nil {
		return 0, 0, err
	}
	if round, err = p.natural(where, o, "round"); err != nil {
		return 0, 0, err
	}
	return level, round, nil
}
