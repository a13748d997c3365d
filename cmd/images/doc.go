// Package images prepares the images of an app before it is submitted: it builds those
// of services with build: on this machine's Engine, pushes images that only this machine
// has to the cluster's registry, and replaces each name by a digest or ID, so that a
// changed image is a changed service. It starts no containers. Start reading at Builder.Prepare.
package images
