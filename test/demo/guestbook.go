package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tombolo/cmd/lab"
	"tombolo/framework/api"
)

const (
	guestbook = "guestbook"
	pagePort  = "8080"
	message   = "tied together"
)

// page is the answer of the guestbook's /api.
type page struct {
	Instance string `json:"instance"`
	Host     string `json:"host"`
	Hits     int64  `json:"hits"`
	Entries  []struct{ Who, Text, Via string }
	Error    string `json:"error"`
}

func (d *demo) instances(ctx context.Context) (map[string][]api.Instance, error) {
	list, err := d.cli.Instances(ctx, guestbook)
	if err != nil {
		return nil, err
	}
	by := map[string][]api.Instance{}
	for _, i := range list {
		by[i.Service] = append(by[i.Service], i)
	}
	if len(by["db"]) == 0 || len(by["cache"]) == 0 || len(by["web"]) == 0 {
		return nil, fmt.Errorf("a service of the guestbook has no instance: %v", by)
	}
	return by, nil
}

// useNames looks up db and the alias counter, and the instances behind them, in a web container whose
// host runs neither. Then it signs the guestbook there and finds the entry.
func (d *demo) useNames(ctx context.Context) error {
	by, err := d.instances(ctx)
	if err != nil {
		return err
	}
	db, cache := by["db"][0], by["cache"][0]
	for _, web := range by["web"] {
		if web.Host == db.Host || web.Host == cache.Host {
			continue
		}
		for name, want := range map[string]api.Instance{"db": db, "counter": cache} {
			service, err := d.inContainer(ctx, web, "/web", "-lookup", name)
			if err != nil {
				return err
			}
			out, err := d.inContainer(ctx, web, "/web", "-lookup", "tasks."+name)
			if err != nil {
				return err
			}
			fmt.Printf("web.%d on %s looks up %s: %s, which is the service's address on %s\n", web.Slot, web.Host, name, service, web.Host)
			fmt.Printf("web.%d on %s looks up tasks.%s: %s, which is %s.%d on %s\n", web.Slot, web.Host, name, out, want.Service, want.Slot, want.Host)
			if !strings.Contains(out, want.Address) {
				return fmt.Errorf("the look-up of tasks.%s gave %s, want %s", name, out, want.Address)
			}
		}
		return d.sign(ctx, web)
	}
	return errors.New("every web instance shares a host with db or cache, although three hosts have room for all")
}

func (d *demo) sign(ctx context.Context, web api.Instance) error {
	form := url.Values{"who": {"demo"}, "text": {message}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url(web.Host)+"/", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := fromUnderlay.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	p, err := d.look(ctx, web.Host)
	if err != nil {
		return err
	}
	fmt.Printf("signed through web.%d: db keeps %d entries, counter counts %d hits\n", web.Slot, len(p.Entries), p.Hits)
	return p.holdsMessage()
}

func (p page) holdsMessage() error {
	for _, e := range p.Entries {
		if e.Text == message {
			return nil
		}
	}
	return fmt.Errorf("the entry %q is not in the guestbook: %+v", message, p.Entries)
}

func (d *demo) askEachHost(ctx context.Context) error {
	for _, h := range d.lab.Hosts {
		if !h.Alive() {
			continue
		}
		if err := d.ask(ctx, h.Name); err != nil {
			return err
		}
	}
	return nil
}

// ask gets the page by a host's published port and checks that the entry is in it.
func (d *demo) ask(ctx context.Context, host string) error {
	p, err := d.look(ctx, host)
	if err != nil {
		return err
	}
	fmt.Printf("GET %s/api: answered by %s on %s, hit %d\n", d.url(host), p.Instance, p.Host, p.Hits)
	return p.holdsMessage()
}

// comeBack takes the guestbook down without -v and brings it up again. PostgreSQL and Redis run on
// the hosts with their volumes again; the entry is still there, and the hits are counted on.
func (d *demo) comeBack(ctx context.Context) error {
	before, err := d.instances(ctx)
	if err != nil {
		return err
	}
	last, err := d.look(ctx, before["web"][0].Host)
	if err != nil {
		return err
	}
	if err := d.command(ctx, "-p", guestbook, "down"); err != nil {
		return err
	}
	if err := d.bringUp(ctx); err != nil {
		return err
	}
	after, err := d.instances(ctx)
	if err != nil {
		return err
	}
	for _, service := range []string{"db", "cache"} {
		was, is := before[service][0], after[service][0]
		if is.Container == was.Container || is.Host != was.Host {
			return fmt.Errorf("%s was container %s on %s and is %s on %s, want another container on the same host", service, was.Container, was.Host, is.Container, is.Host)
		}
	}
	p, err := d.look(ctx, after["web"][0].Host)
	if err != nil {
		return err
	}
	fmt.Printf("db is new on %s and keeps %d entries, cache on %s and counts hit %d after %d\n",
		after["db"][0].Host, len(p.Entries), after["cache"][0].Host, p.Hits, last.Hits)
	if p.Hits != last.Hits+1 {
		return fmt.Errorf("the hits were lost: the counter was %d and is %d after one more", last.Hits, p.Hits)
	}
	return p.holdsMessage()
}

func (d *demo) look(ctx context.Context, host string) (page, error) {
	var p page
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url(host)+"/api", nil)
	if err != nil {
		return p, err
	}
	resp, err := fromUnderlay.Do(req)
	if err != nil {
		return p, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
		return p, fmt.Errorf("answer of %s (%s): %w", req.URL, resp.Status, err)
	}
	if p.Error != "" {
		return p, fmt.Errorf("%s: %s", req.URL, p.Error)
	}
	return p, nil
}

func (d *demo) url(host string) string {
	h, err := d.lab.Host(host)
	if err != nil {
		return "http://" + host
	}
	return "http://" + net.JoinHostPort(h.Underlay.String(), pagePort)
}

// fromUnderlay sends requests from the hosts' network, as another machine there would.
var fromUnderlay = &http.Client{
	Timeout: 5 * time.Second,
	Transport: &http.Transport{
		DisableKeepAlives: true, // a new connection for each request, because connections are balanced
		DialContext: func(_ context.Context, network, addr string) (c net.Conn, err error) {
			err = lab.InUnderlay(func() error {
				c, err = net.DialTimeout(network, addr, 2*time.Second)
				return err
			})
			return c, err
		},
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}
