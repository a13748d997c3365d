package local

import (
	"crypto/sha256"
	"encoding/hex"
)

// VolumesLabel is the label of a TaskInfo that holds SlotVolumes as JSON. Agents of Mesos ignore it.
const VolumesLabel = "tombolo.volumes"

// SlotVolumes ask an agent to give names to the volumes that the task's image declares. Without a name,
// the next container would get new ones.
type SlotVolumes struct {
	Prefix  string            `json:"prefix"`            // of the names
	Labels  map[string]string `json:"labels,omitempty"`  // of each volume
	Mounted []string          `json:"mounted,omitempty"` // paths in the container at which the task mounts something else
}

// Name returns the name of the volume that is mounted at a path in the container.
func (v SlotVolumes) Name(target string) string {
	sum := sha256.Sum256([]byte(target))
	return v.Prefix + hex.EncodeToString(sum[:6])
}
