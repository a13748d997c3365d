package record

// The labels that identify a container to a linker. The values of LabelNetworks,
// LabelLinks, LabelExport and LabelPorts are the JSON of the fields of the same name in
// Endpoint. Who can start containers can set any label, so a linker trusts labels as far
// as access to Docker is trusted. Without LabelApp, labels of docker compose are read
// (see FromLabels).
const (
	LabelApp          = "tombolo.app"
	LabelService      = "tombolo.service"
	LabelSlot         = "tombolo.slot"
	LabelGeneration   = "tombolo.generation"
	LabelTask         = "tombolo.task"
	LabelNetworks     = "tombolo.networks"
	LabelLinks        = "tombolo.links"
	LabelExport       = "tombolo.export"
	LabelPorts        = "tombolo.ports"
	LabelEndpointMode = "tombolo.endpoint-mode" // "dnsrr": the service has no address of its own
	LabelIsolation    = "tombolo.isolation"     // "links" for strict mode
	LabelInternal     = "tombolo.internal"      // true or false: no egress
	LabelName         = "tombolo.name"          // the Compose file's container_name
)
