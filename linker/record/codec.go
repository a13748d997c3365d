package record

import (
	"encoding/hex"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"tombolo/linker/record/recordpb"
)

// MaxEncoded bounds an encoded record, in bytes. An endpoint's has a few hundred; only
// the record of an app with very many services comes near the bound.
const MaxEncoded = 1 << 20

// Encode returns the wire form of r, a recordpb.Record. It returns an error if r does
// not pass Check, if r has a kind that this version does not know and is no tombstone,
// or if the result would be larger than MaxEncoded.
func Encode(r Record) ([]byte, error) {
	if err := r.Check(); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	if !r.Kind.Known() && !r.Deleted {
		return nil, fmt.Errorf("encode record %s/%s: a newer version knows its content", r.Kind, r.Name)
	}
	m := &recordpb.Record{
		Kind: r.Kind.number(), Epoch: r.Version.Epoch, Seq: r.Version.Seq, Deleted: r.Deleted,
	}
	m.Name, m.PackedName = pack(r.Name)
	if r.Kind != KindHost {
		m.Owner = r.Owner
	}
	switch {
	case r.Host != nil:
		m.Content = &recordpb.Record_Host{Host: hostToWire(r.Host)}
	case r.Endpoint != nil:
		m.Content = &recordpb.Record_Endpoint{Endpoint: endpointToWire(r.Endpoint)}
	case r.App != nil:
		m.Content = &recordpb.Record_App{App: appToWire(r.App)}
	case r.Forgotten != nil:
		m.Content = &recordpb.Record_Forgotten{Forgotten: &recordpb.Forgotten{Name: r.Forgotten.Name}}
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode record %s/%s: %w", r.Kind, r.Name, err)
	}
	if len(b) > MaxEncoded {
		return nil, fmt.Errorf("encode record %s/%s: it has %d bytes: at most %d", r.Kind, r.Name, len(b), MaxEncoded)
	}
	return b, nil
}

// Decode is the reverse of Encode. It returns an error if b is not a record or if the
// record does not pass Check. It keeps no reference to b.
//
// A record may come from a newer version. Decode ignores fields that it does not know,
// and leaves the content of a kind that it does not know unset. To pass the record on,
// send b: the result of Encode would lack these.
func Decode(b []byte) (Record, error) {
	r, err := decode(b)
	if err != nil {
		return Record{}, fmt.Errorf("decode: %w", err)
	}
	return r, nil
}

func decode(b []byte) (Record, error) {
	if len(b) > MaxEncoded {
		return Record{}, fmt.Errorf("%d bytes: at most %d", len(b), MaxEncoded)
	}
	var m recordpb.Record
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, &m); err != nil {
		return Record{}, err
	}
	if m.Kind <= recordpb.Kind_KIND_UNSPECIFIED {
		return Record{}, errors.New("there is no kind")
	}
	r := Record{
		Key: Key{Kind: kindOf(m.Kind), Name: unpack(m.Name, m.PackedName)}, Owner: m.Owner,
		Version: Version{Epoch: m.Epoch, Seq: m.Seq}, Deleted: m.Deleted,
	}
	if r.Kind == KindHost {
		r.Owner = r.Name
	}
	if err := r.setContent(&m); err != nil {
		return Record{}, fmt.Errorf("record %s/%.64q: %w", r.Kind, r.Name, err)
	}
	return r, r.Check()
}

func (r *Record) setContent(m *recordpb.Record) (err error) {
	switch {
	case m.GetHost() != nil:
		r.Host, err = hostFromWire(r.Name, m.GetHost())
	case m.GetEndpoint() != nil:
		r.Endpoint, err = endpointFromWire(r.Name, r.Owner, m.GetEndpoint())
	case m.GetApp() != nil:
		r.App, err = appFromWire(r.Name, m.GetApp())
	case m.GetForgotten() != nil:
		r.Forgotten = &Forgotten{Name: m.GetForgotten().Name}
	}
	return err
}

// pack returns s as text, or as bytes if s consists of hexadecimal digits, as the IDs of
// containers and endpoints do. Bytes take half the space.
func pack(s string) (text string, packed []byte) {
	if packed, err := hex.DecodeString(s); err == nil && len(s) >= 8 && hex.EncodeToString(packed) == s {
		return "", packed
	}
	return s, nil
}

func unpack(text string, packed []byte) string {
	if len(packed) > 0 {
		return hex.EncodeToString(packed)
	}
	return text
}
