// Package state keeps one JSON document per file. It replaces the file as a whole, so
// that a reader after a crash finds the old document or the new one, never a mixture.
//
// It knows nothing of what the documents mean.
package state
