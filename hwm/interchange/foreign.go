package interchange

import (
	"fmt"
	"strconv"

	"highwater/hwm"
	"highwater/internal/tezos"
)

// signerKinds are the beginnings of octez-signer's file names (its handler.ml); the last two are from before Octez v23.
var signerKinds = map[string]tezos.Kind{
	"block":          tezos.Block,
	"preattestation": tezos.Preattestation,
	"attestation":    tezos.Attestation,
	"preendorsement": tezos.Preattestation,
	"endorsement":    tezos.Attestation,
}

// octezSigner reads an object chain id → object public key hash → {level, round?, hash, signature?}.
func (p *parser) octezSigner(doc any) error {
	kind := signerKinds[signerName.FindStringSubmatch(baseName(p.name))[1]]
	chains, err := p.object("", doc)
	if err != nil {
		return err
	}
	for _, chainText := range chains.names {
		where := shortBare(chainText)
		chain, err := tezos.ParseChainID(chainText)
		if err != nil {
			return p.wrap(where, fmt.Errorf("%w: %w", ErrContent, err))
		}
		keys, err := p.object(where, chains.values[chainText])
		if err != nil {
			return err
		}
		for _, pkhText := range keys.names {
			if err = p.octezSignerRow(where+"/"+shortBare(pkhText), chain, pkhText, kind, keys.values[pkhText]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *parser) octezSignerRow(where string, chain tezos.ChainID, pkhText string, kind tezos.Kind, v any) error {
	pkh, err := p.pkh(where, pkhText)
	if err != nil {
		return err
	}
	o, err := p.object(where, v)
	if err != nil {
		return err
	}
	level, err := p.natural(where, o, "level")
	if err != nil {
		return err
	}
	round := int32(hwm.MaxRound) // an old entry without a round: nothing at or below its level
	if o.has("round") {
		if round, err = p.natural(where, o, "round"); err != nil {
			return err
		}
	}
	return p.add(where, Row{Chain: chain, PKH: pkh, Kind: kind, Level: level, Round: round})
}

// bakerKinds are the lists of octez-baker's file (its baking_highwatermarks.ml), and bakerLists the lists of a release:
// of today, and for protocols up to Nairobi.
var (
	bakerKinds = map[string]tezos.Kind{
		"blocks":          tezos.Block,
		"preattestations": tezos.Preattestation,
		"attestations":    tezos.Attestation,
		"preendorsements": tezos.Preattestation,
		"endorsements":    tezos.Attestation,
	}
	bakerLists = [][]string{{"blocks", "preattestations", "attestations"}, {"blocks", "preendorsements", "endorsements"}}
)

// octezBaker reads the three lists of a release: of {delegate, highwatermark {round, level}}. A missing list is refused:
// octez-baker always writes all three.
func (p *parser) octezBaker(doc any) error {
	short13 := bakerName.FindStringSubmatch(baseName(p.name))[1]
	if want := p.chain.String()[:len(short13)]; short13 != want {
		return p.wrap("", fmt.Errorf("%w: the file's name says "+
			"%s…, and the chain is %s", ErrOtherChain, short13, p.chain))
	}
	lists, err := p.object("", doc)
	if err != nil {
		return err
	}
	names := bakerLists[0]
	if lists.has("preendorsements") || lists.has("endorsements") {
		names = bakerLists[1]
	}
	if err = p.only("", lists, names...); err != nil {
		return err
	}
	for _, name := range names {
		if !lists.has(name) {
			return p.fail("", "the list %s is missing", name)
		}
	}
	for _, name := range lists.names {
		list, ok := lists.values[name].([]any)
		if !ok {
			return p.fail(name, "a list is expected, not %s", describe(lists.values[name]))
		}
		for i, v := range list {
			if err = p.octezBakerRow(name+"/"+strconv.Itoa(i+1), bakerKinds[name], v); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *parser) octezBakerRow(where string, kind tezos.Kind, v any) error {
	o, err := p.object(where, v)
	if err != nil {
		return err
	}
	delegate, err := p.text(where, o, "delegate")
	if err != nil {
		return err
	}
	where += " (" + shortBare(delegate) + ")"
	pkh, err := p.pkh(where, delegate)
	if err != nil {
		return err
	}
	mark, err := p.object(where, o.values["highwatermark"])
	if err != nil {
		return err
	}
	level, round, err := p.mark(where, mark)
	if err != nil {
		return err
	}
	return p.add(where, Row{Chain: p.chain, PKH: pkh, Kind: kind, Level: level, Round: round})
}
