package gossip

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func label(name string, rest ...byte) []byte {
	return append(append([]byte{typeLabel, byte(len(name))}, name...), rest...)
}

// header is a stream's header as memberlist writes it.
func header(kind byte, key string, size ...byte) []byte {
	return append(append([]byte{kind, 0x81, 0xa0 | byte(len(key))}, key...), size...)
}

func TestGuardPacket(t *testing.T) {
	plain, secret := guard{label: "tombolo"}, guard{label: "tombolo", encrypted: true}
	many := append([]byte{typeCompound, 255}, make([]byte, 2*255)...)
	tests := map[string]struct {
		guard guard
		b     []byte
		ok    bool
	}{
		"ping":               {plain, label("tombolo", typePing, 1), true},
		"user message":       {plain, label("tombolo", typeUser, framePacket, 1), true},
		"with a checksum":    {plain, label("tombolo", typeCRC, 0, 0, 0, 0, typePing, 1), true},
		"compound":           {plain, label("tombolo", typeCompound, 2, 0, 2, 0, 1, typePing, 1, typeUser), true},
		"anything, secret":   {secret, label("tombolo", typeCompress), true},
		"nothing":            {plain, nil, false},
		"label only":         {plain, label("tombolo"), false},
		"no label":           {plain, []byte{typePing, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, false},
		"another label":      {plain, label("tombola", typePing, 1), false},
		"a longer label":     {plain, label("tombolos", typePing, 1), false},
		"another, secret":    {secret, label("tombola", typePing, 1), false},
		"short checksum":     {plain, label("tombolo", typeCRC, 0, 0), false},
		"compressed":         {plain, label("tombolo", typeCompress, 1), false},
		"push/pull":          {plain, label("tombolo", typePushPull, 1), false},
		"unknown type":       {plain, label("tombolo", 99, 1), false},
		"compressed part":    {plain, label("tombolo", typeCompound, 1, 0, 2, typeCompress, 1), false},
		"lying part":         {plain, label("tombolo", typeCompound, 1, 0xff, 0xff, typePing), false},
		"empty parts":        {plain, label("tombolo", many...), false},
		"compound in itself": {plain, label("tombolo", typeCompound, 1, 0, 5, typeCompound, 1, 0, 1, typePing), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := tt.guard.packet(tt.b); (err == nil) != tt.ok {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestGuardStream(t *testing.T) {
	plain, secret := guard{label: "tombolo"}, guard{label: "tombolo", encrypted: true}
	long := binary.BigEndian.AppendUint64([]byte{0xd3}, 1<<62)
	tests := map[string]struct {
		guard guard
		b     []byte
		ok    bool
	}{
		"user message":      {plain, header(typeUser, "UserMsgLen", 5), true},
		"256 kB":            {plain, header(typeUser, "UserMsgLen", 0xd2, 0, 4, 0, 0), true},
		"unsigned":          {plain, header(typeUser, "UserMsgLen", 0xce, 0, 4, 0, 0), true},
		"ping":              {plain, []byte{typePing}, true},
		"secret":            {secret, []byte{typeEncrypt}, true},
		"endless":           {plain, header(typeUser, "UserMsgLen", long...), false},
		"negative":          {plain, header(typeUser, "UserMsgLen", 0xff), false},
		"negative int32":    {plain, header(typeUser, "UserMsgLen", 0xd2, 0xff, 0, 0, 0), false},
		"no number":         {plain, header(typeUser, "UserMsgLen", 0xc0), false},
		"too many nodes":    {plain, header(typePushPull, "Nodes", long...), false},
		"unknown field":     {plain, header(typeUser, "Nonsense", 1), false},
		"compressed":        {plain, []byte{typeCompress, 1}, false},
		"secret, not known": {plain, []byte{typeEncrypt}, false},
		"plain, but secret": {secret, header(typeUser, "UserMsgLen", 5), false},
		"cut":               {plain, []byte{typeUser, 0x81}, false},
		"a map of 15":       {plain, []byte{typeUser, 0x8f}, false},
		"no map":            {plain, []byte{typeUser, 0x05}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			in := bufio.NewReaderSize(bytes.NewReader(label("tombolo", tt.b...)), guardPeek)
			if err := tt.guard.stream(in); (err == nil) != tt.ok {
				t.Errorf("stream: %v", err)
			}
			in = bufio.NewReaderSize(bytes.NewReader(tt.b), guardPeek)
			if err := tt.guard.reply(in); (err == nil) != tt.ok {
				t.Errorf("reply: %v", err)
			}
			if in.Size() != guardPeek {
				t.Error("the buffer was replaced")
			}
		})
	}
	for _, b := range [][]byte{nil, {typeLabel}, label("other", typePing, 0, 0, 0)} {
		if err := plain.stream(bufio.NewReader(bytes.NewReader(b))); err == nil {
			t.Errorf("stream %q is taken", b)
		}
	}
}

func TestBatches(t *testing.T) {
	packets := [][]byte{[]byte("a"), {}, bytes.Repeat([]byte("b"), maxBatch), []byte("c")}
	frames := batches(packets)
	if len(frames) != 3 {
		t.Errorf("%d frames, want 3", len(frames))
	}
	var got [][]byte
	for _, f := range frames {
		if len(f) > maxStream {
			t.Errorf("a frame of %d bytes", len(f))
		}
		some, err := unbatch(f[1:])
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, some...)
	}
	if d := cmp.Diff(packets, got); d != "" {
		t.Error(d)
	}
	if len(batches(nil)) != 0 {
		t.Error("a frame for nothing")
	}
}

type nobody struct{}

func (nobody) Merge(p []byte) (string, error)   { return string(p[:min(1, len(p))]), nil }
func (nobody) Digest() []byte                   { return nil }
func (nobody) Missing([]byte) ([][]byte, error) { return nil, nil }
func (nobody) Alive(Member)                     {}
func (nobody) Dead(Member)                      {}

func FuzzReceive(f *testing.F) {
	f.Add(packetFrame([]byte("x")))
	f.Add(batches([][]byte{[]byte("a"), []byte("b")})[0])
	f.Add(digestFrame(digest{from: "h1", sum: []byte("s"), answer: true}))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := New(Config{Name: "h1"}, nobody{}, nobody{})
		if err != nil {
			t.Fatal(err)
		}
		g.receive(b)
		if n := len(g.roster.members()); n != 0 {
			t.Fatalf("%d members by a message", n)
		}
	})
}

func FuzzGuard(f *testing.F) {
	f.Add(label("tombolo", typeCompound, 2, 0, 2, 0, 1, typePing, 1, typeUser))
	f.Add(label("tombolo", header(typePushPull, "Nodes", 0xd3, 0, 0, 0, 0, 0, 0, 0, 9)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		g := guard{label: "tombolo"}
		_ = g.packet(b) // only that it returns
		in := bufio.NewReaderSize(bytes.NewReader(b), guardPeek)
		if g.stream(in) == nil {
			rest := make([]byte, len(b))
			if n, _ := in.Read(rest); !bytes.Equal(rest[:n], b[:n]) {
				t.Fatal("the guard consumed something")
			}
		}
	})
}
