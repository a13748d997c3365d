package dnstest

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// Case is a question and the reply to expect. Records are written as in a zone file, for example
// `db. 1 IN A 100.64.1.2`. Their order does not matter.
type Case struct {
	Name   string // of the test; "" means the question
	Ask    string // the name, with or without the last dot
	Type   uint16
	Class  uint16 // zero means IN
	Rcode  int
	Answer []string
	Ns     []string
	Extra  []string // without OPT
	// Forward expects that the question is not answered but has to be forwarded.
	Forward bool
}

// Title returns a name for t.Run.
func (c Case) Title() string {
	if c.Name != "" {
		return c.Name
	}
	return c.Ask + " " + dns.TypeToString[c.Type]
}

// Query returns the query as a stub resolver sends it.
func (c Case) Query() *dns.Msg {
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(c.Ask), c.Type)
	if c.Class != 0 {
		q.Question[0].Qclass = c.Class
	}
	return q
}

// Check compares a reply with the expected one. A nil reply means that the question has to be
// forwarded.
func (c Case) Check(t testing.TB, q, got *dns.Msg) {
	t.Helper()
	if c.Forward || got == nil {
		if c.Forward != (got == nil) {
			t.Errorf("the question has to be forwarded: %t, want %t; reply:\n%v", got == nil, c.Forward, got)
		}
		return
	}
	if !got.Response || got.Id != q.Id || got.RecursionDesired != q.RecursionDesired {
		t.Errorf("the header of the reply does not match the query:\n%v", got)
	}
	if diff := cmp.Diff(q.Question, got.Question); diff != "" {
		t.Errorf("question (-want +got):\n%s", diff)
	}
	want := section{dns.RcodeToString[c.Rcode], sorted(c.Answer), sorted(c.Ns), sorted(c.Extra)}
	have := section{dns.RcodeToString[got.Rcode], texts(got.Answer), texts(got.Ns), texts(got.Extra)}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
}

type section struct {
	Rcode             string
	Answer, Ns, Extra []string
}

func texts(rrs []dns.RR) []string {
	var out []string
	for _, rr := range rrs {
		if rr.Header().Rrtype != dns.TypeOPT {
			out = append(out, strings.Join(strings.Fields(rr.String()), " "))
		}
	}
	return sorted(out)
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	if len(s) == 0 {
		return nil
	}
	return s
}
