package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// libcs are the C libraries of test/e2e/libc, with their compilers. The program of musl is
// linked statically; that of glibc is not, because a static one has no resolver of its own.
var libcs = map[string][]string{
	"glibc": {"gcc"},
	"musl":  {"musl-gcc", "-static"},
}

// C programs that look a service up before each connection are led evenly to its replicas. glibc
// and musl sort the addresses of a name, so with the instances' addresses in the answer, one
// replica would get every connection of a host.
func TestAServiceAddressLeadsProgramsOfCEvenly(t *testing.T) {
	clients := libcImage(t)
	up(t, compose(t, "libc", `
  web: {image: %IMAGE%, command: [serve, "80"], deploy: {replicas: 3}}
  asker: {image: `+clients+`, command: [serve, "80"]}
`))
	allUp(t, "libc", 4)
	asker := instance(t, "libc", "asker", 1)
	h, err := testLab.Host(asker.Host)
	if err != nil {
		t.Fatal(err)
	}
	for libc := range libcs {
		for _, network := range []string{"tcp4", "tcp6", "udp4", "udp6"} {
			t.Run(libc+", "+network, func(t *testing.T) {
				out, err := docker(t.Context(), *h, "exec", asker.Container, "/spread-"+libc, network, "web", "80", fmt.Sprint(flows))
				if err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				even(t, "in a container", counted(out))
			})
		}
	}
}

// counted turns lines into one line for each distinct line, with its number, as probe spread
// prints them.
func counted(out string) string {
	count := map[string]int{}
	for line := range strings.Lines(out) {
		count[strings.TrimSpace(line)]++
	}
	var b strings.Builder
	for line, n := range count {
		fmt.Fprintf(&b, "%s %d\n", line, n)
	}
	return b.String()
}

// libcImage publishes an image with the probe and with the client of each C library, and
// returns its name.
func libcImage(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for libc, compiler := range libcs {
		args := append(slices.Clone(compiler[1:]), "-Wall", "-Werror", "-o", filepath.Join(dir, "spread-"+libc), "libc/spread.c")
		if out, err := exec.CommandContext(t.Context(), compiler[0], args...).CombinedOutput(); err != nil {
			t.Fatalf("build the client for %s (test/tools.sh installs its compiler): %v: %s", libc, err, out)
		}
	}
	dockerfile := "FROM scratch\nCOPY probe spread-glibc spread-musl /\nENTRYPOINT [\"/probe\"]\n"
	copyFile(t, probe, filepath.Join(dir, "probe"))
	for _, library := range sharedLibraries(t, filepath.Join(dir, "spread-glibc")) {
		name := filepath.Base(library)
		copyFile(t, library, filepath.Join(dir, name))
		dockerfile += "COPY " + name + " " + library + "\n"
	}
	name := "tombolo-e2e/libc:latest"
	if err := publish(t.Context(), dir, &name, dockerfile); err != nil {
		t.Fatal(err)
	}
	return name
}

// sharedLibraries returns the files that the program loads when it starts.
func sharedLibraries(t *testing.T, program string) (files []string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ldd", program).CombinedOutput()
	if err != nil {
		t.Fatalf("ldd %s: %v: %s", program, err, out)
	}
	for _, word := range strings.Fields(string(out)) {
		if filepath.IsAbs(word) {
			files = append(files, word)
		}
	}
	return files
}
