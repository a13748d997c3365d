package lab

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
)

// Engine says which Docker Engine the hosts of a lab run, and how.
type Engine struct {
	Path     string         `json:"path"`               // the folders, as in $PATH, in which hosts find dockerd and its programs
	Settings map[string]any `json:"settings,omitempty"` // see Config.Engine
}

// engineConfigPath is the configuration of a host's Engine, as the host sees it.
const engineConfigPath = "/run/dockerd.json"

// LoadEngineSettings reads settings for Config.Engine from a file in the format of the
// Engine's daemon.json.
func LoadEngineSettings(file string) (map[string]any, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var settings map[string]any
	if err := d.Decode(&settings); err != nil {
		return nil, fmt.Errorf("%s is not a JSON object: %w", file, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s has text behind its JSON object", file)
	}
	return settings, nil
}

// engineSettings returns the settings that the lab needs on a host. The cgroupfs driver
// needs no systemd and works with both cgroup versions.
func engineSettings(h Host) map[string]any {
	return map[string]any{
		"exec-opts":           []string{"native.cgroupdriver=cgroupfs"},
		"cgroup-parent":       h.cgroupParent(),
		"insecure-registries": []string{Underlay.String()},
	}
}

// writeEngineConfig writes the configuration of a host's Engine.
func writeEngineConfig(h Host, more map[string]any) error {
	settings := engineSettings(h)
	maps.Copy(settings, more)
	b, err := json.MarshalIndent(settings, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(engineConfigPath, b, 0o644)
}
