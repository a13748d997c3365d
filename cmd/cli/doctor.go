package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"tombolo/cmd/doctor"
	"tombolo/cmd/lab"
	"tombolo/cmd/privilege"
)

// doctorFlags are the flags of `tombolo doctor`.
type doctorFlags struct {
	host, socket, format string
	fix, here            bool
}

func newDoctorCommand() *cobra.Command {
	var flags doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check this host and its peers, and say what mends what is wrong (in a lab: every host)",
		Long: `Check a host: kernel and modules, settings, pool and resolvers, MTU, disk, clock, Docker
Engine, plugin socket, names from inside of its containers, its peers, and all that its
linker reports. For everything that is wrong it prints what was found, what that means and
what mends it. It works when no linker runs, too; it then checks the rest. It changes
nothing without --fix, which runs the commands that can do no harm: it loads missing
kernel modules and switches on the forwarding of packets.

Exit code 1 if something is wrong. A notice alone is no reason for that.`,
		Example: "  sudo tombolo doctor\n  sudo tombolo doctor --fix\n  sudo tombolo doctor --host h2   # in a lab",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runDoctor(cmd, flags) },
	}
	cmd.Flags().StringVar(&flags.host, "host", "", "check only the lab's host with this `name` (default: every host of the lab, or this machine)")
	cmd.Flags().StringVar(&flags.socket, "socket", "", "this machine's linker's `socket` (default "+defaultLinkerSocket+")")
	cmd.Flags().StringVar(&flags.format, "format", "text", "output `format`: text or json")
	cmd.Flags().BoolVar(&flags.fix, "fix", false, "run the commands that mend what is wrong and can do no harm, and check again")
	cmd.Flags().BoolVar(&flags.here, "here", false, "check this machine, also if there is a lab")
	return cmd
}

func runDoctor(cmd *cobra.Command, flags doctorFlags) error {
	if err := textOrJSON(flags.format, "text"); err != nil {
		return err
	}
	if err := privilege.NeedRoot("doctor looks into the containers and the kernel"); err != nil {
		return err
	}
	hosts, err := hostsToCheck(flags)
	if err != nil {
		return err
	}
	all := []doctor.Examination{}
	if hosts == nil {
		all = append(all, doctor.Check(cmd.Context(), doctor.Here(firstOf(flags.socket, defaultLinkerSocket)), flags.fix, cmd.ErrOrStderr()))
		if name := all[0].Host; flags.host != "" && flags.host != name {
			return fmt.Errorf("this machine is %s: run tombolo doctor on %s, or see there how %s sees it: tombolo linker status", name, flags.host, name)
		}
	}
	for _, h := range hosts {
		found, err := checkLabHost(cmd.Context(), h, flags.fix, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		all = append(all, found...)
	}
	return printExaminations(cmd.OutOrStdout(), flags.format, all)
}

func firstOf(text, otherwise string) string {
	if text != "" {
		return text
	}
	return otherwise
}

// hostsToCheck returns the lab's live hosts to check; nil: this machine.
func hostsToCheck(flags doctorFlags) ([]lab.Host, error) {
	if flags.here || flags.socket != "" {
		return nil, nil
	}
	l, err := lab.Load()
	if errors.Is(err, lab.ErrNone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if flags.host != "" {
		h, err := l.Host(flags.host)
		if err != nil {
			return nil, err
		}
		if !h.Alive() {
			return nil, fmt.Errorf("host %s is dead (start it with: tombolo lab start %s)", h.Name, h.Name)
		}
		return []lab.Host{*h}, nil
	}
	var alive []lab.Host
	for _, h := range l.Hosts {
		if h.Alive() {
			alive = append(alive, h)
		}
	}
	if len(alive) == 0 {
		return nil, errors.New("every host of the lab is dead (see: tombolo lab ps)")
	}
	return alive, nil
}

// checkLabHost runs this program inside of a host of the lab.
func checkLabHost(ctx context.Context, h lab.Host, fix bool, progress io.Writer) ([]doctor.Examination, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	argv := []string{self, "doctor", "--here", "--format", "json"}
	if fix {
		argv = append(argv, "--fix")
	}
	c := h.Command(argv...)
	c.Stderr = progress
	stop := context.AfterFunc(ctx, func() { _ = c.Process.Kill() })
	defer stop()
	var all []doctor.Examination
	out, err := c.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, fmt.Errorf("run in %s: %w", h.Name, err)
	}
	if err := json.Unmarshal(out, &all); err != nil {
		return nil, fmt.Errorf("check %s: it printed no result: %w", h.Name, err)
	}
	return all, nil
}

// printExaminations prints what was found. It returns an error that counts what is wrong.
func printExaminations(out io.Writer, format string, all []doctor.Examination) error {
	if format == "json" {
		if err := json.NewEncoder(out).Encode(all); err != nil {
			return err
		}
	}
	var wrong []string
	for _, e := range all {
		if format == "text" {
			printExamination(out, e)
		}
		if !e.Healthy {
			wrong = append(wrong, e.Host)
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("something is wrong on %s", strings.Join(wrong, ", "))
	}
	return nil
}

func printExamination(out io.Writer, e doctor.Examination) {
	fmt.Fprintf(out, "%s: ", e.Host)
	if len(e.Findings) == 0 {
		fmt.Fprint(out, "nothing is wrong; ")
	}
	fmt.Fprintf(out, "in order: %s\n", strings.Join(e.Checked, ", "))
	for _, f := range e.Findings {
		printProblem(out, e.Host, f.Problem)
	}
	fmt.Fprintln(out)
}
