package overlay

import (
	"fmt"
	"testing"
)

// BenchmarkAttach is what a container's start waits for.
func BenchmarkAttach(b *testing.B) {
	h := newLab(b, 1).hosts[0]
	h.set()
	i := 0
	for b.Loop() {
		i++
		e := h.endpoint(i%200 + 2)
		e.ID = fmt.Sprint("bench", i)
		if _, err := h.overlay.Attach(b.Context(), e); err != nil {
			b.Fatal(err)
		}
	}
}
