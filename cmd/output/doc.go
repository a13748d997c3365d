// Package output prints for people what the framework's API returns: progress while an
// app comes or goes, tables of instances, ports and log lines. It asks no API and reads
// no flags.
package output
