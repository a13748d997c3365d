package overlay

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// maxMessage is the number of elements in one message of a batch. The length of the message's
// attribute has only 16 bits.
const maxMessage = 500

// commitElements removes and adds elements of our table in one transaction. It uses netlink
// directly because the start of a container waits for it, and running nft takes four times as
// long as the rest of the start.
func commitElements(remove, add contents) error {
	var b batch
	b.begin()
	b.elements(unix.NFT_MSG_DELSETELEM, 0, remove)
	b.elements(unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE, add)
	b.end()
	if b.unacknowledged == 0 {
		return nil
	}
	if err := b.send(); err != nil {
		return fmt.Errorf("change nftables sets: %w", err)
	}
	return nil
}

// batch is a sequence of nfnetlink messages that the kernel applies as one transaction.
type batch struct {
	bytes.Buffer
	family         uint8 // of the tables, NFPROTO_...; zero means inet
	seq            uint32
	unacknowledged int // number of messages that the kernel has yet to acknowledge
}

func (b *batch) begin() { b.message(unix.NFNL_MSG_BATCH_BEGIN, 0, unix.NFNL_SUBSYS_NFTABLES) }

// beginAt begins a batch that the kernel refuses with ERESTART if the generation of nftables is not
// gen.
func (b *batch) beginAt(gen uint32) {
	const batchGeneration = 1 // NFNL_BATCH_GENID of linux/netfilter/nfnetlink.h
	b.message(unix.NFNL_MSG_BATCH_BEGIN, 0, unix.NFNL_SUBSYS_NFTABLES, attr32(batchGeneration, gen))
}

func (b *batch) end() { b.message(unix.NFNL_MSG_BATCH_END, 0, unix.NFNL_SUBSYS_NFTABLES) }

func (b *batch) elements(message, flags int, c contents) {
	for _, set := range slices.Sorted(maps.Keys(c)) {
		for keys := range slices.Chunk(slices.Sorted(maps.Keys(c[set])), maxMessage) {
			list := nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_ELEMENTS|unix.NLA_F_NESTED, nil)
			for _, key := range keys {
				item := list.AddRtAttr(unix.NFTA_LIST_ELEM|unix.NLA_F_NESTED, nil)
				addData(item, unix.NFTA_SET_ELEM_KEY, key)
				if value := c[set][key]; value != "" && message == unix.NFT_MSG_NEWSETELEM {
					addValue(item, set, value)
				}
			}
			b.message(unix.NFNL_SUBSYS_NFTABLES<<8|message, flags|unix.NLM_F_ACK, 0, tableAttr(unix.NFTA_SET_ELEM_LIST_TABLE),
				nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_SET, nl.ZeroTerminated(set)), list)
			b.unacknowledged++
		}
	}
}

func addData(item *nl.RtAttr, kind int, value string) {
	item.AddRtAttr(kind|unix.NLA_F_NESTED, nil).AddRtAttr(unix.NFTA_DATA_VALUE, []byte(value))
}

// addValue adds the value of an element of a map.
func addValue(item *nl.RtAttr, set, value string) {
	if !isVerdictMap(set) {
		addData(item, unix.NFTA_SET_ELEM_DATA, value)
		return
	}
	verdict := item.AddRtAttr(unix.NFTA_SET_ELEM_DATA|unix.NLA_F_NESTED, nil).AddRtAttr(unix.NFTA_DATA_VERDICT|unix.NLA_F_NESTED, nil)
	code := int32(unix.NFT_GOTO)
	verdict.AddRtAttr(unix.NFTA_VERDICT_CODE, binary.BigEndian.AppendUint32(nil, uint32(code)))
	verdict.AddRtAttr(unix.NFTA_VERDICT_CHAIN, nl.ZeroTerminated(value))
}

func (b *batch) message(kind, flags int, resource uint16, attrs ...*nl.RtAttr) {
	family := cmp.Or(b.family, unix.NFPROTO_INET)
	if resource != 0 {
		family = unix.AF_UNSPEC
	}
	req := nl.NetlinkRequest{NlMsghdr: unix.NlMsghdr{
		Len: unix.SizeofNlMsghdr, Type: uint16(kind), Flags: uint16(unix.NLM_F_REQUEST | flags), Seq: b.seq,
	}}
	b.seq++
	req.AddData(&nl.Nfgenmsg{NfgenFamily: family, Version: nl.NFNETLINK_V0, ResId: resource<<8 | resource>>8})
	for _, a := range attrs {
		req.AddData(a)
	}
	b.Write(req.Serialize())
}

// send returns when the kernel has acknowledged every message, or the first error.
func (b *batch) send() error {
	socket, err := nl.Subscribe(unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer socket.Close()
	if err := socket.SetReceiveTimeout(&unix.Timeval{Sec: 5}); err != nil {
		return err
	}
	if err := unix.Sendto(socket.GetFd(), b.Bytes(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	for b.unacknowledged > 0 {
		answers, _, err := socket.Receive()
		if err != nil {
			return err
		}
		for _, m := range answers {
			if m.Header.Type != unix.NLMSG_ERROR || len(m.Data) < 4 {
				continue
			}
			if errno := -int32(binary.NativeEndian.Uint32(m.Data)); errno != 0 {
				return unix.Errno(errno)
			}
			b.unacknowledged--
		}
	}
	return nil
}
