package record

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"time"
)

// The span of time.Time's own text form, in Unix seconds: years 1 to 9999.
const (
	minTime = -62135596800
	maxTime = 253402300799
)

// writer appends the primitives of the wire form.
type writer struct{ b []byte }

func (w *writer) number(n uint64) { w.b = binary.AppendUvarint(w.b, n) }

// text writes the length, shifted by one bit that says "hexadecimal, packed".
func (w *writer) text(s string) {
	if packable(s) {
		w.number(uint64(len(s)/2)<<1 | 1)
		w.b, _ = hex.AppendDecode(w.b, []byte(s)) // packable: cannot fail
		return
	}
	w.number(uint64(len(s)) << 1)
	w.b = append(w.b, s...)
}

func (w *writer) flags(flags ...bool) {
	var b byte
	for i, f := range flags {
		if f {
			b |= 1 << i
		}
	}
	w.b = append(w.b, b)
}

func (w *writer) addr(a netip.Addr) {
	raw := a.AsSlice()
	w.b = append(w.b, byte(len(raw)))
	w.b = append(w.b, raw...)
}

func (w *writer) prefix(p netip.Prefix) {
	if !p.IsValid() {
		p = netip.Prefix{}
	}
	w.addr(p.Addr())
	if p.IsValid() {
		w.b = append(w.b, byte(p.Bits()))
	}
}

func (w *writer) time(t time.Time) {
	w.flags(!t.IsZero())
	if !t.IsZero() {
		w.b = binary.AppendVarint(w.b, t.Unix())
		w.number(uint64(t.Nanosecond()))
	}
}

func list[T any](w *writer, all []T, write func(T)) {
	w.number(uint64(len(all)))
	for _, v := range all {
		write(v)
	}
}

func dict[K cmp.Ordered, V any](w *writer, m map[K]V, key func(K), value func(V)) {
	w.number(uint64(len(m)))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		key(k)
		value(m[k])
	}
}

// packable reports whether packing s as hexadecimal loses nothing: even length,
// lower case, and long enough to be an ID.
func packable(s string) bool {
	if len(s) < 8 || len(s)%2 != 0 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// reader takes the primitives off b. The first error stays, and everything read
// after it is zero, so that only the end needs a look at it.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

func (r *reader) take(n int) []byte {
	if r.err != nil || n > len(r.b) {
		r.fail(errShort)
		return nil
	}
	head := r.b[:n]
	r.b = r.b[n:]
	return head
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.fail(errShort)
		return 0
	}
	r.take(size)
	return n
}

func (r *reader) int() int {
	n := r.number()
	if n > math.MaxInt32 {
		r.fail(fmt.Errorf("number %d is too large", n))
		return 0
	}
	return int(n)
}

func (r *reader) port() uint16 {
	n := r.number()
	if n > math.MaxUint16 {
		r.fail(fmt.Errorf("port %d", n))
		return 0
	}
	return uint16(n)
}

func (r *reader) text() string {
	n := r.number()
	size := n >> 1
	if size > uint64(len(r.b)) {
		r.fail(errShort)
		return ""
	}
	raw := r.take(int(size))
	if n&1 == 0 {
		return string(raw)
	}
	return hex.EncodeToString(raw)
}

func (r *reader) flags(flags ...*bool) {
	b := r.byte()
	if b>>len(flags) != 0 {
		r.fail(fmt.Errorf("unknown flags %#x", b))
		return
	}
	for i, f := range flags {
		*f = b&(1<<i) != 0
	}
}

func (r *reader) addr() netip.Addr {
	raw := r.take(int(r.byte()))
	if len(raw) == 0 {
		return netip.Addr{}
	}
	a, ok := netip.AddrFromSlice(raw)
	if !ok {
		r.fail(fmt.Errorf("address of %d bytes", len(raw)))
	}
	return a
}

func (r *reader) prefix() netip.Prefix {
	a := r.addr()
	if !a.IsValid() {
		return netip.Prefix{}
	}
	bits := int(r.byte())
	p := netip.PrefixFrom(a, bits)
	if !p.IsValid() {
		r.fail(fmt.Errorf("prefix %s/%d", a, bits))
		return netip.Prefix{}
	}
	return p
}

func (r *reader) time() time.Time {
	var set bool
	if r.flags(&set); !set {
		return time.Time{}
	}
	sec, size := binary.Varint(r.b)
	if size <= 0 {
		r.fail(errShort)
		return time.Time{}
	}
	r.take(size)
	nsec := r.number()
	if sec < minTime || sec > maxTime || nsec >= uint64(time.Second) {
		r.fail(errors.New("time out of range"))
		return time.Time{}
	}
	return time.Unix(sec, int64(nsec)).UTC()
}

func pick[T any](r *reader, from []T) T {
	i := int(r.byte())
	if i >= len(from) {
		r.fail(fmt.Errorf("unknown choice %d", i))
		i = 0
	}
	return from[i]
}

// items reads a list. Every item takes a byte at least, so that a count larger
// than what is left is a lie, and allocates nothing.
func items[T any](r *reader, read func() T) []T {
	n := r.number()
	if n > uint64(len(r.b)) {
		r.fail(errShort)
	}
	if r.err != nil || n == 0 {
		return nil
	}
	var all []T
	for range n {
		all = append(all, read())
		if r.err != nil {
			return nil
		}
	}
	return all
}

// entries reads a map, whose keys rise.
func entries[K cmp.Ordered, V any](r *reader, key func() K, value func() V) map[K]V {
	n := r.number()
	if n > uint64(len(r.b)) {
		r.fail(errShort)
	}
	if r.err != nil || n == 0 {
		return nil
	}
	m := make(map[K]V)
	var last K
	for i := range n {
		k := key()
		if i > 0 && k <= last {
			r.fail(errors.New("keys do not rise"))
		}
		m[k], last = value(), k
		if r.err != nil {
			return nil
		}
	}
	return m
}
