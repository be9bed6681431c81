package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"highwater/api"
	"highwater/api/socket"
	"highwater/internal/door"
)

// openBakers opens the listeners for bakers: HTTP, and the socket protocol where configured. Both have the same
// answers.
func (d *Daemon) openBakers(ctx context.Context, metrics *api.Metrics) error {
	cfg := d.Config
	answers := api.NewAnswers(api.OctezConfig{
		Signer: d.Signer, AuthorizedKeys: cfg.Auth, KnownKeys: cfg.Server.KnownKeys,
		ProvePossession: cfg.Server.ProvePossession,
		Prefix:          cfg.Server.PathPrefix, Budget: time.Duration(cfg.Server.Budget), Log: d.log,
		Door: door.New(door.Config{
			From: cfg.From, Rate: cfg.Server.Rate, Burst: cfg.Bursts(), Log: d.log, Count: metrics.TurnedAway,
		}),
	})
	web, err := d.bind(ctx, "octez", cfg.Server.Listen, OctezSocketMode)
	if err != nil {
		return err
	}
	var binary net.Listener
	if cfg.Socket.Listen != "" {
		if binary, err = d.bind(ctx, "socket", cfg.Socket.Address(), OctezSocketMode); err != nil {
			return errors.Join(err, web.Close())
		}
	}
	at := d.locators(web, binary)
	if binary != nil {
		d.add("socket", answers.SocketListener(binary, at), func(ctx context.Context, l net.Listener) error {
			return socket.Serve(ctx, l, answers, d.log)
		})
	}
	web = answers.HTTPListener(web, cfg.Server.TLSCert != "", at)
	handler := answers.HTTP()
	serve := func(ctx context.Context, l net.Listener) error { return api.Serve(ctx, l, handler, d.log) }
	if cfg.Server.TLSCert == "" {
		d.add("octez", web, serve)
		return nil
	}
	files, err := openServerCertificates(cfg, d.log)
	if err != nil {
		return errors.Join(fmt.Errorf("server.tls_cert: %w", err), web.Close())
	}
	d.certificates = append(d.certificates, files)
	d.add("octez", tls.NewListener(web, files.Server()), serve)
	return nil
}

// locators are those of the open listeners, with the port of a listener that asked for any.
func (d *Daemon) locators(web, binary net.Listener) api.Locators {
	at := ""
	if binary != nil {
		at = binary.Addr().String()
	}
	return d.Config.Locators(web.Addr().String(), at)
}
