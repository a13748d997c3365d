// Package docker watches a Docker Engine: which containers it runs, their labels and
// health, and the endpoint of each on our network.
//
// It changes nothing in the Engine, except that it creates our network if that is
// missing. It never runs in a plugin call, because Docker holds locks while it waits for
// the plugin. It never inspects a container before its start event, because the Engine
// answers only when the process runs. It knows no other part of the linker but the
// vocabulary, linker/record.
//
// Start with Engine; session is one connection to the Engine.
package docker
