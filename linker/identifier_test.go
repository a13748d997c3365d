package linker

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"tombolo/linker/record"
)

// What no record can hold costs a container its name, or its identity, and nobody
// else anything.
func TestNamesAndLabelsThatDoNotFit(t *testing.T) {
	h := newTestHost(t, 6)
	h.start(t)
	h.client(t)
	networks := map[string][]string{}
	for n := range 8 { // each within bounds, all of them too large
		for i := range record.MaxItems {
			name := strings.Repeat(strings.Repeat("n", 60)+".", 3)
			networks[fmt.Sprint(n)] = append(networks[fmt.Sprint(n)], fmt.Sprint(name, i))
		}
	}
	raw, err := json.Marshal(networks)
	if err != nil {
		t.Fatal(err)
	}
	huge := labels("huge")
	huge[record.LabelNetworks] = string(raw)
	long := h.run(t, strings.Repeat("x", 300), labels("long"))
	big := h.run(t, "huge", huge)
	var got *record.Endpoint
	eventually(t, "both are announced", func() bool {
		eps := h.catalog.Snapshot().Endpoints
		got = eps[long]
		return got != nil && got.Running && eps[big] != nil && eps[big].Running
	})
	if got.App != "shop" || got.Service != "long" || got.ContainerName != "" {
		t.Errorf("with a name too long: %+v", got)
	}
	if e := h.catalog.Snapshot().Endpoints[big]; e.App != "" || len(e.Networks) > 0 || !e.Addr4.IsValid() {
		t.Errorf("with labels too large: %+v", e)
	}
	h.stop()
}
