package gossip

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func label(name string, rest ...byte) []byte {
	return append(append([]byte{typeLabel, byte(len(name))}, name...), rest...)
}

// header returns the header of a stream as memberlist writes it.
func header(kind byte, key string, size ...byte) []byte {
	return append(append([]byte{kind, 0x81, 0xa0 | byte(len(key))}, key...), size...)
}

func TestFilterRefusesPacketsThatNoMemberSends(t *testing.T) {
	plain, secret := filter{label: "tombolo"}, filter{label: "tombolo", encrypted: true}
	many := append([]byte{typeCompound, 255}, make([]byte, 2*255)...)
	tests := map[string]struct {
		filter filter
		b      []byte
		ok     bool
	}{
		"ping":                              {plain, label("tombolo", typePing, 1), true},
		"user message":                      {plain, label("tombolo", typeUser, framePacket, 1), true},
		"with a checksum":                   {plain, label("tombolo", typeCRC, 0, 0, 0, 0, typePing, 1), true},
		"compound":                          {plain, label("tombolo", typeCompound, 2, 0, 2, 0, 1, typePing, 1, typeUser), true},
		"anything from a peer with the key": {secret, label("tombolo", typeCompress), true},
		"empty":                             {plain, nil, false},
		"label only":                        {plain, label("tombolo"), false},
		"no label":                          {plain, []byte{typePing, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, false},
		"another label":                     {plain, label("tombola", typePing, 1), false},
		"a longer label":                    {plain, label("tombolos", typePing, 1), false},
		"another label, encrypted":          {secret, label("tombola", typePing, 1), false},
		"short checksum":                    {plain, label("tombolo", typeCRC, 0, 0), false},
		"compressed":                        {plain, label("tombolo", typeCompress, 1), false},
		"push/pull":                         {plain, label("tombolo", typePushPull, 1), false},
		"unknown type":                      {plain, label("tombolo", 99, 1), false},
		"compressed part":                   {plain, label("tombolo", typeCompound, 1, 0, 2, typeCompress, 1), false},
		"part longer than the packet":       {plain, label("tombolo", typeCompound, 1, 0xff, 0xff, typePing), false},
		"parts of no length":                {plain, label("tombolo", many...), false},
		"compound in a compound":            {plain, label("tombolo", typeCompound, 1, 0, 5, typeCompound, 1, 0, 1, typePing), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := tt.filter.packet(tt.b); (err == nil) != tt.ok {
				t.Errorf("the filter returned %v, want the packet accepted: %v", err, tt.ok)
			}
		})
	}
}

