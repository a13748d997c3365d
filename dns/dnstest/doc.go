// Package dnstest holds what tests of DNS share: the Case type in which every test
// says what it asks and expects, views by address, and a scripted upstream. It asks
// nobody and never listens.
package dnstest
