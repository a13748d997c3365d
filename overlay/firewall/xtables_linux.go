package firewall

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// backend is one of the tables named filter that iptables knows in this network namespace.
type backend struct {
	family int  // 4 or 6
	legacy bool // not based on nftables
}

func (b backend) command() string {
	if b.family == 6 {
		return "ip6tables"
	}
	return "iptables"
}

// String names the table as people do.
func (b backend) String() string {
	kind := "nft"
	if b.legacy {
		kind = "legacy"
	}
	return b.command() + "-" + kind
}

// legacyTables has the names of legacy iptables' tables in this network namespace, by family. To
// list the rules of a table that is not there would create it.
var legacyTables = map[int]string{4: "/proc/thread-self/net/ip_tables_names", 6: "/proc/thread-self/net/ip6_tables_names"}

// legacyBackends returns the legacy tables named filter that exist.
func legacyBackends() (out []backend) {
	for _, family := range []int{4, 6} {
		names, _ := os.ReadFile(legacyTables[family]) // it is missing where the kernel has no legacy iptables
		if bytes.Contains(append([]byte("\n"), names...), []byte("\nfilter\n")) {
			out = append(out, backend{family, true})
		}
	}
	return out
}

var errNoProgram = errors.New("there is no such program")

// program returns the path of the backend's iptables. Distributions name one of the two kinds
// iptables, and both by their kind.
func (b backend) program(ctx context.Context) (string, error) {
	if path, err := exec.LookPath(b.String()); err == nil {
		return path, nil
	}
	path, err := exec.LookPath(b.command())
	if err != nil {
		return "", fmt.Errorf("%s: %w", b, errNoProgram)
	}
	version, _ := exec.CommandContext(ctx, path, "-V").Output()
	if bytes.Contains(version, []byte("nf_tables")) == b.legacy {
		return "", fmt.Errorf("%s: %w", b, errNoProgram)
	}
	return path, nil
}

// list reads the rules.
func (b backend) list(ctx context.Context, c Config) (xtables, error) {
	path, err := b.program(ctx)
	if err != nil {
		return xtables{}, err
	}
	out, err := run(exec.CommandContext(ctx, path, "-w", "2", "-S"))
	if err != nil {
		return xtables{}, fmt.Errorf("list the rules of %s: %w", b, err)
	}
	return c.parseXtables(out, b.family), nil
}

// restore changes the table in one transaction.
func (b backend) restore(ctx context.Context, script string) error {
	path, err := b.program(ctx)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, path+"-restore", "-w", "2", "--noflush")
	cmd.Stdin = strings.NewReader("*filter\n" + script + "COMMIT\n")
	if _, err := run(cmd); err != nil {
		return fmt.Errorf("change the rules of %s: %w", b, err)
	}
	return nil
}

// isBusy reports whether another program holds the lock of iptables, or has changed the table at the
// same time (iptables(8): exit code 4).
func isBusy(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.ExitCode() == 4
}

// run returns what a command prints. Its error has the first line of what the command prints
// to its standard error.
func run(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		return "", fmt.Errorf("%w: %s", err, first)
	}
	return stdout.String(), nil
}
