package ledgersim

import (
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"math/big"
)

// ecKey is an emulator's ECDSA key, for which constant time does not matter.
type ecKey struct {
	curve elliptic.Curve
	d     *big.Int
	x, y  *big.Int
}

func newECKey(curve elliptic.Curve, d *big.Int) *ecKey {
	x, y := curve.ScalarBaseMult(d.FillBytes(make([]byte, 32))) //nolint:staticcheck // both curves behind one interface
	return &ecKey{curve: curve, d: d, x: x, y: y}
}

func (k *ecKey) point() []byte {
	p := make([]byte, 65)
	p[0] = 4
	k.x.FillBytes(p[1:33])
	k.y.FillBytes(p[33:])
	return p
}

func (k *ecKey) compressed() []byte {
	p := make([]byte, 33)
	p[0] = 2 + byte(k.y.Bit(0)&1)
	k.x.FillBytes(p[1:])
	return p
}

// sign signs a digest with the nonce of RFC 6979 (SHA-256), as DER with a low s; the parity of the nonce point's y
// lies in bit 0 of the first byte.
func (k *ecKey) sign(_, digest []byte) []byte {
	n := k.curve.Params().N
	for nonces := newNonces(n, k.d, digest); ; {
		nonce := nonces.next()
		x, y := k.curve.ScalarBaseMult(nonce.FillBytes(make([]byte, 32))) //nolint:staticcheck // as above
		r := new(big.Int).Mod(x, n)
		s := new(big.Int).Mul(r, k.d)
		s.Add(s, new(big.Int).SetBytes(digest))
		s.Mul(s, new(big.Int).ModInverse(nonce, n)).Mod(s, n)
		if r.Sign() == 0 || s.Sign() == 0 {
			continue
		}
		parity := byte(y.Bit(0) & 1)
		if s.Cmp(new(big.Int).Rsh(n, 1)) > 0 {
			s.Sub(n, s)
			parity ^= 1
		}
		der := encodeDER(r, s)
		der[0] |= parity
		return der
	}
}

func encodeDER(r, s *big.Int) []byte {
	integer := func(v *big.Int) []byte {
		b := v.Bytes()
		if b[0]&0x80 != 0 {
			b = append([]byte{0}, b...)
		}
		return append([]byte{2, byte(len(b) & 0xff)}, b...)
	}
	body := append(integer(r), integer(s)...)
	return append([]byte{0x30, byte(len(body) & 0xff)}, body...)
}

// nonces is the generator of RFC 6979 3.2 with HMAC-SHA-256, for orders of 256 bits.
type nonces struct {
	order *big.Int
	k, v  []byte
	used  bool
}

func newNonces(order, d *big.Int, digest []byte) *nonces {
	g := &nonces{order: order, k: make([]byte, 32), v: make([]byte, 32)}
	for i := range g.v {
		g.v[i] = 1
	}
	z := new(big.Int).Mod(new(big.Int).SetBytes(digest), order)
	seed := append(d.FillBytes(make([]byte, 32)), z.FillBytes(make([]byte, 32))...)
	g.step([]byte{0}, seed)
	g.step([]byte{1}, seed)
	return g
}

func (g *nonces) mac(parts ...[]byte) []byte {
	m := hmac.New(sha256.New, g.k)
	for _, p := range parts {
		m.Write(p)
	}
	return m.Sum(nil)
}

func (g *nonces) step(parts ...[]byte) {
	g.k = g.mac(append([][]byte{g.v}, parts...)...)
	g.v = g.mac(g.v)
}

func (g *nonces) next() *big.Int {
	for {
		if g.used {
			g.step([]byte{0})
		}
		g.used = true
		g.v = g.mac(g.v)
		if n := new(big.Int).SetBytes(g.v); n.Sign() > 0 && n.Cmp(g.order) < 0 {
			return n
		}
	}
}
