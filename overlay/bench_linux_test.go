package overlay

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// BenchmarkAttach measures the part of a container's start that waits for Attach.
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

// BenchmarkSet adds one permission to thousands and removes it again.
func BenchmarkSet(b *testing.B) {
	h := newLab(b, 1).hosts[0]
	h.config.Groups = manyPairs(5000)
	h.config.Peers = manyPeers(200)
	h.set()
	grant := allow(netip.MustParseAddr("100.64.200.1"), netip.MustParseAddr("100.64.1.9"))
	for b.Loop() {
		c := h.config
		c.Groups = append(c.Groups[:len(c.Groups):len(c.Groups)], grant)
		must(b, h.overlay.Set(b.Context(), c))
		must(b, h.overlay.Set(b.Context(), h.config))
	}
}

// BenchmarkFirstSet measures the first Set of a restarted linker.
func BenchmarkFirstSet(b *testing.B) {
	h := newLab(b, 1).hosts[0]
	h.config.Groups = manyPairs(5000)
	h.config.Peers = manyPeers(200)
	for b.Loop() {
		h.restart()
		h.set()
	}
}

func manyPairs(n int) (out []Group) {
	for i := range n {
		from := netip.AddrFrom4([4]byte{100, 64, byte(2 + i/200), byte(i % 200)})
		out = append(out, allow(from, netip.AddrFrom4([4]byte{100, 64, 1, byte(i % 50)})))
	}
	return out
}

func manyPeers(n int) (out []Peer) {
	for i := range n {
		addr := netip.AddrFrom4([4]byte{100, 65, byte(i), 1})
		out = append(out, Peer{
			Underlay: netip.AddrFrom4([4]byte{198, 19, 0, byte(i)}), Block4: netip.PrefixFrom(addr, 24).Masked(),
			Overlay4: addr, MAC: HardwareAddr(addr),
		})
	}
	return out
}

// BenchmarkThroughput copies between containers of two hosts, a megabyte over this overlay and a
// megabyte over a hand-made VXLAN between the same hosts, in turn.
func BenchmarkThroughput(b *testing.B) {
	l := newLab(b, 2)
	h1, h2 := l.hosts[0], l.hosts[1]
	h1.set()
	h2.set()
	from, to := h1.endpoint(5), h2.endpoint(5)
	box, peer := h1.run(from), h2.run(to)
	h2.config.Groups = []Group{allow(from.Addr4, to.Addr4)}
	h2.set()
	plain1, plain2 := handMade(b, h1, h2.Underlay, 1), handMade(b, h2, h1.Underlay, 2)
	ours := sink(b, box, peer, at(to.Addr4, 9000))
	theirs := sink(b, plain1, plain2, "10.9.0.2:9000")
	buf := make([]byte, 1<<20)
	var spent [2]time.Duration
	b.SetBytes(2 << 20)
	for b.Loop() {
		for i, conn := range []net.Conn{ours, theirs} {
			start := time.Now()
			_, err := conn.Write(buf)
			must(b, err)
			_, err = io.ReadFull(conn, buf[:1])
			must(b, err)
			spent[i] += time.Since(start)
		}
	}
	b.ReportMetric(float64(spent[1])/float64(spent[0]), "x-hand-made")
}

// handMade connects a container to a bridge with a VXLAN device, as one would by hand.
func handMade(t testing.TB, h *labHost, peer netip.Addr, n int) netns.NsHandle {
	box := newNamespace(t)
	enter(t, h.ns, func() {
		br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "brx", MTU: 1450, TxQLen: -1}}
		must(t, netlink.LinkAdd(br))
		must(t, netlink.LinkAdd(&netlink.Vxlan{
			LinkAttrs: netlink.LinkAttrs{Name: "vx", MTU: 1450, TxQLen: -1, MasterIndex: br.Index},
			VxlanId:   99, Port: 4789, SrcAddr: h.Underlay.AsSlice(), Group: peer.AsSlice(), Learning: true,
		}))
		must(t, netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: "vp", MTU: 1450, TxQLen: -1, MasterIndex: br.Index},
			PeerName:  "eth0", PeerNamespace: netlink.NsFd(int(box)),
		}))
		for _, name := range []string{"brx", "vx", "vp"} {
			up(t, name)
		}
	})
	enter(t, box, func() {
		addAddr(t, "eth0", netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, 0, byte(n)}), 24))
		up(t, "eth0")
	})
	return box
}

// sink returns a connection to a server that answers each megabyte with one byte.
func sink(t testing.TB, client, server netns.NsHandle, addr string) net.Conn {
	enter(t, server, func() {
		l, err := net.Listen("tcp", addr)
		must(t, err)
		t.Cleanup(func() { l.Close() })
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			for {
				if _, err := io.CopyN(io.Discard, conn, 1<<20); err != nil {
					return
				}
				if _, err := conn.Write([]byte{1}); err != nil {
					return
				}
			}
		}()
	})
	conn, err := dial(t, client, "tcp", addr, ample)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}
