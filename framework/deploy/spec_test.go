package deploy

import (
	"testing"
	"time"

	"tombolo/framework/app"
)

// A new version that digests the same service differently would replace the containers of
// every app.
func TestSpecsOfAnUnchangedServiceStayTheSameAcrossVersions(t *testing.T) {
	full := app.Service{
		Name: "web", Image: "web:1", PullPolicy: "always", Replicas: 2, ContainerName: "front", Hostname: "h",
		Entrypoint: []string{"/bin/web"}, ClearEntrypoint: true, Command: []string{"-v"},
		Environment: map[string]string{"A": "1"}, Labels: map[string]string{"l": "1"}, Internal: true, NetworkMode: "none",
		Ports:        []app.Port{{HostIP: "127.0.0.1", Host: 80, Last: 81, Target: 8080, Proto: "tcp", Name: "http"}},
		Mounts:       []app.Mount{{Type: "bind", Source: "/a", Target: "/b", ReadOnly: true, Options: map[string]string{"bind-propagation": "shared"}, Create: true, SELinux: "z"}},
		Health:       &app.Health{Test: []string{"CMD", "true"}, Interval: time.Second, Timeout: time.Second, Retries: 2, StartPeriod: time.Second, StartInterval: time.Second},
		NeverReplace: true, Resources: app.Resources{CPUs: 0.5, MemBytes: 1, CPULimit: 1, MemLimit: 2, PIDsLimit: 3},
		StopSignal: "SIGINT", StopGrace: time.Minute, Constraints: []app.Constraint{{Attribute: "hostname", Op: "==", Value: "h1"}},
		Docker: []app.Flag{{Name: "user", Value: "1"}},
	}
	const want = "f2fc2685e4a73080"
	if got := Specs(wanted(full))["web"]; got != want {
		t.Errorf("the digest of the service is %s, and was %s in earlier versions", got, want)
	}
}
