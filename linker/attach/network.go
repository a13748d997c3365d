package attach

import "fmt"

// Network is the ID of the network that was made on the driver, or "".
func (t *Table) Network() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.doc.Network
}

// CreateNetwork enters the one network that this host's linker serves. A second
// one is refused: what would set two networks apart is what apps, links and
// policy do on the one.
func (t *Table) CreateNetwork(id string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.doc.Network != "" && t.doc.Network != id {
		return fmt.Errorf("this host already has a network on the tombolo driver (%s): use that one, apps are kept apart by policy",
			Short(t.doc.Network))
	}
	t.doc.Network = id
	return t.changed()
}

// DeleteNetwork forgets the network; any other ID is no error.
func (t *Table) DeleteNetwork(id string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.doc.Network != id {
		return nil
	}
	t.doc.Network = ""
	return t.changed()
}
