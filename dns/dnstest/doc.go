// Package dnstest has fakes and a table type for tests of package dns: Case is a question with
// the expected reply, Views a fixed Viewer, Instances a part of a
// view, and Upstream a scripted name server. It opens no
// sockets.
package dnstest
