package reach

import (
	"slices"
	"strconv"
	"strings"

	"tombolo/linker/record"
)

// instances answers the names of instances that a view does not list (tasks.db, 2.db, db-2,
// shop-db-2, shop_db_2): there are several for each instance, and hardly any is ever asked
// for. It implements record.Instances and is safe for concurrent use.
type instances struct {
	r     *Relation
	asker *endpoint // nil: the host, which knows services only together with their app
	names map[string]*nameEntry
}

// reading is one way to read the name of instances.
type reading struct {
	app     string // "": service is a name in the view
	service string
	slot    int // 0: all
}

// readings returns every way to read a name. There are none if it cannot be the name of an
// instance, and several for one like a-b-1, because names of apps and services may have
// dashes, too.
func readings(name string) []reading {
	if first, rest, dotted := strings.Cut(name, "."); dotted {
		slot, numbered := slotOf(first)
		if strings.Contains(rest, ".") || !numbered && first != "tasks" {
			return nil
		}
		return []reading{{service: rest, slot: slot}}
	}
	at := strings.LastIndexAny(name, "-_")
	if at < 0 {
		return nil
	}
	slot, numbered := slotOf(name[at+1:])
	if !numbered {
		return nil
	}
	head, separator := name[:at], name[at]
	var all []reading
	if separator == '-' {
		all = append(all, reading{service: head, slot: slot})
	}
	for i := 1; i < len(head)-1; i++ {
		if head[i] == separator {
			all = append(all, reading{app: head[:i], service: head[i+1:], slot: slot})
		}
	}
	return all
}

// slotOf reads the number of a slot as this program writes it: without a sign and without
// leading zeros.
func slotOf(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n > 0 && strconv.Itoa(n) == s
}

// Find implements record.Instances.
func (i *instances) Find(name string) (record.Answers, bool) {
	rd, groups, _ := i.find(name)
	return i.answers(groups, rd.slot), len(groups) > 0
}

// hides reports whether name is that of instances, with a lower rank than by.
func (i *instances) hides(name string, by rank) bool {
	_, groups, rank := i.find(name)
	return len(groups) > 0 && rank < by
}

// find returns the groups to which name leads, with the lowest rank of all its readings. It
// returns no groups if name does not exist.
func (i *instances) find(name string) (found reading, groups []group, best rank) {
	for _, rd := range readings(name) {
		all, rank := i.groups(rd)
		all = slices.DeleteFunc(all, func(g group) bool { return !g.has(rd.slot) })
		switch {
		case len(all) == 0:
		case len(groups) == 0 || rank < best:
			found, groups, best = rd, all, rank
		case rank == best:
			groups = append(groups, all...)
		}
	}
	return found, groups, best
}

// groups returns what the asker may reach under the name of the service, and the rank of
// the names that derive from it.
func (i *instances) groups(rd reading) ([]group, rank) {
	if rd.app == "" {
		n := i.names[rd.service]
		switch {
		case n == nil:
			return nil, 0
		case n.rank < rankOther:
			return slices.Clone(n.groups), rankOwnInstance
		}
		return slices.Clone(n.groups), rankOtherInstance
	}
	svc := i.r.services[serviceID{app: rd.app, service: rd.service}]
	if svc == nil {
		return nil, 0
	}
	all := slices.DeleteFunc(svc.groups(), func(g group) bool { return !sees(i.asker, g) })
	if i.asker == nil || i.asker.svc.app != rd.app {
		return all, rankOtherContainer
	}
	return all, rankOwnContainer
}

// has reports whether the service has the slot, or had a container there that is not gone.
func (g group) has(slot int) bool {
	return slot == 0 || g.svc.spec != nil && slot <= g.svc.spec.Replicas ||
		slices.ContainsFunc(g.endpoints, func(e *endpoint) bool { return e.rec.Slot == slot })
}

func (i *instances) answers(groups []group, slot int) record.Answers {
	a := record.Answers{Short: true}
	for _, g := range groups {
		for _, p := range g.terms.ports {
			if !slices.Contains(a.Ports, p) {
				a.Ports = append(a.Ports, p)
			}
		}
		for _, e := range g.endpoints {
			if slot != 0 && e.rec.Slot != slot {
				continue
			}
			if s := i.r.stateOf(i.asker, e); s.instance {
				a.Targets = append(a.Targets, s.target)
			}
		}
	}
	a.Targets = sorted(a.Targets)
	return a
}

// Ours implements record.Instances.
func (i *instances) Ours(name string) bool {
	for _, rd := range readings(name) {
		if n := i.names[rd.service]; rd.app == "" && (i.r.known()[rd.service] || n != nil && n.short) {
			return true
		}
	}
	return false
}
