// Package wire encodes and decodes the messages of the Mesos v1 scheduler API: mesos-go's
// types as protobuf, or as JSON, exactly as a real master writes and reads it, and RecordIO framing.
//
// mesos-go's own JSON cannot be used: it fails on enum values that are newer than itself
// (every SUBSCRIBED of Mesos 1.12 has one), writes null for empty lists and does not know
// Infinity. The package opens no connection and checks no more of a message than its
// schema. Start reading at Codec.
package wire
