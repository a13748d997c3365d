package overlay

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// dockerResolver is the address of Docker's own resolver in the sandbox of a container on a
// user-defined network. That resolver answers with the names of all neighbours of the host,
// whatever the links say, and it asks the host's name servers from the host's network
// namespace, also for `internal` containers. Docker listens on a random port of the address
// and translates port 53 to it with iptables.
//
// Nobody can keep Docker from starting it, from Engine 26 on. So our table in the sandbox
// leads queries to the linker before Docker's rules see them:
//
//	process --127.0.0.11:53--> output --169.254.1.1:53--> postrouting --from Addr4--> linker
//	process --127.0.0.11:any other port--> input: refused
//
// The second line closes Docker's random port, and everything else where the first fails.
var dockerResolver = netip.MustParseAddr("127.0.0.11")

// Our priorities in the sandbox come before those of iptables' nat table (-100 and 100),
// which Docker's rules are in. The first rule that translates a connection wins.
const (
	beforeDockerDNAT = -150
	beforeDockerSNAT = 50
)

// resolverChains is our table in the sandbox of a container with the address addr.
func resolverChains(addr netip.Addr) []hookedChain {
	resolver := ip4Field(ip4Destination, dockerResolver.AsSlice())
	redirect := func(proto string) []*nl.RtAttr {
		return slices.Concat(resolver, toPort(proto, 53), translate(unix.NFT_NAT_DNAT, Gateway4))
	}
	loopback := []byte{127} // the first byte of 127.0.0.0/8
	return []hookedChain{
		{"resolver", "nat", unix.NF_INET_LOCAL_OUT, beforeDockerDNAT, [][]*nl.RtAttr{redirect("udp"), redirect("tcp")}},
		{"resolver_source", "nat", unix.NF_INET_POST_ROUTING, beforeDockerSNAT, [][]*nl.RtAttr{slices.Concat(
			ip4Field(ip4Destination, Gateway4.AsSlice()), ip4Field(ip4Source, loopback), translate(unix.NFT_NAT_SNAT, addr))}},
		{"docker_resolver", "filter", unix.NF_INET_LOCAL_IN, 0, [][]*nl.RtAttr{append(resolver, rejectUnreachable())}},
		// route_localnet would let packets from outside reach the container's loopback.
		{"loopback", "filter", unix.NF_INET_PRE_ROUTING, -300, [][]*nl.RtAttr{slices.Concat(
			[]*nl.RtAttr{meta(unix.NFT_META_IIFNAME), compare(unix.NFT_CMP_NEQ, []byte(ifnameField("lo")))},
			ip4Field(ip4Destination, loopback), []*nl.RtAttr{dropPacket()})}},
	}
}

// guardResolver leads e's queries to 127.0.0.11 to the linker. It runs in e's sandbox, and
// replaces what an earlier call has set. After an error 127.0.0.11 answers nothing, if the
// kernel allows that at least.
func guardResolver(link netlink.Link, e Endpoint) error {
	err := setResolver(link, e)
	if err == nil {
		return deleteProhibition()
	}
	if rerr := netlink.RouteReplace(resolverProhibition()); rerr != nil {
		return fmt.Errorf("%w: lead %s to the linker: %w; it cannot be closed either: %w", ErrResolverOpen, dockerResolver, err, rerr)
	}
	return fmt.Errorf("lead %s to the linker: %w; it is closed instead", dockerResolver, err)
}

func setResolver(link netlink.Link, e Endpoint) error {
	// Without this, the kernel sends nothing from 127.0.0.1 by this interface, not even
	// packets whose source it is going to translate.
	if err := setSysctl("ipv4/conf/"+link.Attrs().Name+"/route_localnet", "1"); err != nil {
		return err
	}
	chains := resolverChains(e.Addr4)
	if written(chains) {
		return nil
	}
	err := commitTable(false, chains)
	if errors.Is(err, unix.EEXIST) {
		err = commitTable(true, chains)
	}
	return err
}

// written reports whether a former linker has written this table into the sandbox and nobody has
// changed nftables there since. To write it again would take tens of milliseconds, for each
// container after each restart of the linker.
func written(chains []hookedChain) bool {
	gen, err := generation()
	if err != nil {
		return false
	}
	tables, err := askNftables(unix.NFT_MSG_GETTABLE, 0, tableAttr(unix.NFTA_TABLE_NAME))
	if err != nil {
		return false
	}
	for _, m := range tables {
		for _, a := range attributes(m[nfgenLen:]) {
			if a.kind == nftaTableUserdata && bytes.Equal(a.value, seal(chains, gen)) {
				return true
			}
		}
	}
	return false
}

// seal is what commitTable keeps with the table in the kernel: a digest of its rules, and of the
// generation of nftables after they were written.
func seal(chains []hookedChain, gen uint32) []byte {
	var b batch
	b.table(false, chains, nil)
	digest := sha256.Sum256(binary.BigEndian.AppendUint32(b.Bytes(), gen))
	return digest[:]
}

const nftaTableUserdata = 6 // NFTA_TABLE_USERDATA of linux/netfilter/nf_tables.h, which x/sys/unix lacks

func commitTable(anew bool, chains []hookedChain) error {
	gen, err := generation()
	if err != nil {
		return err
	}
	var b batch
	b.begin()
	b.table(anew, chains, seal(chains, gen+1))
	b.end()
	if err := b.send(); err != nil {
		return fmt.Errorf("write nftables table: %w", err)
	}
	return nil
}

// releaseResolver undoes guardResolver. It runs in the sandbox of a container that has left
// the network and may be on others of Docker's, whose names it then finds again.
func releaseResolver() error {
	var b batch
	b.begin()
	b.change(unix.NFT_MSG_DELTABLE, 0, tableAttr(unix.NFTA_TABLE_NAME))
	b.end()
	if err := b.send(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove nftables table: %w", err)
	}
	return deleteProhibition()
}

// resolverProhibition makes every use of 127.0.0.11 fail at once with EACCES.
func resolverProhibition() *netlink.Route {
	return &netlink.Route{Dst: ipNet(hostPrefix(dockerResolver)), Type: unix.RTN_PROHIBIT, Table: unix.RT_TABLE_LOCAL}
}

func deleteProhibition() error {
	if err := netlink.RouteDel(resolverProhibition()); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("open %s again: %w", dockerResolver, err)
	}
	return nil
}
