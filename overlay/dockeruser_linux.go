package overlay

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// dockerUser keeps our interfaces accepted in DOCKER-USER, the chain that Docker
// leaves to others: Docker's FORWARD policy is DROP, and no accept in a table of
// ours would outweigh it. Where the chain is missing nothing is done.
type dockerUser struct {
	gen    uint32 // of nftables when the rules were last seen
	legacy bool   // some iptables of this host does not count in nftables' generation
}

const dockerChain = "DOCKER-USER"

var dockerRules = []string{
	"-i " + vethPrefix + "+ -j ACCEPT",
	"-o " + vethPrefix + "+ -j ACCEPT",
	"-i " + Device + " -j ACCEPT",
	"-o " + Device + " -j ACCEPT",
}

// accept asserts the rules, unless nothing in nftables changed since they stood.
func (d *dockerUser) accept(ctx context.Context, gen uint32) error {
	if d.gen == gen && gen != 0 && !d.legacy {
		return nil
	}
	if err := d.each(ctx, assertRules); err != nil {
		return err
	}
	now, err := generation()
	d.gen = now
	return err
}

// remove takes the rules out again.
func (d *dockerUser) remove(ctx context.Context) error {
	d.gen = 0
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
		if err != nil {
			continue // no such chain
		}
		if script := change(strings.Split(string(listed), "\n")); script != "" {
			if err := restore(ctx, path+"-restore", "*filter\n"+script+"COMMIT\n"); err != nil {
				return err
			}
		}
	}
	return nil
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
