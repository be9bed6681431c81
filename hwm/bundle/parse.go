package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"highwater/internal/tezos"
)

// Is tells whether a file calls itself a bundle, valid or not.
func Is(data []byte) bool {
	if len(data) > MaxSize {
		return false
	}
	return formatOf(data).Format == FormatName
}

type heading struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
}

func formatOf(data []byte) (h heading) {
	if err := json.Unmarshal(data, &h); err != nil {
		return heading{}
	}
	return h
}

// Parse reads Encode's bytes, byte for byte. Different bytes with the same meaning are refused, so that no byte has two
// readings. Verify checks the signature. Errors wrap ErrContent or ErrVersion, and come without a bundle.
func Parse(data []byte) (*Bundle, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, where at most %d are read", ErrContent, len(data), MaxSize)
	}
	h := formatOf(data)
	if h.Format != FormatName {
		return nil, fmt.Errorf("%w: the format is not %q", ErrContent, FormatName)
	}
	if h.Version != Version {
		return nil, fmt.Errorf("%w: version %d, and the program knows %d; use the version of highwater that wrote "+
			"the file, or a later version",
			ErrVersion, h.Version, Version)
	}
	b := &Bundle{}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(b); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrContent, err)
	}
	if err := b.sound(); err != nil {
		return nil, err
	}
	again, err := Encode(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrContent, err)
	}
	if !bytes.Equal(again, data) {
		return nil, fmt.Errorf("%w: highwater writes different bytes: "+
			"the bundle was changed, or copied as text", ErrContent)
	}
	return b, nil
}

// sound checks the rules beyond JSON: an impossible content refuses the whole bundle.
func (b *Bundle) sound() error {
	if b.Keys == nil || b.Marks == nil || b.Ceilings == nil {
		return fmt.Errorf("%w: a list is missing", ErrContent)
	}
	if len(b.Keys) > maxKeys || len(b.Marks) > maxMarks || len(b.Ceilings) > maxKeys {
		return fmt.Errorf("%w: %d keys, %d marks, %d ceilings are too many", ErrContent, len(b.Keys), len(b.Marks),
			len(b.Ceilings))
	}
	if !b.Role.Known() || !isStamp(b.When) || !isName(b.Build) || b.AuditHead != nil && !b.AuditHead.Sound() {
		return fmt.Errorf("%w: impossible fields", ErrContent)
	}
	for i, k := range b.Keys {
		if i > 0 && compare(b.Keys[i-1].PKH, k.PKH) >= 0 {
			return fmt.Errorf("%w: the key %s is out of order, or listed twice", ErrContent, k.PKH)
		}
		if err := k.sound(); err != nil {
			return err
		}
	}
	return b.soundLevels()
}

func (b *Bundle) soundLevels() error {
	for i, m := range b.Marks {
		if i > 0 {
			last := b.Marks[i-1]
			if order := compare(last.PKH, m.PKH); order > 0 || order == 0 && last.Kind >= m.Kind {
				return fmt.Errorf("%w: the %s of %s is out of order, or listed twice", ErrContent, m.Kind, m.PKH)
			}
		}
		if m.Level < 0 || m.Round < 0 || !m.Source.Known() || !slices.Contains(tezos.Kinds, m.Kind) || !isStamp(m.UpdatedAt) {
			return fmt.Errorf("%w: a mark with impossible fields, at level %d round %d", ErrContent, m.Level, m.Round)
		}
	}
	for i, c := range b.Ceilings {
		if i > 0 && compare(b.Ceilings[i-1].PKH, c.PKH) >= 0 {
			return fmt.Errorf("%w: the ceiling of %s is out of order, or listed twice", ErrContent, c.PKH)
		}
		if c.Level < 0 || !c.Source.Known() {
			return fmt.Errorf("%w: a ceiling with impossible fields, at level %d", ErrContent, c.Level)
		}
	}
	return nil
}

func (k Key) sound() error {
	if k.Allow == nil || !isName(k.Alias) {
		return fmt.Errorf("%w: %s has impossible fields", ErrContent, k.PKH)
	}
	for i, kind := range k.Allow {
		if !slices.Contains(tezos.Kinds, kind) || i > 0 && k.Allow[i-1] >= kind {
			return fmt.Errorf("%w: the kinds of %s are impossible, out of order, or listed twice", ErrContent, k.PKH)
		}
	}
	if k.PublicKey == "" {
		return nil
	}
	public, err := tezos.ParsePublicKey(k.PublicKey)
	if err != nil {
		return fmt.Errorf("%w: the public key of %s: %w", ErrContent, k.PKH, err)
	}
	if public.Hash() != k.PKH {
		return fmt.Errorf("%w: %s is not the hash of %s", ErrContent, k.PKH, k.PublicKey)
	}
	return nil
}

// isName allows characters that a terminal can show.
func isName(text string) bool {
	if len(text) > maxText || !utf8.ValidString(text) {
		return false
	}
	for _, r := range text {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// isStamp allows UTC to the millisecond, in years of four digits.
func isStamp(t time.Time) bool {
	_, offset := t.Zone()
	return offset == 0 && t.Equal(stamp(t)) && t.Year() >= 1970 && t.Year() <= 9999
}
