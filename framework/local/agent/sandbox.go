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

// outputLimit bounds each output file of a sandbox, in bytes. A full file is renamed to
// NAME.1, so that a task's output takes at most four times this. docker logs does not
// read these files, but users of Mesos look for them.
const outputLimit = 8 << 20

// sandbox is the folder of one run of a task on the host, laid out as in Mesos.
type sandbox struct {
	dir            string
	stdout, stderr *outputFile
}

// sandboxDir returns the folder of a task's run.
func sandboxDir(workDir string, s savedTask) string {
	return filepath.Join(workDir, "slaves", s.AgentID, "frameworks", s.Framework.GetID().Value,
		"executors", s.Info.TaskID.Value, "runs", s.ContainerID)
}

// openSandbox creates the folder and its output files, where they do not exist.
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

// rewind makes the next write to each output file replace its content, because all of
// the container's output follows again. A file to which nothing is written keeps its
// content.
func (s *sandbox) rewind() {
	s.stdout.rewind()
	s.stderr.rewind()
}

// outputFile is an append-only file. It is renamed when it is full.
type outputFile struct {
	mu     sync.Mutex
	file   *os.File
	size   int64
	anew   bool  // the next write replaces the content
	broken error // why output is dropped, for example because the disk is full; nil: it is not
}

func openOutput(path string) (*outputFile, error) {
	f, err := openAppend(path)
	if err != nil {
		return nil, fmt.Errorf("open output: %w", err)
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open output: %w", err), f.Close())
	}
	return &outputFile{file: f, size: size}, nil
}

func openAppend(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
}

// Write never fails. Output that cannot be stored is dropped, because it must not end
// the task.
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
	f, err := openAppend(path)
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

// tail returns the last lines of a file that fit into n bytes, or "" if it cannot be read.
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

// dockerError returns what docker wrote to stderr on one line, without its hints at
// --help.
func dockerError(stderr string) string {
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

// sweepSandboxes removes the folders of all runs for which keep returns false.
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

// removeSandbox removes the folder of a run, and those of its task and its framework if
// they are empty then.
func removeSandbox(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove sandbox: %w", err)
	}
	for range 4 { // the folders runs, <task>, executors and <framework>
		dir = filepath.Dir(dir)
		if os.Remove(dir) != nil {
			break
		}
	}
	return nil
}
