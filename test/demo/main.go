// Command demo shows that Tombolo does its job (`make demo`). It makes a lab of three hosts and
// brings up two Compose apps. The containers of the first app reach each other by name across
// hosts, and the second app cannot reach them. Then it kills hosts. It prints everything that it
// observes, and its exit code is 0 only if it observed all that it should.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"tombolo/cmd/lab"
	"tombolo/test/cli"
)

func main() { os.Exit(run()) }

func run() int {
	binary := flag.String("binary", "bin/tombolo", "the tombolo binary")
	examples := flag.String("examples", "examples", "the folder of the example apps")
	keep := flag.Bool("keep", false, "leave the lab up at the end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	path, err := filepath.Abs(*binary)
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	d := &demo{cli: cli.CLI{Binary: path, Echo: os.Stdout}, examples: *examples, keep: *keep, began: time.Now()}
	if err := lab.Clear(); err != nil { // it fails if a lab is up that is not ours
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	err = d.run(ctx)
	if !*keep {
		err = errors.Join(err, lab.Down(""))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "\ndemo: %v\n", err)
		return 1
	}
	took := time.Since(d.began)
	within := "within"
	if took > limit {
		within = "over"
	}
	fmt.Printf("\nEverything works as it should. The demo took %s, which is %s the limit of %s for two cores with warm images and build cache.\n", took.Round(time.Second), within, limit)
	return 0
}

// demo has the state that the steps share.
type demo struct {
	cli      cli.CLI
	examples string
	keep     bool
	began    time.Time
	lab      *lab.Lab
}

// limit is the time that the whole demo should take. A slower machine is no failure.
const limit = 120 * time.Second

// patience limits each step.
const patience = 60 * time.Second

func (d *demo) run(ctx context.Context) error {
	for i, step := range []struct {
		title string
		run   func(context.Context) error
	}{
		{"Three hosts, a Docker Engine and a linker on each", d.makeLab},
		{"A Compose app on these hosts", d.bringUp},
		{"Containers reach each other by name across hosts", d.useNames},
		{"The published port answers on each host", d.askEachHost},
		{"Another app cannot look up or reach the containers", d.strangers},
		{"Down and up: the data in the named volumes is still there", d.comeBack},
		{"kill -9 of a host without a volume: all instances run again on the others", d.loseHost},
		{"kill -9 of a host with a volume: its service waits for the host and says so", d.loseVolume},
		{"Down leaves nothing behind", d.bringDown},
	} {
		fmt.Printf("\n== %d. %s (%s)\n", i+1, step.title, time.Since(d.began).Round(time.Second))
		ctx, cancel := context.WithTimeout(ctx, patience)
		err := step.run(ctx)
		cancel()
		if err != nil {
			return fmt.Errorf("%s: %w", step.title, err)
		}
	}
	return nil
}

// command prints a tombolo command line and runs it. An exit code other than 0 is an error.
func (d *demo) command(ctx context.Context, args ...string) error {
	fmt.Print("$ tombolo")
	for _, a := range args {
		fmt.Print(" ", a)
	}
	fmt.Println()
	_, err := d.cli.Must(ctx, args...)
	return err
}

func (d *demo) makeLab(ctx context.Context) error {
	up := []string{"lab", "up", "--hosts", "3"}
	if !d.keep { // if the demo is killed, the next lab up may remove its lab
		up = append(up, "--owner", strconv.Itoa(os.Getpid()))
	}
	if err := d.command(ctx, up...); err != nil {
		return err
	}
	var err error
	d.lab, err = lab.Load()
	return err
}

func (d *demo) bringUp(ctx context.Context) error {
	if err := d.command(ctx, "-f", filepath.Join(d.examples, "guestbook", "compose.yaml"), "up"); err != nil {
		return err
	}
	return d.command(ctx, "-p", guestbook, "ps")
}

func (d *demo) bringDown(ctx context.Context) error {
	for _, app := range []string{"stranger", guestbook} {
		if err := d.command(ctx, "-p", app, "down", "-v"); err != nil {
			return err
		}
	}
	return d.nothingLeft(ctx)
}
