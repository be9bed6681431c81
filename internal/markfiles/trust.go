package markfiles

import (
	"context"
	"fmt"

	"highwater/hwm"
	"highwater/hwm/bundle"
	"highwater/internal/config"
	"highwater/internal/hints"
	"highwater/operate"
)

// Trust names the trusted signer of a bundle: the instance with Key; nil: the peer.
type Trust struct{ Key *hwm.InstanceID }

// Check names the signer of a verified bundle, and refuses every signer but the trusted instance.
func (t Trust) Check(ctx context.Context, cfg *config.Config, admin operate.Admin, b *bundle.Bundle) (string, error) {
	if cfg != nil && b.Chain != cfg.ChainID {
		return "", hints.Add(fmt.Errorf("the bundle is of chain %s, and the configured chain is %s", b.Chain, cfg.ChainID),
			"compare `chain` in the two configurations")
	}
	if t.Key != nil {
		if b.Instance != *t.Key {
			return "", fmt.Errorf("the bundle is of the instance %s, and --key names %s", b.Instance, *t.Key)
		}
		return "as named by --key", nil
	}
	v, err := admin.Pair(ctx)
	switch {
	case err != nil:
		return "", err
	case v.Peer != nil && v.Peer.Key == b.Instance:
		return "the peer", nil
	}
	return "", hints.Add(fmt.Errorf("the bundle is of the instance %s, and nobody named the instance here", b.Instance),
		"compare with the writer's key (highwater peer show, on the writer's machine); if the key is right: --key "+b.Instance.String())
}

// open reads a trusted bundle.
func (t Trust) open(ctx context.Context, cfg *config.Config, admin operate.Admin, path string, data []byte) (
	*bundle.Bundle, error,
) {
	b, err := OpenBundle(path, data)
	if err != nil {
		return nil, err
	}
	if _, err = t.Check(ctx, cfg, admin, b); err != nil {
		return nil, err
	}
	return b, nil
}

// OpenBundle reads a bundle and verifies its signature. OpenBundle does not judge the signer: see Trust.
func OpenBundle(path string, data []byte) (*bundle.Bundle, error) {
	b, err := bundle.Parse(data)
	if err == nil {
		err = b.Verify()
	}
	if err != nil {
		return nil, hints.Add(fmt.Errorf("%s: %w", path, err),
			"copy the file again, unchanged; or write the file again: highwater bundle export")
	}
	return b, nil
}
