package attach

import "fmt"

// Network returns the ID of the network that uses the driver, or "".
func (t *Table) Network() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.doc.Network
}

// CreateNetwork enters the one network that this host's linker serves. It refuses a
// second one: apps, links and policy separate containers, so a second network would
// separate nothing more.
func (t *Table) CreateNetwork(id string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.doc.Network != "" && t.doc.Network != id {
		return fmt.Errorf("this host already has a network on the tombolo driver (%s): use that one for all containers, policy keeps apps apart",
			Short(t.doc.Network))
	}
	t.doc.Network = id
	return t.changed()
}

// DeleteNetwork forgets the network. It ignores any other ID.
func (t *Table) DeleteNetwork(id string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.doc.Network != id {
		return nil
	}
	t.doc.Network = ""
	return t.changed()
}
