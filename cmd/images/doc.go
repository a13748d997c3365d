// Package images prepares the images of an app before it is submitted: it builds those
// of services with build: on this machine's Engine, pushes to the cluster's registry
// what the hosts could not pull otherwise, and names each by its digest or ID, so that
// a changed image is a changed service. Start reading at Builder.Prepare.
package images
