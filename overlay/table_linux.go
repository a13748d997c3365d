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

// table keeps our nft table in the kernel. It remembers what it wrote, and
// believes it only while nftables' generation says that nobody wrote since.
type table struct {
	written bool // false: nothing is known, the whole table is to be replaced
	facts   tableFacts
	have    contents
	digest  [sha256.Size]byte // of the rules
	gen     uint32
	foreign int // how often somebody else's changes were noticed
}

// apply makes the kernel's table match want: by element where the rules stand,
// else by replacing the table in one transaction, which no packet sees half done.
func (t *table) apply(ctx context.Context, want ruleset) (changed bool, err error) {
	intact, err := t.refresh()
	if err != nil {
		return false, err
	}
	if intact && t.facts == want.facts {
		gone, come := difference(t.have, want.sets)
		if gone.size()+come.size() == 0 {
			return false, nil
		}
		if t.change(gone, come) == nil {
			return true, forgetPublished(come, want.sets)
		}
		// Too many, or somebody changed the sets meanwhile.
	}
	return true, t.replace(ctx, want)
}

// maxChange is how many elements one netlink message batch may carry; it has to
// fit the socket's buffer.
const maxChange = 1000

// change deletes and adds elements of the table that is believed to stand. An
// error means that it does not, or no longer does; nothing is changed then.
func (t *table) change(gone, come contents) error {
	if !t.written || gone.size()+come.size() > maxChange {
		return errNotIncremental
	}
	if err := commitElements(gone, come); err != nil {
		return err
	}
	for set, members := range gone {
		for key := range members {
			delete(t.have[set], key)
		}
	}
	for set, members := range come {
		for key, value := range members {
			t.have.add(set, key, value)
		}
	}
	return t.follow()
}

var errNotIncremental = errors.New("nftables table needs replacing")

// refresh brings t.have to the kernel's truth and reports whether our rules stand.
func (t *table) refresh() (intact bool, err error) {
	gen, err := generation()
	if err != nil || !t.written || gen == t.gen {
		return t.written, err
	}
	t.foreign++
	digest, err := rulesDigest()
	if moved(err) || err == nil && digest != t.digest {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	have, err := setContents()
	if moved(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	t.have, t.gen = have, gen
	return true, nil
}

// moved reports that somebody removed or changed what was being read.
func moved(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, netlink.ErrDumpInterrupted)
}

// replace writes the table anew. What it then takes for its rules is what it reads
// back, so it makes sure that nobody wrote meanwhile; where others never pause, the
// next apply replaces it again.
func (t *table) replace(ctx context.Context, want ruleset) error {
	t.written = false
	for range 3 {
		before, err := generation()
		if err != nil {
			return err
		}
		if err := runNft(ctx, want.text()); err != nil {
			return err
		}
		digest, err := rulesDigest()
		if err != nil && !moved(err) {
			return err
		}
		gen, err := generation()
		if err != nil {
			return err
		}
		if gen == before+1 {
			*t = table{written: true, facts: want.facts, have: want.sets, digest: digest, gen: gen, foreign: t.foreign + 1}
			return nil
		}
	}
	t.foreign++
	return nil
}

// follow takes note of a change of ours; if the generation grew by more, somebody
// else's came between, and the next refresh looks.
func (t *table) follow() error {
	gen, err := generation()
	if err == nil && gen == t.gen+1 {
		t.gen = gen
	}
	return err
}

// remove deletes the table, if it is there.
func (t *table) remove(ctx context.Context) error {
	t.written = false
	t.have = nil
	return runNft(ctx, "add table inet tombolo\ndelete table inet tombolo\n")
}

// nftTimeout bounds one run of nft, which the kernel may hold up: whoever attaches
// meanwhile waits for it.
const nftTimeout = 30 * time.Second

func runNft(ctx context.Context, script string) error {
	ctx, cancel := context.WithTimeout(ctx, nftTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		said, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		return fmt.Errorf("nft: %w: %s", err, said)
	}
	return nil
}
