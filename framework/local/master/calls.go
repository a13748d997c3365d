package master

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// uuidLength is the size of an update's UUID.
const uuidLength = 16

// callFault says what is wrong with a call, as far as that does not depend on the
// master's state.
func callFault(c *scheduler.Call, principal string) string {
	const expecting = "Expecting '%s' to be present"
	switch {
	case c.Type == scheduler.Call_UNKNOWN:
		return fmt.Sprintf(expecting, "type")
	case c.Type == scheduler.Call_SUBSCRIBE && c.Subscribe == nil:
		return fmt.Sprintf(expecting, "subscribe")
	case c.Type == scheduler.Call_SUBSCRIBE:
		return subscribeFault(c, principal)
	case c.FrameworkID == nil:
		return fmt.Sprintf(expecting, "framework_id")
	case lacksBody(c):
		return fmt.Sprintf(expecting, strings.ToLower(c.Type.String()))
	case c.Type == scheduler.Call_ACKNOWLEDGE && len(c.Acknowledge.UUID) != uuidLength:
		return "Not a valid UUID"
	}
	return ""
}

func subscribeFault(c *scheduler.Call, principal string) string {
	info := c.Subscribe.FrameworkInfo
	if info.GetID().GetValue() != c.FrameworkID.GetValue() {
		return "'framework_id' differs from 'subscribe.framework_info.id'"
	}
	if p := info.GetPrincipal(); principal != "" && p != "" && p != principal {
		return fmt.Sprintf("Authenticated principal '%s' does not match principal '%s' set in `FrameworkInfo`", principal, p)
	}
	return ""
}

// lacksBody reports whether a call lacks the message that belongs to its type.
func lacksBody(c *scheduler.Call) bool {
	return map[scheduler.Call_Type]bool{
		scheduler.Call_ACCEPT:                       c.Accept == nil,
		scheduler.Call_DECLINE:                      c.Decline == nil,
		scheduler.Call_ACCEPT_INVERSE_OFFERS:        c.AcceptInverseOffers == nil,
		scheduler.Call_DECLINE_INVERSE_OFFERS:       c.DeclineInverseOffers == nil,
		scheduler.Call_KILL:                         c.Kill == nil,
		scheduler.Call_SHUTDOWN:                     c.Shutdown == nil,
		scheduler.Call_ACKNOWLEDGE:                  c.Acknowledge == nil,
		scheduler.Call_ACKNOWLEDGE_OPERATION_STATUS: c.AcknowledgeOperationStatus == nil,
		scheduler.Call_RECONCILE:                    c.Reconcile == nil,
		scheduler.Call_RECONCILE_OPERATIONS:         c.ReconcileOperations == nil,
		scheduler.Call_MESSAGE:                      c.Message == nil,
		scheduler.Call_REQUEST:                      c.Request == nil,
		scheduler.Call_UPDATE_FRAMEWORK:             c.UpdateFramework == nil,
	}[c.Type]
}

// checkSender refuses a call for framework f unless it comes from f's principal and has
// the ID of f's stream. An empty principal means that the master needs no credentials. It
// returns nil if the call is good.
func checkSender(f *framework, principal, streamID string) *answer {
	switch {
	case f == nil:
		return new(badRequest("Framework cannot be found"))
	case principal != "" && f.info.GetPrincipal() != "" && f.info.GetPrincipal() != principal:
		return &answer{status: http.StatusForbidden, text: fmt.Sprintf(
			"Authenticated principal '%s' does not match principal '%s' of the framework", principal, f.info.GetPrincipal())}
	case f.stream == nil:
		return &answer{status: http.StatusForbidden, text: "Framework is not subscribed"}
	case streamID == "":
		return new(badRequest("All non-subscribe calls should include the 'Mesos-Stream-Id' header"))
	case streamID != f.stream.id:
		return new(badRequest("The stream ID '%s' included in this request didn't match the stream ID currently associated with framework ID %s", streamID, f.id))
	}
	return nil
}
