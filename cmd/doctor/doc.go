// Package doctor checks a host: its kernel, settings, disk, clock, Docker Engine and linker.
// It works when no linker runs, and then says so.
//
// Gather collects Facts and decides nothing. Each check is a small pure function from Facts
// to findings of one kind of problem. Start reading at Examine.
package doctor
