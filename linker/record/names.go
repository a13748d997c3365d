package record

import (
	"fmt"
	"net/netip"
	"strings"
)

// The sizes of RFC 1035 section 2.3.4: a label, and a name in text form without
// its trailing dot.
const (
	MaxLabel = 63
	MaxName  = 253
)

// CheckLabel reports why s cannot be one label of a DNS name. It takes RFC 1123
// host labels in either case, and '_' anywhere but first, because Compose takes
// it in service names and resolvers carry it; a leading '_' is kept for SRV.
func CheckLabel(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("empty DNS label")
	case len(s) > MaxLabel:
		return fmt.Errorf("%.16q… has %d bytes: a DNS label has at most %d", s, len(s), MaxLabel)
	case s[0] == '-' || s[len(s)-1] == '-':
		return fmt.Errorf("%q starts or ends with '-': not a DNS label", s)
	case s[0] == '_':
		return fmt.Errorf("%q starts with '_', which is kept for SRV names", s)
	}
	for _, c := range []byte(s) {
		if !labelByte(c) {
			return fmt.Errorf("%q has %q: a DNS label holds letters, digits, '-' and '_'", s, c)
		}
	}
	return nil
}

// CheckName reports why s cannot be a DNS name of one or more labels, such as a
// network alias or a hostname may be.
func CheckName(s string) error {
	s = strings.TrimSuffix(s, ".")
	if len(s) > MaxName {
		return fmt.Errorf("%.16q… has %d bytes: a DNS name has at most %d", s, len(s), MaxName)
	}
	for label := range strings.SplitSeq(s, ".") {
		if err := CheckLabel(label); err != nil {
			if label == s {
				return err
			}
			return fmt.Errorf("name %.64q: %w", s, err)
		}
	}
	return nil
}

// Normal is the one spelling under which a name is stored and looked up: lower
// case, without a trailing dot.
func Normal(name string) string {
	return lower(strings.TrimSuffix(name, "."))
}

// HostName turns what a machine or a Mesos agent calls itself into Host.Name, a
// DNS label: the first label of a host name, in lower case, or an IP address
// with dashes. Linker and framework both use it, so that they mean the same host.
func HostName(s string) (string, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return strings.Trim(strings.Map(dashed, addr.WithZone("").String()), "-"), nil
	}
	first, _, _ := strings.Cut(Normal(s), ".")
	if err := CheckLabel(first); err != nil {
		return "", fmt.Errorf("host name %.64q: %w", s, err)
	}
	return first, nil
}

func dashed(r rune) rune {
	if r == '.' || r == ':' {
		return '-'
	}
	return r
}

func labelByte(c byte) bool {
	return c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// lower maps ASCII only: DNS compares names so (RFC 4343), whatever else
// Unicode knows of case.
func lower(s string) string {
	for i := range len(s) {
		if c := s[i]; 'A' <= c && c <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
