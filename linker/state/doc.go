// Package state keeps one JSON document per file, replaced as a whole: whoever
// reads it after a crash finds the old document or the new one.
//
// It knows nothing of what the documents mean, and imports nothing of ours.
package state
