package overlay

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// table maintains our nft table in the kernel. It remembers what it wrote. That is still true
// if the generation of nftables is the one after that write; otherwise another program has
// changed something.
type table struct {
	written        bool // false means that the kernel's table is unknown and has to be replaced
	params         tableParams
	have           contents
	digest         [sha256.Size]byte // of the rules
	gen            uint32
	foreignChanges int  // number of times that a change by another program was noticed
	damaged        bool // the last apply found that another program had changed the table
	stray          strayFlows
	packets        *packetBook
}

// apply makes the kernel's table match want. If the rules match already, it changes single
// elements. Otherwise it replaces the table in one transaction, so that every packet meets
// either the old policy or the new one.
func (t *table) apply(ctx context.Context, want ruleset) (changed bool, err error) {
	intact, err := t.refresh()
	if err != nil {
		return false, err
	}
	if intact && t.params == want.params {
		remove, add := difference(t.have, want.sets)
		if remove.size()+add.size() == 0 {
			return false, nil
		}
		if t.change(remove, add) == nil {
			return true, errors.Join(t.stray.republished(remove, add, want.sets), deleteStaleServices(remove, want.sets))
		}
		// There are too many changes, or another program has just changed the sets.
	}
	before := t.have
	if err := t.replace(ctx, want); err != nil {
		return true, err
	}
	return true, deleteStaleServices(before, want.sets)
}

// maxChange is the number of elements that fit into one netlink batch and so into the
// socket's buffer.
const maxChange = 1000

// change removes and adds elements. After an error nothing has changed: the kernel's table is
// not what t remembers, and has to be replaced.
func (t *table) change(remove, add contents) error {
	if !t.written || remove.size()+add.size() > maxChange {
		return errNotIncremental
	}
	if err := commitElements(remove, add); err != nil {
		return err
	}
	t.have.update(remove, add)
	return t.noteOwnChange()
}

// attach lets e's interface, which must exist, send from e's addresses.
func (t *table) attach(e Endpoint) error {
	if !t.written {
		return errNotIncremental
	}
	if err := bindAndOpen(e); err != nil {
		return err
	}
	elements := contents{}
	elements.bind(e)
	t.have.update(nil, elements)
	return t.noteOwnChange()
}

var errNotIncremental = errors.New("nftables table needs replacing")

// refresh reads t.have from the kernel if another program has changed something, and reports
// whether the rules are still ours.
func (t *table) refresh() (intact bool, err error) {
	t.damaged = false
	gen, err := generation()
	if err != nil || !t.written || gen == t.gen {
		return t.written, err
	}
	t.foreignChanges++
	t.damaged = true
	digest, err := rulesDigest()
	if changedMeanwhile(err) || err == nil && digest != t.digest {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	have, err := setContents()
	if changedMeanwhile(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	remove, add := difference(t.have, have)
	t.damaged = remove.size()+add.size() > 0
	t.have, t.gen = have, gen
	return true, nil
}

// changedMeanwhile reports whether err says that another program removed or changed the table
// while it was read.
func changedMeanwhile(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, netlink.ErrDumpInterrupted)
}

// replace writes the whole table and reads its rules back, to recognize them later. If another
// program changed nftables meanwhile, these may not be our rules, so replace starts again. After
// three attempts it leaves t unwritten, and the next apply replaces the table.
func (t *table) replace(ctx context.Context, want ruleset) error {
	t.written = false
	for range 3 {
		before, err := generation()
		if err != nil {
			return err
		}
		if err := t.packets.replace(packetCounters, func() error { return runNft(ctx, want.text()) }); err != nil {
			return err
		}
		digest, err := rulesDigest()
		if err != nil && !changedMeanwhile(err) {
			return err
		}
		gen, err := generation()
		if err != nil {
			return err
		}
		if gen == before+1 {
			*t = table{
				written: true, params: want.params, have: want.sets, digest: digest, gen: gen,
				foreignChanges: t.foreignChanges + 1, damaged: t.damaged, stray: t.stray, packets: t.packets,
			}
			return t.stray.republished(nil, want.sets, want.sets) // packets may have met other rules, or none
		}
	}
	t.foreignChanges++
	return nil
}

// noteOwnChange records the generation after a change of ours. If the generation grew by more
// than one, another program changed something too, and the next refresh reads the table.
func (t *table) noteOwnChange() error {
	gen, err := generation()
	if err == nil && gen == t.gen+1 {
		t.gen = gen
	}
	return err
}

// remove deletes the table, and that of the gates. It is no error if there is none.
func (t *table) remove(ctx context.Context) error {
	t.written = false
	t.have = nil
	return runNft(ctx, "add table inet tombolo\ndelete table inet tombolo\nadd table netdev tombolo\ndelete table netdev tombolo\n")
}

// nftTimeout limits one run of nft. The kernel may delay it, and containers that start
// meanwhile wait for it.
const nftTimeout = 30 * time.Second

func runNft(ctx context.Context, script string) error {
	ctx, cancel := context.WithTimeout(ctx, nftTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		message, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		return fmt.Errorf("nft: %w: %s", err, message)
	}
	return nil
}
