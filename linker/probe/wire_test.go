package probe

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMessagesAreReadAsTheyWereWritten(t *testing.T) {
	id := roundID{1, 2, 3, 4, 5, 6, 7, 8}
	for _, want := range []note{
		{round: id, sizes: []int{100, 1450, 65000}}, {round: id, known: true, arrived: 0x8001, clock: 1764558000123}, {round: id},
	} {
		got, err := parseNote(want.encode())
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(note{})); diff != "" || err != nil {
			t.Errorf("%v, note (-written +read):\n%s", err, diff)
		}
	}
	want := shot{id, 3, 1450}
	b := want.encode()
	if len(b) != 1450-28 {
		t.Errorf("a shot of 1450 bytes has %d beside the headers of IP and UDP", len(b))
	}
	if got, err := parseShot(b); err != nil || got != want {
		t.Errorf("shot %v is read as %v, %v", want, got, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(note{sizes: []int{100, 1450}}.encode())
	f.Add(note{known: true, arrived: 3, clock: 7}.encode())
	f.Add(shot{number: 1, size: 100}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := parseNote(b); err == nil && !cmp.Equal(b, n.encode()) {
			t.Errorf("%x is read as %+v, which is written as %x", b, n, n.encode())
		}
		if s, err := parseShot(b); err == nil && (s.number >= maxShots || s.size != len(b)+ipHeaders) {
			t.Errorf("%x is read as %+v", b, s)
		}
	})
}
