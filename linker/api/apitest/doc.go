// Package apitest has a fake linker, which implements the interfaces of linker/api in
// memory, for tests of the API and of its callers.
package apitest
