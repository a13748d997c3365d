// Package apitest is a linker without a machine: it implements what the server in
// linker/api asks for, in memory, for tests of the API and of its callers.
package apitest
