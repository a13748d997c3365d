package overlay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// dockerUser maintains rules that accept our interfaces in DOCKER-USER, the chain that Docker
// reserves for the user. Docker's FORWARD policy is DROP, and an accept in a table of ours does
// not override it. If the chain is missing, dockerUser does nothing.
type dockerUser struct {
	seen   int  // foreignChanges of the table when the rules were last in place
	legacy bool // an iptables of this host is not based on nftables, so its changes are not seen there
}

const dockerChain = "DOCKER-USER"

var dockerRules = []string{
	"-i " + vethPrefix + "+ -j ACCEPT",
	"-o " + vethPrefix + "+ -j ACCEPT",
	"-i " + Device + " -j ACCEPT",
	"-o " + Device + " -j ACCEPT",
}

// ensure adds the rules that are missing. It does nothing if no other program has changed
// nftables since the rules were last in place.
func (d *dockerUser) ensure(ctx context.Context, foreignChanges int) error {
	if d.seen == foreignChanges && foreignChanges != 0 && !d.legacy {
		return nil
	}
	if err := d.change(ctx, addRules); err != nil {
		return err
	}
	d.seen = foreignChanges
	return nil
}

// remove removes the rules.
func (d *dockerUser) remove(ctx context.Context) error {
	d.seen = 0
	return d.change(ctx, deleteRules)
}

// change calls scriptFor with the rules in the chain, once for IPv4 and once for IPv6, and runs
// iptables-restore with the script that it returns.
func (d *dockerUser) change(ctx context.Context, scriptFor func(have []string) string) error {
	d.legacy = false
	for _, tool := range []string{"iptables", "ip6tables"} {
		path, err := exec.LookPath(tool)
		if err != nil {
			continue // without iptables, Docker has no rules either
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
		if script := scriptFor(strings.Split(string(listed), "\n")); script != "" {
			if err := restore(ctx, path+"-restore", "*filter\n"+script+"COMMIT\n"); err != nil {
				return err
			}
		}
	}
	return nil
}

// noChain reports whether err means that the chain does not exist. The exit code 4 means that
// it cannot be read now: another program holds the lock of iptables, or the kernel is busy.
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

// addRules returns the iptables-restore commands that insert the missing rules at the top of
// the chain, before the rules of other programs.
func addRules(have []string) string { return ruleChanges(have, "-I") }

func deleteRules(have []string) string { return ruleChanges(have, "-D") }

func ruleChanges(have []string, command string) string {
	present := map[string]bool{}
	for _, line := range have {
		present[strings.TrimPrefix(line, "-A "+dockerChain+" ")] = true
	}
	var script strings.Builder
	for _, rule := range dockerRules {
		if present[rule] == (command == "-D") {
			fmt.Fprintf(&script, "%s %s %s\n", command, dockerChain, rule)
		}
	}
	return script.String()
}
