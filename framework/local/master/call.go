package master

import (
	"fmt"
	"net/http"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// uuidLength is the size of an update's uuid.
const uuidLength = 16

// validateCall checks what can be told without the master's state.
func validateCall(c *scheduler.Call, principal string) *answer {
	if text := callFault(c, principal); text != "" {
		return refused(badRequest("Failed to validate scheduler::Call: %s", text))
	}
	return nil
}

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
	}
	if name, missing := missingPart(c); missing {
		return fmt.Sprintf(expecting, name)
	}
	if c.Type == scheduler.Call_ACKNOWLEDGE && len(c.Acknowledge.UUID) != uuidLength {
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

// missingPart names the message that a call of its type must carry and does not.
func missingPart(c *scheduler.Call) (name string, missing bool) {
	switch c.Type {
	case scheduler.Call_ACCEPT:
		return "accept", c.Accept == nil
	case scheduler.Call_DECLINE:
		return "decline", c.Decline == nil
	case scheduler.Call_ACCEPT_INVERSE_OFFERS:
		return "accept_inverse_offers", c.AcceptInverseOffers == nil
	case scheduler.Call_DECLINE_INVERSE_OFFERS:
		return "decline_inverse_offers", c.DeclineInverseOffers == nil
	case scheduler.Call_KILL:
		return "kill", c.Kill == nil
	case scheduler.Call_SHUTDOWN:
		return "shutdown", c.Shutdown == nil
	case scheduler.Call_ACKNOWLEDGE:
		return "acknowledge", c.Acknowledge == nil
	case scheduler.Call_ACKNOWLEDGE_OPERATION_STATUS:
		return "acknowledge_operation_status", c.AcknowledgeOperationStatus == nil
	case scheduler.Call_RECONCILE:
		return "reconcile", c.Reconcile == nil
	case scheduler.Call_RECONCILE_OPERATIONS:
		return "reconcile_operations", c.ReconcileOperations == nil
	case scheduler.Call_MESSAGE:
		return "message", c.Message == nil
	case scheduler.Call_REQUEST:
		return "request", c.Request == nil
	case scheduler.Call_UPDATE_FRAMEWORK:
		return "update_framework", c.UpdateFramework == nil
	}
	return "", false
}

// call runs one call of a subscribed framework.
func (m *Master) call(c *scheduler.Call, principal, streamID string) answer {
	f := m.frameworks[c.FrameworkID.GetValue()]
	switch {
	case f == nil:
		return badRequest("Framework cannot be found")
	case principal != "" && f.info.GetPrincipal() != "" && f.info.GetPrincipal() != principal:
		return answer{status: http.StatusForbidden, text: fmt.Sprintf(
			"Authenticated principal '%s' does not match principal '%s' of the framework", principal, f.info.GetPrincipal())}
	case f.stream == nil:
		return answer{status: http.StatusForbidden, text: "Framework is not subscribed"}
	case streamID == "":
		return badRequest("All non-subscribe calls should include the 'Mesos-Stream-Id' header")
	case streamID != f.stream.id:
		return badRequest("The stream ID '%s' included in this request didn't match the stream ID currently associated with framework ID %s", streamID, f.id)
	}
	return m.dispatch(f, c)
}

// dispatch leaves out what this master has no use for: inverse offers (it has no
// maintenance), operations (no reservations), messages (no custom executors) and
// requests, which a real master ignores too.
func (m *Master) dispatch(f *framework, c *scheduler.Call) answer {
	switch c.Type {
	case scheduler.Call_TEARDOWN:
		m.remove(f, "torn down")
	case scheduler.Call_ACCEPT:
		m.accept(f, c.Accept)
	case scheduler.Call_DECLINE:
		m.decline(f, c.Decline)
	case scheduler.Call_REVIVE:
		m.revive(f, c.Revive.GetRoles())
	case scheduler.Call_SUPPRESS:
		m.suppress(f, c.Suppress.GetRoles())
	case scheduler.Call_KILL:
		m.kill(f, c.Kill)
	case scheduler.Call_SHUTDOWN:
		m.shutdownExecutor(f, c.Shutdown)
	case scheduler.Call_ACKNOWLEDGE:
		m.acknowledge(f, c.Acknowledge)
	case scheduler.Call_RECONCILE:
		m.reconcile(f, c.Reconcile)
	case scheduler.Call_UPDATE_FRAMEWORK:
		return m.updateFramework(f, c.UpdateFramework)
	}
	return accepted
}
