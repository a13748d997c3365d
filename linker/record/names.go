package record

import (
	"fmt"
	"net/netip"
	"strings"
)

// The sizes of RFC 1035 section 2.3.4, in bytes, of a label and of a name in text form
// without its trailing dot.
const (
	MaxLabel = 63
	MaxName  = 253
)

// CheckLabel returns an error if s cannot be a label of a DNS name. It accepts the labels
// of host names (RFC 1123) in either case. It also accepts '_', except as the first
// character, which is reserved for SRV names: Compose permits '_' in service names, and
// resolvers accept it.
func CheckLabel(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("empty DNS label")
	case len(s) > MaxLabel:
		return fmt.Errorf("%.16q… has %d bytes: a DNS label has at most %d", s, len(s), MaxLabel)
	case s[0] == '-' || s[len(s)-1] == '-':
		return fmt.Errorf("%q starts or ends with '-': not a DNS label", s)
	case s[0] == '_':
		return fmt.Errorf("%q starts with '_', which is reserved for SRV names", s)
	}
	for _, c := range []byte(s) {
		if !labelByte(c) {
			return fmt.Errorf("%q has %q: a DNS label holds letters, digits, '-' and '_'", s, c)
		}
	}
	return nil
}

// CheckName returns an error if s cannot be a DNS name of one or more labels, such as a
// network alias or a hostname.
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

// Normal returns the spelling under which a name is stored and looked up: in lower case
// and without a trailing dot.
func Normal(name string) string {
	return strings.Map(lower, strings.TrimSuffix(name, "."))
}

// HostName makes a Host.Name, which is a DNS label, of the hostname of a machine or of a
// Mesos agent: the first label of a hostname, in lower case, or an IP address with dashes.
// Linker and framework both use it, so that they have the same name for a host.
func HostName(s string) (string, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		dashed := strings.NewReplacer(".", "-", ":", "-").Replace(addr.WithZone("").String())
		return strings.Trim(dashed, "-"), nil
	}
	first, _, _ := strings.Cut(Normal(s), ".")
	if err := CheckLabel(first); err != nil {
		return "", fmt.Errorf("host name %.64q: %w", s, err)
	}
	return first, nil
}

func labelByte(c byte) bool {
	return c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// lower changes only ASCII letters, because DNS ignores the case of only these (RFC 4343).
func lower(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}
