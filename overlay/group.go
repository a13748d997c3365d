package overlay

import (
	"cmp"
	"hash/fnv"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// Group is a set of senders, on any host, and the endpoints of this host that all of them may
// reach, such as the members of a network. The number of elements in the kernel grows with
// the members of groups and not with the pairs of senders and receivers.
type Group struct {
	Name  string       // unique, and the same while members come and go
	From  []netip.Addr // of both families
	To    []netip.Addr // of both families
	Ports []HostPort   // none means every port and protocol
}

// A receiver may belong to several groups. Receivers that belong to the same groups are a
// class, which has a number. A packet may pass if its sender is in the set of the receiver's
// class: two look-ups, however many groups there are.

// permit adds the elements for groups.
func (c contents) permit(groups []Group) {
	groups = slices.Clone(groups)
	slices.SortFunc(groups, func(a, b Group) int { return cmp.Compare(a.Name, b.Name) })
	in := map[netip.Addr][]int{} // receiver -> the groups that it belongs to
	for i, g := range groups {
		for _, to := range g.To {
			if to.IsValid() {
				in[to] = append(in[to], i)
			}
		}
	}
	receivers := map[string][]netip.Addr{} // by the names of their groups
	members := map[string][]int{}
	for to, of := range in {
		names := namesOf(groups, of)
		receivers[names], members[names] = append(receivers[names], to), of
	}
	numbers := map[uint32]bool{}
	for _, names := range slices.Sorted(maps.Keys(receivers)) {
		class := markField(classNumber(names, numbers))
		for _, to := range receivers[names] {
			c.add(family("class", to), addrField(to), class)
		}
		for _, i := range members[names] {
			c.admit(groups[i], class)
		}
	}
}

// admit adds the senders of a group to a class.
func (c contents) admit(g Group, class string) {
	for _, from := range g.From {
		if !from.IsValid() {
			continue
		}
		key := addrField(from) + class
		if len(g.Ports) == 0 {
			c.add(family("senders", from), key, "")
		}
		for _, p := range g.Ports {
			if protoNumbers[p.Proto] != 0 {
				c.add(family("ports", from), key+protoField(p.Proto)+portField(p.Port), "")
			}
		}
	}
}

func namesOf(groups []Group, of []int) string {
	var names strings.Builder
	for _, i := range of {
		names.WriteString(groups[i].Name)
		names.WriteByte(0)
	}
	return names.String()
}

// classNumber derives a number from the names of groups, so that it stays the same while other
// classes come and go. No two classes have one number, and none has 0.
func classNumber(names string, taken map[uint32]bool) uint32 {
	h := fnv.New32a()
	h.Write([]byte(names))
	n := h.Sum32()
	for n == 0 || taken[n] {
		n++
	}
	taken[n] = true
	return n
}
