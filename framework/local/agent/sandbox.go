package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// outputLimit bounds each of a sandbox's output files; a full one is moved to
// NAME.1, so that a task's output takes at most four times this. Docker's own log
// is what `docker logs` reads; these files are what Mesos' users look for.
const outputLimit = 8 << 20

// sandbox is a task run's folder on the host, laid out as Mesos does it.
type sandbox struct {
	dir            string
	stdout, stderr *outputFile
}

// sandboxDir returns the folder of one run of a task.
func sandboxDir(workDir string, s savedTask) string {
	return filepath.Join(workDir, "slaves", s.AgentID, "frameworks", s.Framework.GetID().Value,
		"executors", s.Task.TaskID.Value, "runs", s.ContainerID)
}

// openSandbox creates the folder, if it must, and its output files.
func openSandbox(dir string) (*sandbox, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create sandbox: %w", err)
	}
	stdout, err := openOutput(filepath.Join(dir, "stdout"))
	if err != nil {
		return nil, err
	}
	stderr, err := openOutput(filepath.Join(dir, "stderr"))
	if err != nil {
		return nil, errors.Join(err, stdout.Close())
	}
	return &sandbox{dir: dir, stdout: stdout, stderr: stderr}, nil
}

func (s *sandbox) Close() error { return errors.Join(s.stdout.Close(), s.stderr.Close()) }

// rewind makes the next byte written to an output start it anew: what follows is
// all of the container's output from its beginning. Until then the old stays.
func (s *sandbox) rewind() {
	s.stdout.rewind()
	s.stderr.rewind()
}

// outputFile is an append-only file that moves itself away when it is full.
type outputFile struct {
	mu     sync.Mutex
	file   *os.File
	size   int64
	anew   bool
	broken error // the disk is full or worse: the task goes on without output
}

func openOutput(path string) (*outputFile, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open output: %w", err)
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open output: %w", err), f.Close())
	}
	return &outputFile{file: f, size: size}, nil
}

// Write never fails: output that cannot be kept must not end the task.
func (o *outputFile) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.anew {
		o.anew, o.size = false, 0
		o.broken = o.file.Truncate(0)
	}
	if o.size >= outputLimit {
		o.broken = o.rotate()
	}
	if o.broken == nil {
		var n int
		n, o.broken = o.file.Write(p)
		o.size += int64(n)
	}
	return len(p), nil
}

func (o *outputFile) rotate() error {
	path := o.file.Name()
	if err := os.Rename(path, path+".1"); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	err = o.file.Close()
	o.file, o.size = f, 0
	return err
}

func (o *outputFile) rewind() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.anew = true
}

func (o *outputFile) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.file.Close()
}

// tail returns at most the last n bytes of a file, from the start of a line.
func tail(path string, n int64) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	offset := max(info.Size()-n, 0)
	data, err := io.ReadAll(io.NewSectionReader(f, offset, n))
	if err != nil {
		return ""
	}
	if _, rest, ok := bytes.Cut(data, []byte("\n")); ok && offset > 0 {
		data = rest
	}
	return string(data)
}

// complaint shortens what docker said on stderr to what matters in a message:
// without the hint at its help.
func complaint(stderr string) string {
	var lines []string
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(line)
		switch {
		case line == "", strings.HasPrefix(line, "Usage:"), strings.Contains(line, "docker run --help"):
		default:
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}

// sweepSandboxes removes the folders of runs that keep does not want.
func sweepSandboxes(workDir string, keep func(containerID string) bool) error {
	runs, err := filepath.Glob(filepath.Join(workDir, "slaves", "*", "frameworks", "*", "executors", "*", "runs", "*"))
	if err != nil {
		return fmt.Errorf("sweep sandboxes: %w", err)
	}
	var errs []error
	for _, dir := range runs {
		if !keep(filepath.Base(dir)) {
			errs = append(errs, removeSandbox(dir))
		}
	}
	return errors.Join(errs...)
}

// removeSandbox removes a run's folder, and its task's and framework's when it
// was the last in them.
func removeSandbox(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove sandbox: %w", err)
	}
	for range 4 { // runs, <task>, executors, <framework>
		dir = filepath.Dir(dir)
		if os.Remove(dir) != nil {
			break
		}
	}
	return nil
}
