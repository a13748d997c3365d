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
		for news := ""; !strings.Contains(news, "READY=1"); {
			b := make([]byte, 100)
			n, err := systemd.Read(b)
			if err != nil {
				t.Fatalf("tombolo %s was not ready, and said last %q: %v", args, news, err)
			}
			news = string(b[:n])
		}
		systemd.Close()
		m.sh(t, "rm /run/notify; pkill -9 -f '^"+binary+"' || true")
	}
}