func TestFilterRefusesStreamsThatNoMemberOpens(t *testing.T) {
	plain, secret := filter{label: "tombolo"}, filter{label: "tombolo", encrypted: true}
	long := binary.BigEndian.AppendUint64([]byte{0xd3}, 1<<62)
	tests := map[string]struct {
		filter filter
		b      []byte
		ok     bool
	}{
		"user message":                {plain, header(typeUser, "UserMsgLen", 5), true},
		"256 kB":                      {plain, header(typeUser, "UserMsgLen", 0xd2, 0, 4, 0, 0), true},
		"unsigned":                    {plain, header(typeUser, "UserMsgLen", 0xce, 0, 4, 0, 0), true},
		"ping":                        {plain, []byte{typePing}, true},
		"encrypted":                   {secret, []byte{typeEncrypt, 0, 0, 1, 0}, true},
		"length of 2^62":              {plain, header(typeUser, "UserMsgLen", long...), false},
		"negative length":             {plain, header(typeUser, "UserMsgLen", 0xff), false},
		"negative length, int32":      {plain, header(typeUser, "UserMsgLen", 0xd2, 0xff, 0, 0, 0), false},
		"length that is not a number": {plain, header(typeUser, "UserMsgLen", 0xc0), false},
		"2^62 nodes":                  {plain, header(typePushPull, "Nodes", long...), false},
		"unknown field":               {plain, header(typeUser, "Nonsense", 1), false},
		"compressed":                  {plain, []byte{typeCompress, 1}, false},
		"encrypted, without a key":    {plain, []byte{typeEncrypt, 0, 0, 1, 0}, false},
		"not encrypted, with a key":   {secret, header(typeUser, "UserMsgLen", 5), false},
		"header cut off":              {plain, []byte{typeUser, 0x81}, false},
		"a map of 15":                 {plain, []byte{typeUser, 0x8f}, false},
		"header that is not a map":    {plain, []byte{typeUser, 0x05}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			in := bufio.NewReaderSize(bytes.NewReader(label("tombolo", tt.b...)), filterPeek)
			if err := tt.filter.stream(in); (err == nil) != tt.ok {
				t.Errorf("a stream that a peer opened: %v, want it accepted: %v", err, tt.ok)
			}
			in = bufio.NewReaderSize(bytes.NewReader(tt.b), filterPeek)
			if err := tt.filter.reply(in); (err == nil) != tt.ok {
				t.Errorf("a reply on our stream: %v, want it accepted: %v", err, tt.ok)
			}
			if in.Size() != filterPeek {
				t.Error("the filter replaced the buffer of the stream")
			}
		})
	}
	for _, b := range [][]byte{nil, {typeLabel}, label("other", typePing, 0, 0, 0)} {
		if err := plain.stream(bufio.NewReader(bytes.NewReader(b))); err == nil {
			t.Errorf("a stream that begins with %q is accepted, want it refused", b)
		}
	}
}

func TestBatchesHoldAllPacketsInOrder(t *testing.T) {
	packets := [][]byte{[]byte("a"), {}, bytes.Repeat([]byte("b"), maxBatch), []byte("c")}
	frames := batches(packets)
	if len(frames) != 3 {
		t.Errorf("the packets were put into %d frames, want 3", len(frames))
	}
	var got [][]byte
	for _, f := range frames {
		if len(f) > maxStream {
			t.Errorf("a frame has %d bytes, more than a peer accepts", len(f))
		}
		some, err := unbatch(f[1:])
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, some...)
	}
	if d := cmp.Diff(packets, got); d != "" {
		t.Errorf("packets taken out of the batches (-want +got):\n%s", d)
	}
	if len(batches(nil)) != 0 {
		t.Error("no packets made a frame, want none")
	}
}

// nobody is a Delegate that holds nothing.
type nobody struct{}

func (nobody) Merge(p []byte) (string, error)   { return string(p[:min(1, len(p))]), nil }
func (nobody) Digest() []byte                   { return nil }
func (nobody) Missing([]byte) ([][]byte, error) { return nil, nil }

func FuzzReceive(f *testing.F) {
	f.Add(packetFrame([]byte("x")))
	f.Add(batches([][]byte{[]byte("a"), []byte("b")})[0])
	f.Add(digestFrame(digest{from: "h1", sum: []byte("s"), answer: true}))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := New(Config{Name: "h1", Bind: netip.MustParseAddrPort("127.0.0.1:0")}, nobody{})
		if err != nil {
			t.Fatal(err)
		}
		g.receive(b)
		if n := len(g.membership.members()); n != 0 {
			t.Fatalf("a message added %d members, want none", n)
		}
	})
}

func FuzzFilter(f *testing.F) {
	f.Add(label("tombolo", typeCompound, 2, 0, 2, 0, 1, typePing, 1, typeUser))
	f.Add(label("tombolo", header(typePushPull, "Nodes", 0xd3, 0, 0, 0, 0, 0, 0, 0, 9)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		g := filter{label: "tombolo"}
		_ = g.packet(b) // it must return
		in := bufio.NewReaderSize(bytes.NewReader(b), filterPeek)
		if g.stream(in) == nil {
			rest := make([]byte, len(b))
			if n, _ := in.Read(rest); !bytes.Equal(rest[:n], b[:n]) {
				t.Fatal("the filter consumed a part of the stream")
			}
		}
	})
}
