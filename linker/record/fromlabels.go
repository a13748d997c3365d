package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"
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
// An error names every label that cannot be understood. The endpoint is then foreign, so
// that a mistake permits nothing.
func FromLabels(labels map[string]string) (Endpoint, error) {
	if labels[LabelApp] == "" {
		return fromCompose(labels)
	}
	p := labelParser{labels: labels}
	e := Endpoint{
		App:           p.label(LabelApp),
		Service:       p.label(LabelService),
		Slot:          int(p.number(LabelSlot, 31)),
		Generation:    p.number(LabelGeneration, 64),
		Task:          labels[LabelTask],
		Strict:        p.oneOf(LabelIsolation, "links"),
		Internal:      p.oneOf(LabelInternal, "true"),
		DNSRR:         p.endpointMode(),
		ContainerName: labels[LabelName],
	}
	p.json(LabelNetworks, &e.Networks)
	p.json(LabelLinks, &e.Links)
	p.json(LabelExport, &e.Export)
	p.json(LabelPorts, &e.Ports)
	if labels[LabelNetworks] == "" {
		e.Networks = defaultNetworks(e.App)
	}
	return checked(e, p.errs)
}

// Labels is the reverse of FromLabels. It leaves out the labels of empty fields, except
// LabelNetworks: without that label, a service on no network would be put on the default
// network.
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
		LabelInternal:   encodeIf(e.Internal, true),
		LabelName:       e.ContainerName,
	}
	if e.Strict {
		all[LabelIsolation] = "links"
	}
	if e.DNSRR {
		all[LabelEndpointMode] = "dnsrr"
	}
	maps.DeleteFunc(all, func(_, v string) bool { return v == "" })
	return all
}

// fromCompose reads the labels of a container that docker compose started. A one-off
// container (docker compose run) belongs to the app but to no service: it may reach the
// app's services, but the service's name does not lead to it.
func fromCompose(labels map[string]string) (Endpoint, error) {
	if labels[composeProject] == "" {
		return Endpoint{}, nil
	}
	p := labelParser{labels: labels}
	e := Endpoint{
		App:     p.label(composeProject),
		Service: p.label(composeService),
		Slot:    int(p.number(composeNumber, 31)),
	}
	if oneoff := labels[composeOneoff]; oneoff == "True" || oneoff == "true" {
		e.Service, e.Slot = "", 0
	}
	e.Networks = defaultNetworks(e.App)
	return checked(e, p.errs)
}

func checked(e Endpoint, errs []error) (Endpoint, error) {
	if len(errs) == 0 {
		e.normalise()
		errs = append(errs, e.checkIdentity())
	}
	if err := errors.Join(errs...); err != nil {
		return Endpoint{}, fmt.Errorf("labels: %w", err)
	}
	return e, nil
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

func (p *labelParser) oneOf(key, yes string) bool {
	v := p.labels[key]
	if v != "" && v != yes && v != "false" && v != "none" {
		p.fail(key, fmt.Errorf("%.32q is not %q", v, yes))
	}
	return v == yes
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
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		p.fail(key, err)
		return
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		p.fail(key, errors.New("text follows the JSON value"))
	}
}
