package app

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// number matches what the resolvers of C libraries take for an IPv4 address, without asking
// anybody (inet_aton): "2" is 0.0.0.2, and "0x7f000001" is 127.0.0.1.
var number = regexp.MustCompile(`^(0x[0-9a-f]+|[0-9]+)$`)

// ownNames are the names that Docker writes into the /etc/hosts of every container, where they
// come before every DNS answer.
var ownNames = []string{
	"localhost", "ip6-localhost", "ip6-loopback", "ip6-localnet", "ip6-mcastprefix", "ip6-allnodes", "ip6-allrouters",
}

// nameFault says why no container can look a name up, and suggests another, or returns "".
func nameFault(name string) string {
	switch {
	case number.MatchString(name):
		return fmt.Sprintf("cannot be looked up: programs take it for the number of an IP address; choose another name, for example n%s", name)
	case slices.Contains(ownNames, name):
		return fmt.Sprintf("cannot be looked up: in every container it is the container itself; choose another name, for example my-%s", name)
	}
	return ""
}

// reachable reports a name that no container can look up.
func (c *check) reachable(p Path, what, name string) {
	c.fault(p, what, strings.ToLower(name), nameFault(strings.ToLower(name)))
}

// sharedNames reports names of services that stand for something else, too: an instance of
// another service, or its only container.
func (c *check) sharedNames() {
	for _, name := range slices.Sorted(maps.Keys(c.app.Services)) {
		p := Path{"services", name}
		if other, n := c.instanceNamed(name); other != "" && other != name {
			c.Problem(p, "service name %q is also the name of instance %d of service %s; choose another name, for example %s",
				name, n, other, strings.NewReplacer("-", "", "_", "").Replace(name))
		}
		s := c.app.Services[name]
		for key, given := range map[string]string{"container_name": s.ContainerName, "hostname": s.Hostname} {
			given = strings.ToLower(given)
			if _, taken := c.app.Services[given]; taken && given != name {
				c.Problem(p.To(key), "%s is the name of another service, which would be hard to tell apart; choose another, for example %s-%s", given, name, given)
			}
		}
	}
}

// instanceNamed returns the service and the number of the instance that have a name which
// derives from the service's: db-2, shop-db-2 or shop_db_2.
func (c *check) instanceNamed(name string) (service string, slot int) {
	at := strings.LastIndexAny(name, "-_")
	if at < 0 {
		return "", 0
	}
	n, err := strconv.Atoi(name[at+1:])
	if err != nil || n < 1 || strconv.Itoa(n) != name[at+1:] {
		return "", 0
	}
	head, separator := name[:at], name[at:at+1]
	candidates := []string{strings.TrimPrefix(head, c.app.Name+separator)}
	if separator == "-" {
		candidates = append(candidates, head)
	} else if candidates[0] == head {
		return "", 0 // db_2 is no name of an instance
	}
	for _, candidate := range candidates {
		if s, ok := c.app.Services[candidate]; ok && !s.Global && n <= s.Replicas {
			return candidate, n
		}
	}
	return "", 0
}
