// Package jsonfile keeps one JSON document a file, replaced as a whole.
package jsonfile
