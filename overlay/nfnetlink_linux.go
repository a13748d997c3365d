package overlay

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

const tableName = "tombolo"

// nlaTypeMask removes the flags from an attribute's type (linux/netlink.h).
const nlaTypeMask = 0x3fff

// generation returns the number of changes to nftables in this network namespace, by any
// program. As long as it stays the same, no table has changed.
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

// rulesDigest returns a digest of our table's rules in the kernel. It does not cover the
// elements of sets, which change without a change of rules.
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

// setContents reads the elements of every set of our table.
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
		switch a.kind {
		case unix.NFTA_DATA_VALUE:
			return string(a.value)
		case unix.NFTA_DATA_VERDICT:
			return verdictChain(a.value)
		}
	}
	return ""
}

// verdictChain returns the chain that a verdict leads to.
func verdictChain(verdict []byte) string {
	for _, a := range attributes(verdict) {
		if a.kind == unix.NFTA_VERDICT_CHAIN {
			return strings.TrimRight(string(a.value), "\x00")
		}
	}
	return ""
}

const nfgenLen = 4 // struct nfgenmsg

// tableAttr returns the attribute that names our table. Each kind of message has its own
// constant for it.
func tableAttr(kind uint16) *nl.RtAttr { //nolint:unparam // the constants happen to have the same value
	return nl.NewRtAttr(int(kind), nl.ZeroTerminated(tableName))
}

func askNftables(message, flags int, attrs ...*nl.RtAttr) ([][]byte, error) {
	return askFamily(unix.NFPROTO_INET, message, flags, attrs...)
}

func askFamily(family uint8, message, flags int, attrs ...*nl.RtAttr) ([][]byte, error) {
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|message, flags)
	req.AddData(&nl.Nfgenmsg{NfgenFamily: family, Version: nl.NFNETLINK_V0})
	for _, a := range attrs {
		req.AddData(a)
	}
	return req.Execute(unix.NETLINK_NETFILTER, 0)
}

type attribute struct {
	kind  uint16
	value []byte
}

// attributes splits a sequence of netlink attributes. It stops at the first malformed one.
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
