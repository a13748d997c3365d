// Package agent is an agent of the embedded cluster: it runs the tasks that a
// master launches as containers of one Docker Engine.
//
// It owns its tasks, their containers and sandboxes. It never makes an offer and
// never speaks to a framework.
package agent
