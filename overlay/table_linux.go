package overlay

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os/exec"
	"strings"

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
}

// apply makes the kernel's table match want: by element where the rules stand,
// else by replacing the table in one transaction, which no packet sees half done.
func (t *table) apply(ctx context.Context, want ruleset) (changed bool, err error) {
	intact, err := t.refresh()
	if err != nil {
		return false, err
	}
	if intact && t.facts == want.facts {
		script := difference(t.have, want.sets)
		if script == "" {
			return false, nil
		}
		if t.commit(ctx, script) == nil {
			t.have = want.sets
			return true, nil
		}
		// Somebody changed the sets meanwhile.
	}
	return true, t.replace(ctx, want)
}

// add puts elements into a table that is believed to stand. An error means that
// it does not, or no longer does.
func (t *table) add(ctx context.Context, elements contents) error {
	if !t.written {
		return errors.New("nftables table not written yet")
	}
	if err := t.commit(ctx, difference(nil, elements)); err != nil {
		return err
	}
	for set, members := range elements {
		for _, e := range members {
			t.have.add(set, e)
		}
	}
	return nil
}

// drop takes those of the elements away that are believed to stand.
func (t *table) drop(ctx context.Context, elements contents) error {
	standing := contents{}
	for set, members := range elements {
		for key, e := range members {
			if _, ok := t.have[set][key]; ok {
				standing.add(set, e)
			}
		}
	}
	script := difference(standing, nil)
	if !t.written || script == "" {
		return nil
	}
	if err := t.commit(ctx, script); err != nil {
		return err
	}
	for set, members := range standing {
		for key := range members {
			delete(t.have[set], key)
		}
	}
	return nil
}

// refresh brings t.have to the kernel's truth and reports whether our rules stand.
func (t *table) refresh() (intact bool, err error) {
	gen, err := generation()
	if err != nil || !t.written || gen == t.gen {
		return t.written, err
	}
	digest, err := rulesDigest()
	if errors.Is(err, unix.ENOENT) || err == nil && digest != t.digest {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	have, err := setContents()
	if errors.Is(err, unix.ENOENT) || errors.Is(err, netlink.ErrDumpInterrupted) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	t.have, t.gen = have, gen
	return true, nil
}

func (t *table) replace(ctx context.Context, want ruleset) error {
	t.written = false
	if err := t.commit(ctx, want.text()); err != nil {
		return err
	}
	digest, err := rulesDigest()
	if err != nil {
		return err
	}
	t.written, t.facts, t.have, t.digest = true, want.facts, want.sets, digest
	return nil
}

// commit runs a script, all or nothing, and follows the generation: any step but
// one of ours makes the next refresh look.
func (t *table) commit(ctx context.Context, script string) error {
	if err := runNft(ctx, script); err != nil {
		return err
	}
	gen, err := generation()
	if err == nil && gen == t.gen+1 || !t.written {
		t.gen = gen
	}
	return err
}

// remove deletes the table, if it is there.
func (t *table) remove(ctx context.Context) error {
	t.written = false
	return runNft(ctx, "add table inet tombolo\ndelete table inet tombolo\n")
}

func runNft(ctx context.Context, script string) error {
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
