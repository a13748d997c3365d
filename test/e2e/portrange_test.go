package e2e

import "testing"

// With a range of host ports, each replica on a host has a port of its own.
func TestRangeOfHostPorts(t *testing.T) {
	up(t, compose(t, "range", `
  web:
    image: %IMAGE%
    command: [serve, "80"]
    ports: ["8131-8132:80"]
    deploy: {replicas: 2, placement: {constraints: [node.hostname == h1]}}
`))
	allUp(t, "range", 2)
	h, err := testLab.Host("h1")
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range []string{"8131", "8132"} {
		if out, err := h.Command(probe, "dial", "127.0.0.1:"+port).CombinedOutput(); err != nil {
			t.Errorf("port %s of h1 does not answer: %v: %s", port, err, out)
		}
	}
}
