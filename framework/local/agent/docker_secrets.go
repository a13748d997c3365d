package agent

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"tombolo/internal/dockerenv"
)

// Every user of a host can read the arguments of its processes, and environments only the same user
// and root. So the values of a container's variables and labels are no arguments of docker run: it
// gets a variable as -e NAME and takes the value from its own environment. Variables that the docker
// command reads itself, and labels, which it does not take from its environment, come in files.

// maxFileLine is how long a line may be in a file of variables or labels, in bytes. The docker command
// reads them with a bufio.Scanner (docker/cli, pkg/kvfile).
const maxFileLine = 64<<10 - 1

// secrets are the parts of a docker command that must not be arguments.
type secrets struct {
	env   []string // NAME=VALUE
	files []string // the contents of the files that passed names
}

// pass adds a file with a content, and returns the name under which the docker command opens it.
func (s *secrets) pass(lines []string) string {
	s.files = append(s.files, strings.Join(lines, "\n")+"\n")
	return fmt.Sprintf("/proc/self/fd/%d", firstFile+len(s.files)-1)
}

// firstFile is the number of the first open file that a child gets beside its standard ones.
const firstFile = 3

// variables adds a container's variables, and returns the flags that name them.
func (s *secrets) variables(env map[string]string, ordered []string) (flags []string, err error) {
	var read []string
	for _, name := range ordered {
		line := name + "=" + env[name]
		switch {
		case !dockerenv.Reads(name):
			s.env = append(s.env, line)
			flags = append(flags, "-e", name)
		case fitsFile(name, line):
			read = append(read, line)
		default:
			return nil, fmt.Errorf("the docker command reads the variable %s itself, so it cannot pass on a value with a line break, "+
				"with bytes that are not UTF-8, or of more than 64 KiB; give the variable another name or value", name)
		}
	}
	if len(read) > 0 {
		flags = append(flags, "--env-file", s.pass(read))
	}
	return flags, nil
}

// fitsFile reports whether the docker command reads from a line of a file what was put there.
func fitsFile(name, line string) bool {
	return name != "" && !strings.HasPrefix(name, "#") && !strings.ContainsFunc(name, unicode.IsSpace) && !strings.HasPrefix(name, "\ufeff") &&
		!strings.Contains(line, "\n") && !strings.HasSuffix(line, "\r") && utf8.ValidString(line) && len(line) <= maxFileLine
}

// labels takes from a list of NAME=VALUE the labels that a file can hold. Of two labels with
// one name, the last one counts.
func (s *secrets) labels(list []string) (flags []string) {
	last := map[string]int{}
	nameOf := func(label string) string { name, _, _ := strings.Cut(label, "="); return name }
	for i, label := range list {
		last[nameOf(label)] = i
	}
	var lines []string
	for i, label := range list {
		name, value, _ := strings.Cut(label, "=")
		switch line := name + "=" + value; {
		case last[name] != i:
		case fitsFile(name, line):
			lines = append(lines, line)
		default:
			flags = append(flags, "--label="+label)
		}
	}
	if len(lines) > 0 {
		flags = slices.Insert(flags, 0, "--label-file="+s.pass(lines))
	}
	return flags
}

// openFiles returns files in memory with the contents. The caller closes them.
func openFiles(contents []string) (files []*os.File, err error) {
	for _, content := range contents {
		fd, err := unix.MemfdCreate("docker", unix.MFD_CLOEXEC)
		if err != nil {
			closeFiles(files)
			return nil, fmt.Errorf("make a file in memory for docker: %w", err)
		}
		file := os.NewFile(uintptr(fd), "memfd:docker")
		files = append(files, file)
		if _, err := io.WriteString(file, content); err != nil {
			closeFiles(files)
			return nil, fmt.Errorf("write a file in memory for docker: %w", err)
		}
	}
	return files, nil
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // nothing of a file in memory is lost
	}
}
