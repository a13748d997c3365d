package overlay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The policy fails closed. A flush of nftables by another program (`nft flush ruleset`, a
// restart of nftables.service) removes our tables, and the kernel would then forward and accept
// everything. So each of our interfaces has filters of traffic control, which such a flush does
// not touch:
//
//   - What the interface transmits needs passMark, which our table sets when it accepts a packet
//     (chain pass). Without the table nothing enters a container or the tunnel.
//   - What arrives on the interface gets the type "for another host", which the kernel drops.
//     Two tables of ours make that right again: the gate of the interface (gate_linux.go) and then
//     chain source. Without both nothing leaves a container or the tunnel, not even a datagram
//     that needs no answer.
//
// No connection can be opened then, and established ones wait until the tables are back.
//
// The filters are BPF programs of a few instructions. They need no process of ours, no map and
// no pinned file: they live as long as their interface.

const guardName = "tombolo"

// ErrNoGuard means that the kernel cannot guard interfaces with traffic control, BPF and nftables.
var ErrNoGuard = errors.New("kernel cannot filter the packets of an interface")

// instruction is struct bpf_insn of linux/bpf.h.
type instruction struct {
	code      uint8
	registers uint8 // destination in the lower half, source in the upper
	offset    int16
	value     int32
}

// Offsets in struct __sk_buff, registers and values of linux/bpf.h and linux/pkt_cls.h.
const (
	skbType, skbMark, skbProtocol = 4, 8, 16
	actUnspec, actShot            = -1, 2
	setR0, setR2                  = 0xb7, 0xb7 // BPF_ALU64 | BPF_MOV | BPF_K
	callHelper                    = unix.BPF_JMP | 0x80
	returnR0                      = unix.BPF_JMP | 0x90
	skbChangeType                 = 32 // BPF_FUNC_skb_change_type
	pktTypeOtherHost              = 3  // PACKET_OTHERHOST of linux/if_packet.h
)

// direction is a half of the guard of an interface.
type direction struct {
	parent  uint32 // the hook of traffic control
	program []instruction
}

// The programs return actUnspec (continue with the next filter) or actShot (drop the packet).
var directions = []direction{
	{netlink.HANDLE_MIN_EGRESS, []instruction{
		{unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W, 0x12, skbMark, 0}, // r2 = skb->mark
		{setR0, 0, 0, actUnspec},
		{unix.BPF_JMP | unix.BPF_JSET, 2, 4, passMark}, // if r2 & passMark: return r0
		{unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W, 0x12, skbProtocol, 0},
		{unix.BPF_JMP | unix.BPF_JEQ, 2, 1, networkOrder(unix.ETH_P_IP)},   // if r2 == IPv4: drop
		{unix.BPF_JMP | unix.BPF_JNE, 2, 1, networkOrder(unix.ETH_P_IPV6)}, // if r2 != IPv6: return r0
		{setR0, 0, 0, actShot},
		{returnR0, 0, 0, 0},
	}},
	// Not only IP is stopped: the kernel looks for it within tags of VLANs too, after this filter.
	{netlink.HANDLE_MIN_INGRESS, []instruction{
		{unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W, 0x12, skbProtocol, 0},  // r2 = skb->protocol
		{unix.BPF_JMP | unix.BPF_JEQ, 2, 7, networkOrder(unix.ETH_P_ARP)}, // if r2 == ARP: return actUnspec
		{unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W, 0x12, skbType, 0},
		{unix.BPF_JMP | unix.BPF_JEQ, 2, 3, pktTypeOtherHost}, // if r2 is so already: drop
		{setR2, 2, 0, pktTypeOtherHost},
		{callHelper, 0, 0, skbChangeType},
		{unix.BPF_JMP | unix.BPF_JEQ, 0, 2, 0}, // if there was no error: return actUnspec
		{setR0, 0, 0, actShot},
		{returnR0, 0, 0, 0},
		{setR0, 0, 0, actUnspec},
		{returnR0, 0, 0, 0},
	}},
}

func networkOrder(v uint16) int32 {
	return int32(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v)))
}

// loadGuard gives the programs to the kernel. The file descriptors stay open: every interface
// refers to the same programs.
var loadGuard = untilSuccess(func() (fds []int, err error) {
	for _, d := range directions {
		fd, err := loadProgram(d.program)
		if err != nil {
			return nil, fmt.Errorf("%w: load a BPF program: %w", ErrNoGuard, err)
		}
		fds = append(fds, fd)
	}
	return fds, nil
})

func loadProgram(program []instruction) (int, error) {
	license := []byte("GPL\x00")
	attr := struct {
		kind, count           uint32
		instructions, license uint64
		level, size           uint32
		log                   uint64
		version, flags        uint32
		name                  [16]byte
	}{
		kind: unix.BPF_PROG_TYPE_SCHED_CLS, count: uint32(len(program)), name: [16]byte{'t', 'o', 'm', 'b', 'o', 'l', 'o'},
		instructions: uint64(uintptr(unsafe.Pointer(&program[0]))), license: uint64(uintptr(unsafe.Pointer(&license[0]))),
	}
	defer runtime.KeepAlive(program)
	defer runtime.KeepAlive(license)
	return bpfLoad(unsafe.Pointer(&attr), unsafe.Sizeof(attr))
}

// guard makes a device of ours transmit and take only what our tables accept, unless it does
// already. The gate comes first, so that a device that is in use loses no packet.
func (m *match) guard(link netlink.Link) error {
	if err := m.openGate(link.Attrs().Name); err != nil {
		return err
	}
	for _, d := range directions {
		have, err := dump(func() ([]netlink.Filter, error) { return netlink.FilterList(link, d.parent) })
		if err != nil || !slices.ContainsFunc(have, isGuard) {
			m.done.add(KindFilter, link.Attrs().Name)
			return addGuard(link)
		}
	}
	return nil
}

func isGuard(f netlink.Filter) bool {
	bpf, ok := f.(*netlink.BpfFilter)
	return ok && strings.HasPrefix(bpf.Name, guardName)
}

func addGuard(link netlink.Link) error {
	programs, err := loadGuard()
	if err != nil {
		return err
	}
	attrs := netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Parent: netlink.HANDLE_CLSACT, Handle: netlink.MakeHandle(0xffff, 0)}
	err = netlink.QdiscAdd(&netlink.GenericQdisc{QdiscAttrs: attrs, QdiscType: "clsact"})
	if errors.Is(err, unix.EEXIST) {
		err = nil
	}
	for i, d := range directions {
		if err == nil {
			err = netlink.FilterReplace(&netlink.BpfFilter{
				FilterAttrs: netlink.FilterAttrs{
					LinkIndex: attrs.LinkIndex, Parent: d.parent, Handle: 1, Priority: 1, Protocol: unix.ETH_P_ALL,
				},
				Fd: programs[i], Name: guardName, DirectAction: true,
			})
		}
	}
	if err != nil {
		return fmt.Errorf("%w: guard %s (try: modprobe -a sch_ingress cls_bpf): %w", ErrNoGuard, link.Attrs().Name, err)
	}
	return nil
}
