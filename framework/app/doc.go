// Package app is the model of an app: its services, how many instances of each run,
// and which service may reach which. It checks an App from any source (Validate), and
// translates a service to flags of `docker run`. Start reading at App.
//
// It does no I/O. It imports nothing else of Tombolo, and no third-party package.
package app
