package mesos

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// What a call or Run fails with, for errors.Is.
var (
	// ErrDisconnected: there is no subscription now; try again after SUBSCRIBED.
	ErrDisconnected = errors.New("not subscribed to a master")
	// ErrNotSubscribed: the master knows the framework and thinks it disconnected.
	ErrNotSubscribed = errors.New("framework is not subscribed")
	// ErrUnknownFramework: the master does not know the framework, or removed it.
	ErrUnknownFramework = errors.New("framework is unknown to the master")
	// ErrStreamID: another subscription has taken over.
	ErrStreamID = errors.New("subscription was replaced")
	// ErrNotLeader: the master does not lead.
	ErrNotLeader = errors.New("master does not lead")
	// ErrUnavailable: no leader, or a master that is not ready.
	ErrUnavailable = errors.New("master is not ready")
	// ErrUnauthorized: credentials are missing or wrong.
	ErrUnauthorized = errors.New("credentials refused")
	// ErrInvalid: the master could not accept the call as it is.
	ErrInvalid = errors.New("call refused")

	// ErrRemoved ends Run: the framework was torn down or its failover timeout
	// passed. Its id is void; its tasks are killed.
	ErrRemoved = errors.New("framework has been removed")
	// ErrFailedOver ends Run: another scheduler subscribed with the same id.
	ErrFailedOver = errors.New("framework failed over to another scheduler")
	// ErrRefused ends Run: the master refuses the framework's description.
	ErrRefused = errors.New("framework refused")
)

// StatusError is a response that is no success.
type StatusError struct {
	Status  int
	Message string // the body
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("master answered %d: %s", e.Status, e.Message)
}

// Unwrap returns the Err… that the status and the text mean, for errors.Is.
func (e *StatusError) Unwrap() error {
	switch e.Status {
	case http.StatusTemporaryRedirect:
		return ErrNotLeader
	case http.StatusUnauthorized:
		return ErrUnauthorized
	case http.StatusForbidden:
		return ErrNotSubscribed
	case http.StatusNotFound, http.StatusServiceUnavailable:
		return ErrUnavailable
	case http.StatusBadRequest:
		return badRequest(e.Message)
	}
	if e.Status >= http.StatusInternalServerError {
		return ErrUnavailable
	}
	return ErrInvalid
}

func badRequest(message string) error {
	switch {
	case strings.HasPrefix(message, "Framework cannot be found"):
		return ErrUnknownFramework
	case strings.HasPrefix(message, "The stream ID "):
		return ErrStreamID
	}
	return ErrInvalid
}

// eventError is what an ERROR event means.
func eventError(message string) error {
	switch message {
	case "Framework has been removed":
		return ErrRemoved
	case "Framework failed over":
		return ErrFailedOver
	}
	return fmt.Errorf("%w: %s", ErrRefused, message)
}

// sessionLost says whether a call's error means that the subscription is void.
func sessionLost(err error) bool {
	return errors.Is(err, ErrNotSubscribed) || errors.Is(err, ErrUnknownFramework) ||
		errors.Is(err, ErrStreamID) || errors.Is(err, ErrNotLeader)
}
