// Package unixhttp speaks HTTP over unix sockets, as the plugin and the APIs of one
// machine do: it opens the sockets, serves on them and dials them.
package unixhttp
