package overlay

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

const tableName = "tombolo"

// nlaTypeMask takes the flags off an attribute's type (linux/netlink.h).
const nlaTypeMask = 0x3fff

// generation is nftables' count of committed changes in this network namespace,
// whoever made them: while it stands still, so do all tables.
func generation() (uint32, error) {
	messages, err := askNftables(unix.NFT_MSG_GETGEN, 0)
	if err != nil {
		return 0, fmt.Errorf("read nftables generation: %w", err)
	}
	for _, m := range messages {
		for _, a := range attributes(m[nfgenLen:]) {
			if a.kind == unix.NFTA_GEN_ID && len(a.value) >= 4 {
				return binary.BigEndian.Uint32(a.value), nil
			}
		}
	}
	return 0, fmt.Errorf("read nftables generation: no answer")
}

// rulesDigest is the digest of our table's rules as the kernel holds them.
// It does not cover sets, whose contents change.
func rulesDigest() ([sha256.Size]byte, error) {
	messages, err := askNftables(unix.NFT_MSG_GETRULE, unix.NLM_F_DUMP, tableAttr(unix.NFTA_RULE_TABLE))
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("read nftables rules: %w", err)
	}
	h := sha256.New()
	for _, m := range messages {
		h.Write(m[nfgenLen:])
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// setContents reads every set of our table.
func setContents() (contents, error) {
	c := contents{}
	for _, s := range setSpecs {
		messages, err := askNftables(unix.NFT_MSG_GETSETELEM, unix.NLM_F_DUMP, tableAttr(unix.NFTA_SET_ELEM_LIST_TABLE),
			nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_SET, nl.ZeroTerminated(s.name)))
		if err != nil {
			return nil, fmt.Errorf("read nftables set %s: %w", s.name, err)
		}
		for _, m := range messages {
			addElements(c, s.name, m[nfgenLen:])
		}
	}
	return c, nil
}

func addElements(c contents, set string, message []byte) {
	for _, list := range attributes(message) {
		if list.kind != unix.NFTA_SET_ELEM_LIST_ELEMENTS {
			continue
		}
		for _, item := range attributes(list.value) {
			var key, value string
			for _, field := range attributes(item.value) {
				switch field.kind {
				case unix.NFTA_SET_ELEM_KEY:
					key = dataValue(field.value)
				case unix.NFTA_SET_ELEM_DATA:
					value = dataValue(field.value)
				}
			}
			c.add(set, key, value)
		}
	}
}

func dataValue(data []byte) string {
	for _, a := range attributes(data) {
		if a.kind == unix.NFTA_DATA_VALUE {
			return string(a.value)
		}
	}
	return ""
}

const nfgenLen = 4 // struct nfgenmsg

// tableAttr names our table by the attribute that a kind of message has for it.
func tableAttr(kind uint16) *nl.RtAttr { //nolint:unparam // each has the number 1, by accident
	return nl.NewRtAttr(int(kind), nl.ZeroTerminated(tableName))
}

func askNftables(message, flags int, attrs ...*nl.RtAttr) ([][]byte, error) {
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|message, flags)
	req.AddData(&nl.Nfgenmsg{NfgenFamily: unix.NFPROTO_INET, Version: nl.NFNETLINK_V0})
	for _, a := range attrs {
		req.AddData(a)
	}
	return req.Execute(unix.NETLINK_NETFILTER, 0)
}

type attribute struct {
	kind  uint16
	value []byte
}

// attributes splits a run of netlink attributes; it stops at the first broken one.
func attributes(b []byte) []attribute {
	var out []attribute
	for len(b) >= unix.SizeofNlAttr {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofNlAttr || size > len(b) {
			break
		}
		out = append(out, attribute{binary.NativeEndian.Uint16(b[2:]) & nlaTypeMask, b[unix.SizeofNlAttr:size]})
		b = b[min((size+3)&^3, len(b)):]
	}
	return out
}
