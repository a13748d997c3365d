package supervise_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tombolo/linker/supervise"
)

// successor is a later run of a parent: it prints the query that came while there was no parent.
func successor() int {
	_, err := supervise.KeepFiles("queries", func(kept []*os.File) ([]*os.File, error) {
		if len(kept) != 1 {
			return nil, fmt.Errorf("%d files were kept", len(kept))
		}
		c, err := net.FilePacketConn(kept[0])
		if err != nil {
			return nil, err
		}
		var b [100]byte
		n, _, err := c.ReadFrom(b[:])
		fmt.Printf("%s", b[:n])
		return kept, err
	})
	if err != nil {
		fmt.Print(err)
		return 1
	}
	return 0
}

// A query that comes while even the parent is gone waits for the next parent, because
// systemd keeps the socket.
func TestSystemdKeepsFiles(t *testing.T) {
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", manager.LocalAddr().String())
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	files, err := supervise.KeepFiles("queries", func(kept []*os.File) ([]*os.File, error) {
		if len(kept) > 0 {
			t.Errorf("the first run got %v, want no files: none were kept", kept)
		}
		f, err := server.(*net.UDPConn).File()
		return []*os.File{f}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	kept := receive(t, manager)
	defer kept.Close()
	addr := server.LocalAddr().String()
	if err := errors.Join(server.Close(), files[0].Close()); err != nil { // as the kernel closes them when a process ends
		t.Fatal(err)
	}
	client, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Write([]byte("where is db?")); err != nil {
		t.Fatal(err)
	}

	// systemd sets LISTEN_PID between fork and exec, as the shell does here.
	other, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	next := exec.Command("sh", "-c", `export LISTEN_PID=$$; exec "$0"`, os.Args[0])
	next.Env = append(os.Environ(), roleEnv+"=successor", "LISTEN_FDS=2", "LISTEN_FDNAMES=another:queries")
	next.ExtraFiles = []*os.File{other, kept}
	out, err := next.CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "where is db?") {
		t.Errorf("the successor printed %q (%v), want the query", out, err)
	}
	receive(t, manager).Close() // the successor has the socket kept again
}

func TestFilesForAnotherProcessAreIgnored(t *testing.T) {
	t.Setenv("LISTEN_PID", "1")
	t.Setenv("LISTEN_FDS", "1")
	t.Setenv("LISTEN_FDNAMES", "queries")
	_, err := supervise.KeepFiles("queries", func(kept []*os.File) ([]*os.File, error) {
		if len(kept) > 0 {
			t.Errorf("got %v, want no files: they are for another process", kept)
		}
		return nil, io.EOF
	})
	if !errors.Is(err, io.EOF) {
		t.Errorf("KeepFiles returned %v, want the error of open", err)
	}
}

// receive acts as systemd: it receives a file to keep.
func receive(t *testing.T, manager *net.UnixConn) *os.File {
	t.Helper()
	if err := manager.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b, oob := make([]byte, 100), make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := manager.ReadMsgUnix(b, oob)
	if err != nil || string(b[:n]) != "FDSTORE=1\nFDNAME=queries" {
		t.Fatalf("systemd received %q (%v), want a file to keep", b[:n], err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 {
		t.Fatalf("systemd received the control messages %v (%v), want one", messages, err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		t.Fatalf("systemd received the descriptors %v (%v), want one", fds, err)
	}
	return os.NewFile(uintptr(fds[0]), "kept")
}
