package docs

import (
	"fmt"
	"strings"
	"testing"

	"tombolo/linker/catalog"
	"tombolo/linker/gossip"
	"tombolo/linker/record"
)

func TestLimitsAreThoseOfTheCode(t *testing.T) {
	const name = "docs/networking-and-policy.md"
	text := read(t, name)
	mib := func(n int) string { return fmt.Sprintf("%d MiB", n>>20) }
	for what, most := range map[string]string{
		"hosts with records":                                           fmt.Sprint(catalog.MaxHosts),
		"records of one host, without tombstones":                      fmt.Sprint(catalog.MaxRecordsHost),
		"bytes of the records of one host":                             mib(catalog.MaxBytesHost),
		"bytes of the records of all hosts":                            mib(catalog.MaxBytesHosts),
		"apps":                                                         fmt.Sprint(catalog.MaxApps),
		"bytes of the records of all apps":                             mib(catalog.MaxBytesApps),
		"tombstones of hosts and containers; of apps":                  fmt.Sprint(catalog.MaxTombstones),
		"bytes of one record":                                          mib(record.MaxEncoded),
		"other members of the gossip, dead ones included":              fmt.Sprint(gossip.MaxMembers),
		"connections that other hosts have open; from one address":     fmt.Sprintf("%d; %d", gossip.MaxStreams, gossip.MaxStreamsFrom),
		"bytes that are read from one connection":                      mib(gossip.MaxStreamBytes),
		"bytes of large packets and digests that wait for other hosts": mib(gossip.MaxWaiting),
		"packets that wait for the rounds of gossip":                   fmt.Sprint(gossip.MaxQueued),
	} {
		if line := "| " + what + " | " + most + " |"; !strings.Contains(text, line) {
			t.Errorf("%s lacks the line\n%s", name, line)
		}
	}
}
