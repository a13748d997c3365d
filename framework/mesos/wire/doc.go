// Package wire is the bytes of the Mesos v1 scheduler API: mesos-go's types as
// JSON, exactly as a real master reads and writes it, and RecordIO framing.
//
// It exists because mesos-go's own JSON is unfit for the wire: it fails on enum
// values newer than itself (every SUBSCRIBED of Mesos 1.12 has one), writes null
// for empty lists and does not know Infinity. It never opens a connection and
// never judges a message beyond its schema.
package wire
