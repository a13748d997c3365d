package wire

import (
	"fmt"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// Message is a message of mesos-go with its generated protobuf code.
type Message interface {
	Marshal() ([]byte, error)
	Unmarshal(data []byte) error
}

// Codec is one of the two forms in which a master reads and writes messages.
type Codec interface {
	// MediaType is the form's name in HTTP headers.
	MediaType() string
	Encode(m Message) ([]byte, error)
	// Decode reads what a master wrote that may be newer than this program. A task state that is not
	// known becomes Unknown, a type of event Event_UNKNOWN; unknown has such values as they came.
	Decode(data []byte, m Message) (unknown []string, err error)
}

// The forms of messages. Masters speak both; Protobuf costs less time and fewer bytes.
var (
	JSON     Codec = jsonCodec{}
	Protobuf Codec = protobufCodec{}
)

type jsonCodec struct{}

func (jsonCodec) MediaType() string                { return "application/json" }
func (jsonCodec) Encode(m Message) ([]byte, error) { return Marshal(m) }
func (jsonCodec) Decode(data []byte, m Message) ([]string, error) {
	return UnmarshalTolerant(data, m)
}

type protobufCodec struct{}

func (protobufCodec) MediaType() string                { return "application/x-protobuf" }
func (protobufCodec) Encode(m Message) ([]byte, error) { return m.Marshal() }

func (protobufCodec) Decode(data []byte, m Message) (unknown []string, err error) {
	if err := m.Unmarshal(data); err != nil {
		return nil, fmt.Errorf("decode protobuf: %w", err)
	}
	event, ok := m.(*scheduler.Event)
	if !ok {
		return nil, nil
	}
	if _, known := scheduler.Event_Type_name[int32(event.Type)]; !known {
		unknown = append(unknown, event.Type.String())
		event.Type = scheduler.Event_UNKNOWN
	}
	if status := event.GetUpdate().GetStatus(); status.State != nil {
		if _, known := mesos.TaskState_name[int32(*status.State)]; !known {
			unknown = append(unknown, status.State.String())
			event.Update.Status.State = mesos.TaskState(Unknown).Enum()
		}
	}
	return unknown, nil
}
