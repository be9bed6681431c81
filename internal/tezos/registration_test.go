package tezos_test

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/tezos"
)

// The reveal and the delegation that the Tezos Baking app 2.5.0 signed (testdata/ledger/apdu-2.5.0-curve0.txt).
const (
	registrationHead = "030102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"
	managerFields    = "00c921d4487c90b4472da6cc566a58d79f0d991dbfa00a05904e00"
	revealBytes      = "6b" + managerFields + "00747884d9abdf16b3ab745158925f567e222f71225501826fa83347f6cbe9c393"
	delegationBytes  = "6e" + managerFields + "ff00c921d4487c90b4472da6cc566a58d79f0d991dbf"
)

// withFee is the head of a delegation with another fee; delegatedTo is the rest.
func withFee(fee string) string { return "6e" + managerFields[:42] + fee + managerFields[46:] }

const delegatedTo = "ff00c921d4487c90b4472da6cc566a58d79f0d991dbf"

func TestDecodeRegistration(t *testing.T) {
	key, err := tezos.ParsePublicKey("edpkuXX2VdkdXzkN11oLCb8Aurdo1BTAtQiK8ZY9UPj2YMt3AHEpcY")
	require.NoError(t, err)
	other, err := tezos.ParsePublicKey("edpktqk8LXa8wc1vtskuXqdfXYkd6ekAx1iFyyuH8SKJVdYZS8mmRx")
	require.NoError(t, err)
	for _, c := range []struct {
		name, payload string
		key           *tezos.PublicKey
		want          tezos.Registration
		field         string
	}{
		{"reveal", registrationHead + revealBytes, key, tezos.Registration{Reveal: true}, ""},
		{
			"reveal as since Seoul", registrationHead + revealBytes + "00", key,
			tezos.Registration{Reveal: true, Proof: true},
			"",
		},
		{"delegation", registrationHead + delegationBytes, key, tezos.Registration{Delegation: true}, ""},
		{
			"both", registrationHead + revealBytes + "00" + delegationBytes, key,
			tezos.Registration{Reveal: true, Delegation: true, Proof: true},
			"",
		},
		{"twice", registrationHead + delegationBytes + delegationBytes, key, tezos.Registration{}, "tag"},
		{"the wrong way round", registrationHead + delegationBytes + revealBytes, key, tezos.Registration{}, "tag"},
		{"another key", registrationHead + revealBytes, other, tezos.Registration{}, "source"},
		{"withdrawal", registrationHead + "6e" + managerFields + "00", key, tezos.Registration{}, "delegate"},
		{"delegation to another", registrationHead + "6e" + managerFields +
			"ff000000000000000000000000000000000000000000", key, tezos.Registration{}, "delegate"},
		{
			"transaction", registrationHead + "6c" + managerFields + "010000c921d4487c90b4472da6cc566a58d79f0d991dbf00", key,
			tezos.Registration{},
			"tag",
		},
		{"reveal of another key", registrationHead + "6b" + managerFields +
			"001a28a483a5b340173aee3e9542aeccb588d1527613f851ce1006cfbc351b9ebe", key, tezos.Registration{}, "public key"},
		{"cut", registrationHead + revealBytes[:40], key, tezos.Registration{}, "source"},
		{"numbers without an end", registrationHead +
			"6b00c921d4487c90b4472da6cc566a58d79f0d991dbfffffffffffffffffffffff", key, tezos.Registration{}, "number"},
		{
			"the highest fee", registrationHead + withFee("c0843d") + delegatedTo, key,
			tezos.Registration{Delegation: true},
			"",
		},
		{"a fee above the cap", registrationHead + withFee("c1843d") + delegatedTo, key, tezos.Registration{}, "fee"},
		{
			"the fee of a fortune", registrationHead + withFee("ffffffffffffffff7f") + delegatedTo, key,
			tezos.Registration{},
			"fee",
		},
		{
			"a fee whose low bits are small", registrationHead + withFee("8180808080808080808002") + delegatedTo, key,
			tezos.Registration{},
			"number",
		},
		{
			"a fee above the cap behind a reveal", registrationHead + revealBytes + withFee("c1843d") + delegatedTo, key,
			tezos.Registration{},
			"fee",
		},
		{"a byte behind", registrationHead + delegationBytes + "00", key, tezos.Registration{}, "source"},
		{"no contents", registrationHead, key, tezos.Registration{}, "length"},
	} {
		t.Run(c.name, func(t *testing.T) {
			payload, err := hex.DecodeString(c.payload)
			require.NoError(t, err)
			got, err := tezos.DecodeRegistration(c.key, payload)
			require.Equal(t, c.want, got)
			if c.field == "" {
				require.NoError(t, err)
				return
			}
			var pe *tezos.PayloadError
			require.ErrorAs(t, err, &pe)
			require.Equal(t, c.field, pe.Field)
		})
	}
}

func FuzzDecodeRegistration(f *testing.F) {
	for _, s := range []string{revealBytes, delegationBytes, revealBytes + "00" + delegationBytes} {
		b, err := hex.DecodeString(registrationHead + s)
		require.NoError(f, err)
		f.Add(b)
	}
	key, err := tezos.ParsePublicKey("edpkuXX2VdkdXzkN11oLCb8Aurdo1BTAtQiK8ZY9UPj2YMt3AHEpcY")
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, b []byte) {
		reg, err := tezos.DecodeRegistration(key, b)
		if err != nil {
			require.Zero(t, reg)
			return
		}
		require.True(t, reg.Reveal || reg.Delegation)
		_, err = tezos.Decode(tezos.Ed25519, b)
		require.Error(t, err, "a registration is never a consensus payload")
	})
}
