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
// restart of nftables.service) removes our table, and the kernel would then forward
// everything. So each of our interfaces has a filter of traffic control, which such a flush
// does not touch: it transmits IP packets only with passMark, which our table sets when it
// accepts a packet (chain pass). Without the table nothing enters a container or the tunnel,
// so no connection can be opened, and established ones wait until the table is back.
//
// The filter is a BPF program of eight instructions. It needs no process of ours, no map and
// no pinned file: it lives as long as its interface.

const guardName = "tombolo"

// ErrNoGuard means that the kernel cannot guard interfaces with traffic control and BPF.
var ErrNoGuard = errors.New("kernel cannot filter what an interface transmits")

// instruction is struct bpf_insn of linux/bpf.h.
type instruction struct {
	code      uint8
	registers uint8 // destination in the lower half, source in the upper
	offset    int16
	value     int32
}

var etherTypes = [2]uint16{unix.ETH_P_IP, unix.ETH_P_IPV6}

// guardProgram returns -1 (continue with the next filter) or 2 (drop the packet).
func guardProgram() []instruction {
	return []instruction{
		{unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W, 0x12, 8, 0}, // r2 = skb->mark
		{0xb7, 0, 0, -1}, // r0 = TC_ACT_UNSPEC
		{unix.BPF_JMP | unix.BPF_JSET, 2, 4, passMark},                   // if r2 & passMark: return r0
		{unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W, 0x12, 16, 0},          // r2 = skb->protocol
		{unix.BPF_JMP | unix.BPF_JEQ, 2, 1, networkOrder(etherTypes[0])}, // if r2 == IPv4: drop
		{unix.BPF_JMP | unix.BPF_JNE, 2, 1, networkOrder(etherTypes[1])}, // if r2 != IPv6: return r0
		{0xb7, 0, 0, 2},                // r0 = TC_ACT_SHOT
		{unix.BPF_JMP | 0x90, 0, 0, 0}, // return r0
	}
}

func networkOrder(v uint16) int32 {
	return int32(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v)))
}

// loadGuard gives the program to the kernel. The file descriptor stays open: every interface
// refers to the same program.
var loadGuard = untilSuccess(loadGuardProgram)

func loadGuardProgram() (int, error) {
	program, license := guardProgram(), []byte("GPL\x00")
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
	fd, err := bpfLoad(unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	if err != nil {
		return 0, fmt.Errorf("%w: load a BPF program: %w", ErrNoGuard, err)
	}
	return fd, nil
}

// guard makes a device of ours transmit only what our table has accepted, unless it does already.
func (m *match) guard(link netlink.Link) error {
	if have, err := dump(func() ([]netlink.Filter, error) { return netlink.FilterList(link, netlink.HANDLE_MIN_EGRESS) }); err == nil && slices.ContainsFunc(have, isGuard) {
		return nil
	}
	m.done.add(KindFilter, link.Attrs().Name)
	return addGuard(link)
}

func isGuard(f netlink.Filter) bool {
	bpf, ok := f.(*netlink.BpfFilter)
	return ok && strings.HasPrefix(bpf.Name, guardName)
}

func addGuard(link netlink.Link) error {
	program, err := loadGuard()
	if err != nil {
		return err
	}
	attrs := netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Parent: netlink.HANDLE_CLSACT, Handle: netlink.MakeHandle(0xffff, 0)}
	err = netlink.QdiscAdd(&netlink.GenericQdisc{QdiscAttrs: attrs, QdiscType: "clsact"})
	if err == nil || errors.Is(err, unix.EEXIST) {
		err = netlink.FilterReplace(&netlink.BpfFilter{
			FilterAttrs: netlink.FilterAttrs{
				LinkIndex: attrs.LinkIndex, Parent: netlink.HANDLE_MIN_EGRESS, Handle: 1, Priority: 1, Protocol: unix.ETH_P_ALL,
			},
			Fd: program, Name: guardName, DirectAction: true,
		})
	}
	if err != nil {
		return fmt.Errorf("%w: guard %s (try: modprobe -a sch_ingress cls_bpf): %w", ErrNoGuard, link.Attrs().Name, err)
	}
	return nil
}
