// Package recordpb is the wire form of package record, generated from record.proto.
// Only package record uses it.
package recordpb

//go:generate protoc --go_out=. --go_opt=paths=source_relative record.proto
