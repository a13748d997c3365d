package machine

import (
	"net"
	"strings"
	"testing"
	"time"
)

// systemd starts the units of packaging/ before Docker's, so they have to be ready without an Engine.
// Otherwise the two would wait for each other.
func TestUnitsAreReadyBeforeDocker(t *testing.T) {
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
		for last := ""; !strings.Contains(last, "READY=1"); {
			b := make([]byte, 100)
			n, err := systemd.Read(b)
			if err != nil {
				t.Fatalf("tombolo %s did not become ready; its last notification is %q: %v", args, last, err)
			}
			last = string(b[:n])
		}
		systemd.Close()
		m.sh(t, "rm /run/notify; pkill -9 -f '^"+binary+"' || true")
	}
}
