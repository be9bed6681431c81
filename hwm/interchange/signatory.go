package interchange

import (
	"fmt"
	"strings"

	"highwater/hwm"
	"highwater/internal/tezos"
)

// signatoryKinds are Signatory's kinds of requests with marks. Signatory has two kinds of attestation; we have one. The
// last two names are from releases 1.1.0 to 1.1.8: later releases keep the old entries beside the new names for ever.
var signatoryKinds = map[string]tezos.Kind{
	"block":                tezos.Block,
	"preattestation":       tezos.Preattestation,
	"attestation":          tezos.Attestation,
	"attestation_with_dal": tezos.Attestation,
	"preendorsement":       tezos.Preattestation,
	"endorsement":          tezos.Attestation,
}

// signatory reads the file of a chain in any of Signatory's three layouts.
func (p *parser) signatory(format Format, doc any) error {
	chainText := signatoryName.FindStringSubmatch(baseName(p.name))[1]
	if err := p.signatoryChain(chainText); err != nil {
		return err
	}
	top, err := p.object("", doc)
	if err != nil {
		return err
	}
	switch format {
	case SignatoryV0:
		return p.signatoryV0(top)
	case SignatoryV1:
		return p.signatoryV1(top)
	default:
		return p.signatoryV2(top)
	}
}

func (p *parser) signatoryChain(text string) error {
	chain, err := tezos.ParseChainID(text)
	if err != nil {
		return p.wrap("", fmt.Errorf("%w: the file's name should be a chain id: %w", ErrContent, err))
	}
	if chain != p.chain {
		return p.wrap("", fmt.Errorf("%w: the file's name says %s, and the chain is %s", ErrOtherChain, chain, p.chain))
	}
	return nil
}

// signatoryLayout tells the three layouts apart by the first member. The layout's reader refuses everything unfitting.
func signatoryLayout(doc any) Format {
	top, ok := doc.(*object)
	if !ok || len(top.names) == 0 {
		return Signatory
	}
	first := top.names[0]
	if _, ok := signatoryKinds[first]; ok {
		return SignatoryV0
	}
	if strings.HasPrefix(first, "Net") {
		return SignatoryV1
	}
	if mark, ok := top.values[first].(*object); ok && (mark.has("level") || mark.has("order")) {
		return SignatoryV1
	}
	return Signatory
}

// signatoryV2 reads an object public key hash → object request kind → {level, round, hash}.
func (p *parser) signatoryV2(keys *object) error {
	highest := make(signatoryRows)
	for _, pkhText := range keys.names {
		where := shortBare(pkhText)
		pkh, err := p.pkh(where, pkhText)
		if err != nil {
			return err
		}
		kinds, err := p.object(where, keys.values[pkhText])
		if err != nil {
			return err
		}
		for _, name := range kinds.names {
			if err = p.signatoryRow(highest, where+"/"+shortBare(name), pkh, name, kinds.values[name]); err != nil {
				return err
			}
		}
		if err = p.addHighest(where, pkh, highest); err != nil {
			return err
		}
	}
	return nil
}

// signatoryV0 reads an object request kind → object public key hash → {level, round?, hash}.
func (p *parser) signatoryV0(kinds *object) error {
	highest := make(signatoryRows)
	var order []tezos.PublicKeyHash
	for _, name := range kinds.names {
		keys, err := p.object(shortBare(name), kinds.values[name])
		if err != nil {
			return err
		}
		for _, pkhText := range keys.names {
			where := shortBare(name) + "/" + shortBare(pkhText)
			pkh, err := p.pkh(where, pkhText)
			if err != nil {
				return err
			}
			if highest[pkh] == nil {
				order = append(order, pkh)
			}
			if err = p.signatoryRow(highest, where, pkh, name, keys.values[pkhText]); err != nil {
				return err
			}
		}
	}
	for _, pkh := range order {
		if err := p.addHighest(pkh.String(), pkh, highest); err != nil {
			return err
		}
	}
	return nil
}

