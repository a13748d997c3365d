package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

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

// The labels of docker compose that are read if LabelApp is missing.
const (
	composeProject = "com.docker.compose.project"
	composeService = "com.docker.compose.service"
	composeNumber  = "com.docker.compose.container-number"
	composeOneoff  = "com.docker.compose.oneoff"
)

// FromLabels reads a container's identity from its labels: the fields App, Service, Slot,
// Generation, Task, Networks, Links, Export, Ports, Strict, Internal, DNSRR and ContainerName
// of the endpoint that it returns; the others are zero. It ignores other labels. A container
// whose labels name an app and no network is on '<app>_default'. Without labels of ours
// and of docker compose the endpoint is foreign: its App is "".
//
// LabelInternal counts without LabelApp, too. Keys that the JSON values have beyond those
// of this version are ignored, because a newer framework may write them.
//
// An error names every label that cannot be understood. The endpoint is then ShutOff, so
// that a mistake permits nothing.
func FromLabels(labels map[string]string) (Endpoint, error) {
	p := labelParser{labels: labels}
	var e Endpoint
	switch {
	case labels[LabelApp] != "":
		e = p.ours()
	case labels[composeProject] != "":
		e = p.compose()
	}
	e.Internal = p.boolean(LabelInternal)
	if len(p.errs) == 0 {
		e.normalise()
		p.errs = append(p.errs, e.checkIdentity())
	}
	if err := errors.Join(p.errs...); err != nil {
		return ShutOff(), fmt.Errorf("labels: %w", err)
	}
	return e, nil
}

// ShutOff returns the identity of a container whose labels cannot be read: it is foreign,
// so it reaches nobody and nobody reaches it, and it has no egress.
func ShutOff() Endpoint { return Endpoint{Internal: true} }

// Labels is the reverse of FromLabels. It sets every label of this package, those of empty
// fields too, so that a label of the container's image takes the place of none.
func Labels(e Endpoint) map[string]string {
	if e.App == "" {
		return map[string]string{}
	}
	networks := e.Networks
	if networks == nil {
		networks = map[string][]string{}
	}
	all := map[string]string{
		LabelApp:        e.App,
		LabelService:    e.Service,
		LabelSlot:       encodeIf(e.Slot != 0, e.Slot),
		LabelGeneration: encodeIf(e.Generation != 0, e.Generation),
		LabelTask:       e.Task,
		LabelNetworks:   encodeIf(true, networks),
		LabelLinks:      encodeIf(len(e.Links) > 0, e.Links),
		LabelExport:     encodeIf(e.Export != nil, e.Export),
		LabelPorts:      encodeIf(len(e.Ports) > 0, e.Ports),
		LabelInternal:   strconv.FormatBool(e.Internal),
		LabelName:       e.ContainerName,

		LabelIsolation: "none", LabelEndpointMode: "vip",
	}
	if e.Strict {
		all[LabelIsolation] = "links"
	}
	if e.DNSRR {
		all[LabelEndpointMode] = "dnsrr"
	}
	return all
}

func defaultNetworks(app string) map[string][]string {
	return map[string][]string{app + "_default": nil}
}

// encodeIf returns the JSON of v, or "" if v is not set.
func encodeIf(set bool, v any) string {
	if !set {
		return ""
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, numbers, and maps and slices of them can always be encoded
	}
	return string(b)
}

// labelParser parses labels and collects their errors.
type labelParser struct {
	labels map[string]string
	errs   []error
}

// ours reads the labels of this package, except LabelInternal.
func (p *labelParser) ours() Endpoint {
	e := Endpoint{
		App:           p.label(LabelApp),
		Service:       p.label(LabelService),
		Slot:          int(p.number(LabelSlot, 31)),
		Generation:    p.number(LabelGeneration, 64),
		Task:          p.labels[LabelTask],
		Strict:        p.isolation(),
		DNSRR:         p.endpointMode(),
		ContainerName: p.labels[LabelName],
	}
	p.json(LabelNetworks, &e.Networks)
	p.json(LabelLinks, &e.Links)
	p.json(LabelExport, &e.Export)
	p.json(LabelPorts, &e.Ports)
	if p.labels[LabelNetworks] == "" {
		e.Networks = defaultNetworks(e.App)
	}
	return e
}

// compose reads the labels of a container that docker compose started. A one-off
// container (docker compose run) belongs to the app but to no service: it may reach the
// app's services, but the service's name does not lead to it.
func (p *labelParser) compose() Endpoint {
	e := Endpoint{
		App:     p.label(composeProject),
		Service: p.label(composeService),
		Slot:    int(p.number(composeNumber, 31)),
	}
	if p.boolean(composeOneoff) {
		e.Service, e.Slot = "", 0
	}
	e.Networks = defaultNetworks(e.App)
	return e
}

func (p *labelParser) fail(key string, err error) {
	p.errs = append(p.errs, fmt.Errorf("%s: %w", key, err))
}

func (p *labelParser) label(key string) string {
	v := Normal(p.labels[key])
	if v == "" {
		return ""
	}
	if err := CheckLabel(v); err != nil {
		p.fail(key, err)
	}
	return v
}

func (p *labelParser) number(key string, bits int) uint64 {
	v := p.labels[key]
	if v == "" {
		return 0
	}
	n, err := strconv.ParseUint(v, 10, bits)
	if err != nil {
		p.fail(key, fmt.Errorf("%.32q is not a number of 0..2^%d-1", v, bits))
	}
	return n
}

// boolean accepts the spellings of strconv.ParseBool. A label without a value is
// refused: docker run --label tombolo.internal makes one, and is meant as true.
func (p *labelParser) boolean(key string) bool {
	v, set := p.labels[key]
	if !set {
		return false
	}
	yes, err := strconv.ParseBool(v)
	if err != nil {
		p.fail(key, fmt.Errorf("%.32q is neither true nor false", v))
	}
	return yes
}

func (p *labelParser) isolation() (strict bool) {
	switch v, set := p.labels[LabelIsolation]; {
	case v == "links":
		return true
	case set && v != "none" && v != "false":
		p.fail(LabelIsolation, fmt.Errorf("%.32q is neither links nor none", v))
	}
	return false
}

// endpointMode accepts the words of Compose files. It reports whether the mode is dnsrr.
func (p *labelParser) endpointMode() bool {
	v := p.labels[LabelEndpointMode]
	if v != "" && v != "vip" && v != "dnsrr" {
		p.fail(LabelEndpointMode, fmt.Errorf("%.32q is neither vip nor dnsrr", v))
	}
	return v == "dnsrr"
}

func (p *labelParser) json(key string, into any) {
	v := p.labels[key]
	if v == "" {
		return
	}
	d := json.NewDecoder(bytes.NewReader([]byte(v)))
	if err := d.Decode(into); err != nil {
		p.fail(key, err)
		return
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		p.fail(key, errors.New("text follows the JSON value"))
	}
}
