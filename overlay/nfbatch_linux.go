package overlay

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// maxMessage is how many elements go into one message of a batch: an attribute's
// length has 16 bits.
const maxMessage = 500

// commitElements deletes and adds elements of our table in one transaction. It
// speaks netlink itself: a container's start waits for it, and running nft takes
// four times as long as all the rest.
func commitElements(gone, come contents) error {
	var b batch
	b.open()
	b.elements(unix.NFT_MSG_DELSETELEM, 0, gone)
	b.elements(unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE, come)
	b.close()
	if b.waiting == 0 {
		return nil
	}
	if err := b.send(); err != nil {
		return fmt.Errorf("change nftables sets: %w", err)
	}
	return nil
}

// batch is a run of nfnetlink messages that the kernel takes as one transaction.
type batch struct {
	bytes.Buffer
	seq     uint32
	waiting int // for so many acknowledgements
}

func (b *batch) open()  { b.message(unix.NFNL_MSG_BATCH_BEGIN, 0, unix.NFNL_SUBSYS_NFTABLES) }
func (b *batch) close() { b.message(unix.NFNL_MSG_BATCH_END, 0, unix.NFNL_SUBSYS_NFTABLES) }

func (b *batch) elements(message, flags int, c contents) {
	for _, set := range slices.Sorted(maps.Keys(c)) {
		for keys := range slices.Chunk(slices.Sorted(maps.Keys(c[set])), maxMessage) {
			list := nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_ELEMENTS|unix.NLA_F_NESTED, nil)
			for _, key := range keys {
				item := list.AddRtAttr(unix.NFTA_LIST_ELEM|unix.NLA_F_NESTED, nil)
				addData(item, unix.NFTA_SET_ELEM_KEY, key)
				if value := c[set][key]; value != "" && message == unix.NFT_MSG_NEWSETELEM {
					addData(item, unix.NFTA_SET_ELEM_DATA, value)
				}
			}
			b.message(unix.NFNL_SUBSYS_NFTABLES<<8|message, flags|unix.NLM_F_ACK, 0, tableAttr(unix.NFTA_SET_ELEM_LIST_TABLE),
				nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_SET, nl.ZeroTerminated(set)), list)
			b.waiting++
		}
	}
}

func addData(item *nl.RtAttr, kind int, value string) {
	item.AddRtAttr(kind|unix.NLA_F_NESTED, nil).AddRtAttr(unix.NFTA_DATA_VALUE, []byte(value))
}

func (b *batch) message(kind, flags int, resource uint16, attrs ...*nl.RtAttr) {
	family := uint8(unix.NFPROTO_INET)
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

// send waits for the kernel's word on every message.
func (b *batch) send() error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}); err != nil {
		return err
	}
	if err := unix.Sendto(fd, b.Bytes(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 1<<16)
	for b.waiting > 0 {
		n, _, err := unix.Recvfrom(fd, answer, 0)
		if err != nil {
			return err
		}
		if err := b.acknowledge(answer[:n]); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) acknowledge(answer []byte) error {
	messages, err := syscall.ParseNetlinkMessage(answer)
	if err != nil {
		return err
	}
	for _, m := range messages {
		if m.Header.Type != unix.NLMSG_ERROR || len(m.Data) < 4 {
			continue
		}
		if errno := -int32(binary.NativeEndian.Uint32(m.Data)); errno != 0 {
			return unix.Errno(errno)
		}
		b.waiting--
	}
	return nil
}
