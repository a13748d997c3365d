package record

// The labels that tell a linker what a container is. Values of Networks, Links,
// Export and Ports are JSON of the fields of the same name in Endpoint. A linker
// trusts them as far as it trusts access to Docker. Where none of ours is
// present, com.docker.compose.* labels are understood (see FromLabels).
const (
	LabelApp        = "tombolo.app"
	LabelService    = "tombolo.service"
	LabelSlot       = "tombolo.slot"
	LabelGeneration = "tombolo.generation"
	LabelTask       = "tombolo.task"
	LabelNetworks   = "tombolo.networks"
	LabelLinks      = "tombolo.links"
	LabelExport     = "tombolo.export"
	LabelPorts      = "tombolo.ports"
	LabelIsolation  = "tombolo.isolation" // "links" for strict mode
	LabelInternal   = "tombolo.internal"  // "true": no egress
	LabelName       = "tombolo.name"      // the Compose file's container_name
)
