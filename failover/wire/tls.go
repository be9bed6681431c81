package wire

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"time"

	"highwater/hwm"
)

// certificateOf makes the self-signed certificate of an instance. Only the key is looked at: the certificate is good at
// any time, since clocks may be hours apart in an emergency.
func certificateOf(identity crypto.Signer) (tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "highwater"},
		NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, identity.Public(), identity)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: identity}, err
}

// keyOf is the instance at the far end of a connection: TLS has proved that the instance holds the key.
func keyOf(state tls.ConnectionState) (hwm.InstanceID, error) {
	if len(state.PeerCertificates) == 0 {
		return hwm.InstanceID{}, Refuse(WrongKey, "compare with: highwater peer show", "no certificate was shown")
	}
	key, ok := state.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok || len(key) != ed25519.PublicKeySize {
		return hwm.InstanceID{}, Refuse(WrongKey, "compare with: highwater peer show",
			"the certificate is not of an ed25519 key")
	}
	return hwm.InstanceID(key), nil
}

// tlsConfig is for both ends: TLS 1.3, both show their certificate, and the peer's key is the pinned key. No authority
// and no name count: the key is the identity. Connections are never resumed: the pin is looked at each time.
func tlsConfig(identity crypto.Signer, pinned func() (hwm.InstanceID, bool)) (*tls.Config, error) {
	cert, err := certificateOf(identity)
	if err != nil {
		return nil, err
	}
	me, ok := identity.Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("the instance's key is not an ed25519 key")
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert,
		SessionTicketsDisabled: true,
		InsecureSkipVerify:     true, //nolint:gosec // VerifyConnection compares the key with the pinned key
		VerifyConnection: func(state tls.ConnectionState) error {
			key, err := keyOf(state)
			if err != nil {
				return err
			}
			want, ok := pinned()
			if !ok {
				return RefuseNoPeer()
			}
			if key == hwm.InstanceID(me) && key != want {
				return Refuse(WrongKey, NamePeer+"; or make the copy anew: highwater init in an empty directory",
					"the machine at the address has this instance's own key: the address leads back here, or the "+
						"machine has a copy of this instance's state directory")
			}
			if key != want {
				return Refuse(WrongKey, "compare with: highwater peer show, on the peer's machine",
					"the machine at the address is the instance %s, and %s is expected", key, want)
			}
			return nil
		},
	}, nil
}
