package mesos

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// The errors of Call, for errors.Is.
var (
	// ErrDisconnected: the client has no subscription now. Try again after SUBSCRIBED.
	ErrDisconnected = errors.New("not subscribed to a master")
	// ErrNotSubscribed: the master knows the framework and considers it disconnected.
	ErrNotSubscribed = errors.New("framework is not subscribed")
	// ErrUnknownFramework: the master does not know the framework, or has removed it.
	ErrUnknownFramework = errors.New("framework is unknown to the master")
	// ErrStreamID: another subscription of the framework has replaced this one.
	ErrStreamID = errors.New("subscription was replaced")
	// ErrNotLeader: the master is not the leading one.
	ErrNotLeader = errors.New("master does not lead")
	// ErrUnavailable: no master leads, or the master is not ready.
	ErrUnavailable = errors.New("master is not ready")
	// ErrUnauthorized: the credentials are missing or wrong. It ends Run, too.
	ErrUnauthorized = errors.New("credentials refused")
	// ErrInvalid: the master does not accept the call as it is. It ends Run, too.
	ErrInvalid = errors.New("call refused")
)

// The errors that end Run, for errors.Is.
var (
	// ErrRemoved: the framework was torn down, or its failover timeout passed. Its ID is
	// void and its tasks are killed.
	ErrRemoved = errors.New("framework has been removed")
	// ErrFailedOver: another scheduler has subscribed with the same ID.
	ErrFailedOver = errors.New("framework failed over to another scheduler")
	// ErrRefused: the master refuses the description of the framework.
	ErrRefused = errors.New("framework refused")
)

// Permanent reports whether a call that failed with err cannot succeed in the same
// subscription.
func Permanent(err error) bool {
	return sessionLost(err) || isAny(err, ErrDisconnected, ErrInvalid, ErrUnauthorized)
}

// sessionLost reports whether a call's error means that the subscription is void.
func sessionLost(err error) bool {
	return isAny(err, ErrNotSubscribed, ErrUnknownFramework, ErrStreamID, ErrNotLeader)
}

func isAny(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}

// StatusError is a response of the master that reports no success.
type StatusError struct {
	Status   int
	Message  string // the body
	redirect string // to the scheduler API of another master; "": none
}

func (e *StatusError) Error() string {
	if e.redirect != "" {
		return "redirected to " + e.redirect
	}
	return fmt.Sprintf("master answered %d: %s", e.Status, e.Message)
}

// Unwrap returns the error of this package that the status and the message mean.
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

func eventError(message string) error {
	switch message {
	case "Framework has been removed":
		return ErrRemoved
	case "Framework failed over":
		return ErrFailedOver
	}
	return fmt.Errorf("%w: %s", ErrRefused, message)
}
