// Command demo is `make demo`: the main job on real input, observed. It makes a lab
// of three hosts, brings two Compose apps up, shows that the containers of one reach
// each other by name across hosts and that the other app's cannot, ends hosts with
// kill -9, and prints what it sees. Its exit code is 0 only if all was seen.
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
	if err := lab.Clear(); err != nil { // not ours to remove
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	err = d.run(ctx)
	if !*keep {
		err = errors.Join(err, lab.Down())
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
	fmt.Printf("\nEverything was observed, in %s: %s the %s that two cores may take with images and build cache warm.\n", took.Round(time.Second), within, limit)
	return 0
}

// demo is the state that the steps share.
type demo struct {
	cli      cli.CLI
	examples string
	keep     bool
	began    time.Time
	lab      *lab.Lab
}

// limit is what the whole may take. A machine that is slower fails nothing.
const limit = 120 * time.Second

// patience bounds each step.
const patience = 60 * time.Second

func (d *demo) run(ctx context.Context) error {
	for i, step := range []struct {
		title string
		run   func(context.Context) error
	}{
		{"Three hosts, a Docker Engine and a linker on each", d.makeLab},
		{"One Compose app on them", d.bringUp},
		{"By name, from one host to another", d.useNames},
		{"Through the published port of each host", d.askEachHost},
		{"Another app sees nothing of it", d.strangers},
		{"Down and up: what is in the named volumes is still there", d.comeBack},
		{"kill -9 of a host without a volume: the app is whole again on the others", d.loseHost},
		{"kill -9 of a volume's host: its service waits for it, and says so", d.loseVolume},
		{"Down leaves nothing", d.bringDown},
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

// command prints a tombolo command line, runs it, and wants exit code 0.
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
	if !d.keep { // what a killed demo leaves is nobody's
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
