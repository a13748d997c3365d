// Package app is the model of an app: what is to run, how many times, and who may
// reach whom. It checks an App, whoever made it, and maps its services to the flags
// of `docker run`.
//
// It does no I/O and imports nothing of ours and nothing of third parties.
package app
