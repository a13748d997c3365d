package dockerenv

import "testing"

func TestReadsKnowsWhatChangesTheDockerCommand(t *testing.T) {
	for name, want := range map[string]bool{
		"PATH": true, "DOCKER_HOST": true, "LD_PRELOAD": true, "GODEBUG": true, "https_proxy": true, "HTTPS_PROXY": true, "HOME": true,
		"BASH_ENV": true, "PASSWORD": false, "POSTGRES_PASSWORD": false, "MY_PATH": false, "": false,
	} {
		if got := Reads(name); got != want {
			t.Errorf("Reads(%q) = %v, want %v", name, got, want)
		}
	}
}
