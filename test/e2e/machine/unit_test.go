package machine

import (
	"net"
	"strings"
	"testing"
	"time"
)

// The units of packaging/ come before Docker's: they are ready without an Engine, or
// the two would wait for each other.
func TestReadyBeforeDocker(t *testing.T) {
	m := start(t)
	for _, args := range []string{"linker", "daemon run"} {
		systemd, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path("/run/notify"), Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		if err := systemd.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		m.sh(t, "NOTIFY_SOCKET=/run/notify setsid -f "+binary+" "+args+" >/run/log 2>&1")
		news := make([]byte, 100)
		n, err := systemd.Read(news)
		if err != nil || !strings.Contains(string(news[:n]), "READY=1") {
			t.Errorf("tombolo %s said %q, %v", args, news[:n], err)
		}
		systemd.Close()
		m.sh(t, "rm /run/notify; pkill -9 -f '^"+binary+"' || true")
	}
}