// signatoryV1 reads an object public key hash → {level, round?, order, hash}; the earliest builds have the chain's id
// around the object. The file has a single mark for a key: the last signature. A level and round go on from block
// (order 0) to preattestation (1) to attestation (2). Nothing of any kind was signed above: the mark counts for all
// three kinds.
func (p *parser) signatoryV1(keys *object) error {
	if len(keys.names) == 1 && strings.HasPrefix(keys.names[0], "Net") {
		inner, err := p.object(shortBare(keys.names[0]), keys.values[keys.names[0]])
		if err != nil {
			return err
		}
		if err = p.signatoryChain(keys.names[0]); err != nil {
			return err
		}
		keys = inner
	}
	for _, pkhText := range keys.names {
		where := shortBare(pkhText)
		pkh, err := p.pkh(where, pkhText)
		if err != nil {
			return err
		}
		o, err := p.object(where, keys.values[pkhText])
		if err != nil {
			return err
		}
		if order, err := p.natural(where, o, "order"); err != nil {
			return err
		} else if order > 2 {
			return p.fail(where, "order is %d; known are 0 (block), 1 (preattestation), 2 (attestation)", order)
		}
		for _, kind := range tezos.Kinds {
			level, round, err := p.signatoryMark(where, kind, o)
			if err != nil {
				return err
			}
			if err = p.add(where, Row{Chain: p.chain, PKH: pkh, Kind: kind, Level: level, Round: round}); err != nil {
				return err
			}
		}
	}
	return nil
}

// signatoryRows are the highest marks of a file by key and kind.
type signatoryRows map[tezos.PublicKeyHash]map[tezos.Kind]Row

// signatoryRow keeps the highest entry of a kind: several of Signatory's names are one kind here.
func (p *parser) signatoryRow(rows signatoryRows, where string, pkh tezos.PublicKeyHash, name string, v any) error {
	kind, ok := signatoryKinds[name]
	if !ok {
		return p.fail(where, "unknown kind; known are block, preattestation, attestation, attestation_with_dal, "+
			"preendorsement, endorsement")
	}
	o, err := p.object(where, v)
	if err != nil {
		return err
	}
	level, round, err := p.signatoryMark(where, kind, o)
	if err != nil {
		return err
	}
	if rows[pkh] == nil {
		rows[pkh] = make(map[tezos.Kind]Row)
	}
	row := Row{Chain: p.chain, PKH: pkh, Kind: kind, Level: level, Round: round}
	if have, ok := rows[pkh][kind]; !ok || above(row, have) {
		rows[pkh][kind] = row
	}
	return nil
}

// signatoryMark reads level and round. A block's round becomes the highest round: Signatory compares and keeps a
// block's *payload* round (gotez, GetRound of a block's request), and a block with an older payload was signed at a
// higher round than its payload's. So nothing more is signed at the level. An entry without a round is from before
// rounds, and gets the highest round, too.
func (p *parser) signatoryMark(where string, kind tezos.Kind, o *object) (level, round int32, err error) {
	if level, err = p.natural(where, o, "level"); err != nil {
		return 0, 0, err
	}
	if p.format != Signatory && o.values["round"] == nil {
		return level, hwm.MaxRound, nil
	}
	if round, err = p.natural(where, o, "round"); err != nil {
		return 0, 0, err
	}
	if kind == tezos.Block {
		round = hwm.MaxRound
	}
	return level, round, nil
}

// addHighest adds the rows of a key, at most one a kind.
func (p *parser) addHighest(where string, pkh tezos.PublicKeyHash, rows signatoryRows) error {
	for _, kind := range tezos.Kinds {
		if row, ok := rows[pkh][kind]; ok {
			if err := p.add(where, row); err != nil {
				return err
			}
		}
	}
	return nil
}

// above tells whether a is at a higher level, or at the same level and a higher round: by comparison, without a
// subtraction.
func above(a, b Row) bool {
	return a.Level > b.Level || (a.Level == b.Level && a.Round > b.Round)
}
