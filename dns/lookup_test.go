package dns

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLookupTakesNamesAndAddresses(t *testing.T) {
	view := testView()
	both := []string{"1.db.shop 100.64.1.2 fd00:1:2::12", "2.db.shop 100.64.2.2 fd00:1:2::22"}
	for name, want := range map[string]struct {
		full    string
		exists  bool
		targets []string
	}{
		"db":                               {"db.tombolo.internal", true, both},
		"DB.shop.":                         {"db.shop.tombolo.internal", true, both},
		"db.shop.tombolo.internal":         {"db.shop.tombolo.internal", true, both},
		"db.example.com":                   {"db.example.com.tombolo.internal", true, both[:1]},
		"four":                             {"four.tombolo.internal", true, []string{"four 100.64.1.4 -"}},
		"h1.host":                          {"h1.host.tombolo.internal", true, []string{"h1.host 198.18.0.11 -"}},
		"cache":                            {"cache.tombolo.internal", true, nil},
		"shop":                             {"shop.tombolo.internal", true, nil}, // there are names below it
		"tombolo.internal":                 {"tombolo.internal", true, nil},
		"secret":                           {"secret.tombolo.internal", false, nil},
		"_5432._tcp.db":                    {"_5432._tcp.db.tombolo.internal", true, both},
		"_80._tcp.db":                      {"_80._tcp.db.tombolo.internal", false, nil},
		"_6379._tcp.cache":                 {"_6379._tcp.cache.tombolo.internal", true, nil},
		"100.64.1.2":                       {"2.1.64.100.in-addr.arpa", true, []string{"1.db.shop 100.64.1.2 -"}},
		"2.1.64.100.in-addr.arpa":          {"2.1.64.100.in-addr.arpa", true, []string{"1.db.shop 100.64.1.2 -"}},
		"fd00:1:2::12":                     {reverse6[:len(reverse6)-1], true, []string{"1.db.shop - fd00:1:2::12"}},
		"100.64.9.9":                       {"9.9.64.100.in-addr.arpa", false, nil},
		"192.0.2.1":                        {"1.2.0.192.in-addr.arpa", false, nil},
		"db.shop.tombolo.internal.invalid": {"db.shop.tombolo.internal.invalid.tombolo.internal", false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			full, targets, exists := testZone.Lookup(view, name)
			var got []string
			for _, x := range targets {
				line := x.Name
				for _, a := range []fmt.Stringer{x.Addr4, x.Addr6} {
					if text := a.String(); text != "invalid IP" {
						line += " " + text
					} else {
						line += " -"
					}
				}
				got = append(got, line)
			}
			if full != want.full || exists != want.exists {
				t.Errorf("the full name is %s and exists: %t, want %s and %t", full, exists, want.full, want.exists)
			}
			if diff := cmp.Diff(want.targets, got); diff != "" {
				t.Errorf("targets (-want +got):\n%s", diff)
			}
		})
	}
}
