package overlay

import (
	"encoding/binary"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// hookedChain is a chain that the kernel itself calls.
type hookedChain struct {
	name, kind string // kind is "filter" or "nat"
	hook       uint32 // NF_INET_...
	priority   int32
	rules      [][]*nl.RtAttr // the expressions of each rule
}

// table adds the table of our name with these chains, and with user data that the kernel keeps.
// With anew it replaces a table that exists; without, such a table makes the batch fail with
// EEXIST.
func (b *batch) table(anew bool, chains []hookedChain, userdata []byte) {
	const create = unix.NLM_F_CREATE
	name := nl.NewRtAttr(unix.NFTA_TABLE_NAME, nl.ZeroTerminated(tableName))
	if anew {
		b.change(unix.NFT_MSG_NEWTABLE, create, name)
		b.change(unix.NFT_MSG_DELTABLE, 0, name)
	}
	b.change(unix.NFT_MSG_NEWTABLE, create|unix.NLM_F_EXCL, name, nl.NewRtAttr(nftaTableUserdata, userdata))
	for _, c := range chains {
		hook := nl.NewRtAttr(unix.NFTA_CHAIN_HOOK|unix.NLA_F_NESTED, nil)
		hook.AddRtAttr(unix.NFTA_HOOK_HOOKNUM, nl32(c.hook))
		hook.AddRtAttr(unix.NFTA_HOOK_PRIORITY, nl32(uint32(c.priority)))
		b.change(unix.NFT_MSG_NEWCHAIN, create, tableAttr(unix.NFTA_CHAIN_TABLE),
			nl.NewRtAttr(unix.NFTA_CHAIN_NAME, nl.ZeroTerminated(c.name)), hook,
			nl.NewRtAttr(unix.NFTA_CHAIN_TYPE, nl.ZeroTerminated(c.kind)))
		for _, rule := range c.rules {
			list := nl.NewRtAttr(unix.NFTA_RULE_EXPRESSIONS|unix.NLA_F_NESTED, nil)
			for _, e := range rule {
				list.AddChild(e)
			}
			b.change(unix.NFT_MSG_NEWRULE, create|unix.NLM_F_APPEND, tableAttr(unix.NFTA_RULE_TABLE),
				nl.NewRtAttr(unix.NFTA_RULE_CHAIN, nl.ZeroTerminated(c.name)), list)
		}
	}
}

// change adds a message that the kernel acknowledges.
func (b *batch) change(message, flags int, attrs ...*nl.RtAttr) {
	b.message(unix.NFNL_SUBSYS_NFTABLES<<8|message, flags|unix.NLM_F_ACK, 0, attrs...)
	b.unacknowledged++
}

// The expressions of rules follow linux/netfilter/nf_tables.h. Each test loads a value into
// the first register and compares it.

func expression(name string, attrs ...*nl.RtAttr) *nl.RtAttr {
	e := nl.NewRtAttr(unix.NFTA_LIST_ELEM|unix.NLA_F_NESTED, nil)
	e.AddRtAttr(unix.NFTA_EXPR_NAME, nl.ZeroTerminated(name))
	data := e.AddRtAttr(unix.NFTA_EXPR_DATA|unix.NLA_F_NESTED, nil)
	for _, a := range attrs {
		data.AddChild(a)
	}
	return e
}

func nl32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

func attr32(kind int, v uint32) *nl.RtAttr { return nl.NewRtAttr(kind, nl32(v)) }

func register(kind int) *nl.RtAttr { return attr32(kind, unix.NFT_REG_1) }

func compare(op uint32, value []byte) *nl.RtAttr {
	data := nl.NewRtAttr(unix.NFTA_CMP_DATA|unix.NLA_F_NESTED, nil)
	data.AddRtAttr(unix.NFTA_DATA_VALUE, value)
	return expression("cmp", register(unix.NFTA_CMP_SREG), attr32(unix.NFTA_CMP_OP, op), data)
}

func meta(key uint32) *nl.RtAttr {
	return expression("meta", attr32(unix.NFTA_META_KEY, key), register(unix.NFTA_META_DREG))
}

func payload(base, offset uint32, size int) *nl.RtAttr {
	return expression("payload", register(unix.NFTA_PAYLOAD_DREG), attr32(unix.NFTA_PAYLOAD_BASE, base),
		attr32(unix.NFTA_PAYLOAD_OFFSET, offset), attr32(unix.NFTA_PAYLOAD_LEN, uint32(size)))
}

// ip4Field tests the first bytes of a field of the IPv4 header.
func ip4Field(offset uint32, value []byte) []*nl.RtAttr {
	return []*nl.RtAttr{
		meta(unix.NFT_META_NFPROTO), compare(unix.NFT_CMP_EQ, []byte{unix.NFPROTO_IPV4}),
		payload(unix.NFT_PAYLOAD_NETWORK_HEADER, offset, len(value)), compare(unix.NFT_CMP_EQ, value),
	}
}

// The offsets of the addresses in the IPv4 header, for ip4Field.
const (
	ip4Source      = 12
	ip4Destination = 16
)

// toPort tests the transport protocol and the destination port.
func toPort(proto string, port uint16) []*nl.RtAttr {
	return []*nl.RtAttr{
		meta(unix.NFT_META_L4PROTO), compare(unix.NFT_CMP_EQ, []byte{protoNumbers[proto]}),
		payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2), compare(unix.NFT_CMP_EQ, binary.BigEndian.AppendUint16(nil, port)),
	}
}

// translate replaces the source (NFT_NAT_SNAT) or the destination (NFT_NAT_DNAT).
func translate(kind uint32, to netip.Addr) []*nl.RtAttr {
	data := nl.NewRtAttr(unix.NFTA_IMMEDIATE_DATA|unix.NLA_F_NESTED, nil)
	data.AddRtAttr(unix.NFTA_DATA_VALUE, to.AsSlice())
	return []*nl.RtAttr{
		expression("immediate", register(unix.NFTA_IMMEDIATE_DREG), data),
		expression("nat", attr32(unix.NFTA_NAT_TYPE, kind), attr32(unix.NFTA_NAT_FAMILY, unix.NFPROTO_IPV4), register(unix.NFTA_NAT_REG_ADDR_MIN)),
	}
}

// rejectUnreachable answers with ICMP port unreachable, which a socket reports as refused.
func rejectUnreachable() *nl.RtAttr {
	return expression("reject", attr32(unix.NFTA_REJECT_TYPE, unix.NFT_REJECT_ICMPX_UNREACH),
		nl.NewRtAttr(unix.NFTA_REJECT_ICMP_CODE, []byte{unix.NFT_REJECT_ICMPX_PORT_UNREACH}))
}

// dropPacket ends the rule with the verdict drop.
func dropPacket() *nl.RtAttr {
	data := nl.NewRtAttr(unix.NFTA_IMMEDIATE_DATA|unix.NLA_F_NESTED, nil)
	data.AddRtAttr(unix.NFTA_DATA_VERDICT|unix.NLA_F_NESTED, nil).AddRtAttr(unix.NFTA_VERDICT_CODE, nl32(0)) // NF_DROP
	return expression("immediate", attr32(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_VERDICT), data)
}
