package overlay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// dockerUser keeps our interfaces accepted in DOCKER-USER, the chain that Docker
// leaves to others: Docker's FORWARD policy is DROP, and no accept in a table of
// ours would outweigh it. Where the chain is missing nothing is done.
type dockerUser struct {
	seen   int  // the table's count of foreign changes when the rules last stood
	legacy bool // some iptables of this host is none of nftables' business
}

const dockerChain = "DOCKER-USER"

var dockerRules = []string{
	"-i " + vethPrefix + "+ -j ACCEPT",
	"-o " + vethPrefix + "+ -j ACCEPT",
	"-i " + Device + " -j ACCEPT",
	"-o " + Device + " -j ACCEPT",
}

// accept asserts the rules, unless they stood and nobody else changed anything in
// nftables since.
func (d *dockerUser) accept(ctx context.Context, foreign int) error {
	if d.seen == foreign && foreign != 0 && !d.legacy {
		return nil
	}
	if err := d.each(ctx, assertRules); err != nil {
		return err
	}
	d.seen = foreign
	return nil
}

// remove takes the rules out again.
func (d *dockerUser) remove(ctx context.Context) error {
	d.seen = 0
	return d.each(ctx, deleteRules)
}

// each calls change for both families with the rules that stand in the chain.
func (d *dockerUser) each(ctx context.Context, change func(have []string) string) error {
	d.legacy = false
	for _, tool := range []string{"iptables", "ip6tables"} {
		path, err := exec.LookPath(tool)
		if err != nil {
			continue // no iptables, no Docker rules
		}
		version, _ := exec.CommandContext(ctx, path, "-V").Output()
		d.legacy = d.legacy || !bytes.Contains(version, []byte("nf_tables"))
		listed, err := exec.CommandContext(ctx, path, "-w", "2", "-S", dockerChain).Output()
		if noChain(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("list %s: %w", dockerChain, err)
		}
		if script := change(strings.Split(string(listed), "\n")); script != "" {
			if err := restore(ctx, path+"-restore", "*filter\n"+script+"COMMIT\n"); err != nil {
				return err
			}
		}
	}
	return nil
}

// noChain tells a chain that is not there from one that cannot be read just now: by
// 4 iptables says that another program holds its lock, or that the kernel is busy.
func noChain(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.Exited() && exit.ExitCode() != 4
}

func restore(ctx context.Context, path, script string) error {
	cmd := exec.CommandContext(ctx, path, "-w", "2", "--noflush")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("change %s: %w: %s", dockerChain, err, bytes.TrimSpace(out))
	}
	return nil
}

// assertRules is the iptables-restore text that puts what is missing first, where
// no rule of somebody else's can come before.
func assertRules(have []string) string { return ruleChanges(have, "-I", false) }

func deleteRules(have []string) string { return ruleChanges(have, "-D", true) }

func ruleChanges(have []string, verb string, present bool) string {
	standing := map[string]bool{}
	for _, line := range have {
		standing[strings.TrimPrefix(line, "-A "+dockerChain+" ")] = true
	}
	var script strings.Builder
	for _, rule := range dockerRules {
		if standing[rule] == present {
			fmt.Fprintf(&script, "%s %s %s\n", verb, dockerChain, rule)
		}
	}
	return script.String()
}
