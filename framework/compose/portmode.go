package compose

import (
	"cmp"
	"fmt"

	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"

	"tombolo/framework/app"
)

// portMode returns the mode that the files name for a port; "" if they name none. compose-go
// does not tell: it gives the mode ingress to every port without one.
func (s *serviceMapping) portMode(port types.ServicePortConfig) string {
	mode := ""
	for _, name := range s.sources.extended(s.in.Name) {
		for _, item := range s.sources.listed(app.Path{"services", name, "ports"}) {
			if s.describes(item, port) {
				mode = cmp.Or(s.text(lookup(item, "mode")), mode)
			}
		}
	}
	return mode
}

// listed returns the items of the list at p in all files.
func (ss *sources) listed(p app.Path) (items []*yaml.Node) {
	for _, s := range ss.files {
		for _, n := range s.docs {
			for _, key := range p {
				n = lookup(n, key)
			}
			if n = target(n); n != nil && n.Kind == yaml.SequenceNode {
				items = append(items, n.Content...)
			}
		}
	}
	return items
}

// extended returns the names of the services that a service extends, the farthest first, and
// its own.
func (ss *sources) extended(service string) []string {
	names := []string{service}
	for len(names) <= maxExtends {
		extends := ss.value(app.Path{"services", names[0], "extends"})
		base := first(scalars(lookup(extends, "service")), scalars(extends))
		if base == "" || base == names[0] {
			break
		}
		names = append([]string{base}, names...)
	}
	return names
}

// describes reports whether an item of the long syntax is the port.
func (s *serviceMapping) describes(item *yaml.Node, port types.ServicePortConfig) bool {
	if item = target(item); item == nil || item.Kind != yaml.MappingNode {
		return false
	}
	return s.text(lookup(item, "target")) == fmt.Sprint(port.Target) && s.text(lookup(item, "published")) == port.Published &&
		cmp.Or(s.text(lookup(item, "protocol")), "tcp") == cmp.Or(port.Protocol, "tcp") && s.text(lookup(item, "host_ip")) == port.HostIP
}

// text returns the scalar n with the values of its variables.
func (s *serviceMapping) text(n *yaml.Node) string {
	raw := first(scalars(n))
	text, err := template.Substitute(raw, s.project.Environment.Resolve)
	if err != nil {
		return raw
	}
	return text
}
